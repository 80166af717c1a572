//! Reading in a thread of its own, so that decompressing and parsing have a processor beside the one that publishes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tokio::sync::mpsc;

use super::inputs::Input;
use crate::event::Event;
use crate::gharchive::{Batch, Reader};

/// Batches that wait to be published: about 4 MiB.
const BATCHES_AHEAD: usize = 4;

/// Starts reading `input`, which is at `path`, behind line `skip`. What cannot be opened comes as a batch with one reject. The
/// thread ends when nobody takes its batches any more.
pub(super) fn start(
    input: &Input,
    path: &Path,
    skip: u64,
    wanted: impl Fn(&Event) -> bool + Send + 'static,
) -> mpsc::Receiver<Batch> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let (is_stdin, path) = (*input == Input::Stdin, path.to_owned());
    // Not `spawn_blocking`: a read from standard input can last for ever, and must not hold up the program's end.
    std::thread::spawn(move || {
        let raw: std::io::Result<Box<dyn Read + Send>> = if is_stdin {
            Ok(Box::new(std::io::stdin()))
        } else {
            File::open(&path).map(|file| Box::new(file) as _)
        };
        match raw {
            Ok(raw) => send_all(Reader::new(raw, skip, wanted), &sender),
            Err(error) => {
                let reason = format!("unreadable: open {}: {error}", path.display());
                // Fails only when nobody wants to know any more.
                let _ = sender.blocking_send(Batch::unreadable(reason));
            }
        }
    });
    receiver
}

fn send_all(batches: impl Iterator<Item = Batch>, sender: &mpsc::Sender<Batch>) {
    for batch in batches {
        if sender.blocking_send(batch).is_err() {
            return;
        }
    }
}
