//! Reads a file in a thread of its own, so that decompressing and parsing use another processor than publishing.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tokio::sync::mpsc;

use super::inputs::Input;
use crate::event::Event;
use crate::gharchive::{Batch, Mark, Reader};

/// Batches that wait to be published: about 4 MiB.
const BATCHES_AHEAD: usize = 4;

/// Starts to read `input`, which is at `path`, after the lines of `from`, and gives its batches.
///
/// - If the file begins with other lines, an empty batch says so, and the file is read from its beginning.
/// - If the file cannot be opened, a batch with one reject says so.
/// - If the receiver is dropped, the thread ends.
pub(super) fn start(
    input: &Input,
    path: &Path,
    from: Mark,
    wanted: impl Fn(&Event) -> bool + Send + 'static,
) -> mpsc::Receiver<Batch> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let (is_stdin, path) = (*input == Input::Stdin, path.to_owned());
    // Not `spawn_blocking`: a read from standard input can last for ever, and must not hold up the program's end.
    std::thread::spawn(move || {
        let mut from = from;
        while let Some(again_from) = read(is_stdin, &path, from, &wanted, &sender) {
            from = again_from;
        }
    });
    receiver
}

/// Reads once. Gives the position to begin at if the file has to be read again.
fn read(
    is_stdin: bool,
    path: &Path,
    from: Mark,
    wanted: impl Fn(&Event) -> bool,
    sender: &mpsc::Sender<Batch>,
) -> Option<Mark> {
    let raw: std::io::Result<Box<dyn Read + Send>> = if is_stdin {
        Ok(Box::new(std::io::stdin()))
    } else {
        File::open(path).map(|file| Box::new(file) as _)
    };
    let raw = match raw {
        Ok(raw) => raw,
        Err(error) => {
            let reason = format!("unreadable: open {}: {error}", path.display());
            // Fails only when the receiver is dropped.
            let _ = sender.blocking_send(Batch::unreadable(reason));
            return None;
        }
    };
    for batch in Reader::new(raw, from, wanted) {
        let is_another_file = batch.is_another_file;
        if sender.blocking_send(batch).is_err() {
            return None;
        }
        if is_another_file {
            return Some(Mark::default());
        }
    }
    None
}
