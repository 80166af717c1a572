//! The file of rejects. The first rejects of each input are logged as well.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::Utc;
use serde::Serialize;

use crate::gharchive::Reject;
use crate::terminal::Escaped;

/// Rejects of each input that are logged. All are in the file.
const NAMED_IN_LOG: u64 = 3;

/// A line of the file.
///
/// ```json
/// {"input":"2015-01-01-12","line":17,"reason":"not-json: …","bytes":8,"text":"not json"}
/// ```
///
/// `text` is the rejected text, or its beginning if it has more than 4 MiB. If it is not UTF-8, `hex` has its bytes.
#[derive(Serialize)]
struct Entry<'a> {
    input: &'a str,
    line: u64,
    reason: &'a str,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

/// The file of rejects, made when the first one comes.
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// Rejects of the current input.
    of_input: u64,
}

impl Rejects {
    /// The name of a new file of rejects.
    pub(super) fn new_name() -> String {
        format!("rejects-{}-{}.jsonl", Utc::now().format("%Y%m%dT%H%M%SZ"), std::process::id())
    }

    /// Rejects that are appended to the file `name` of `folder`.
    pub(super) fn into(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(name), file: None, of_input: 0 }
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a new input.
    pub(super) fn begin(&mut self) {
        self.of_input = 0;
    }

    /// Writes a reject to the file, and logs the first ones of an input.
    ///
    /// # Errors
    /// When the disk does not take it. Going on would lose the reject.
    pub(super) fn keep(&mut self, input: &str, reject: &Reject) -> anyhow::Result<()> {
        self.of_input += 1;
        if self.of_input <= NAMED_IN_LOG {
            tracing::warn!(
                input,
                line = reject.line,
                "rejected: {input}, line {}: {}",
                reject.line,
                Escaped(&reject.reason)
            );
        } else if self.of_input == NAMED_IN_LOG + 1 {
            tracing::warn!("more rejects of {input} are not logged: see {}", self.path.display());
        }
        self.write(input, reject).with_context(|| {
            let path = self.path.display();
            format!("keep a rejected line in {path} (make room, or choose another --state-dir)")
        })
    }

    fn write(&mut self, input: &str, reject: &Reject) -> anyhow::Result<()> {
        let text = std::str::from_utf8(&reject.scrap).ok();
        let hex = || reject.scrap.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = Entry {
            input,
            line: reject.line,
            reason: &reject.reason,
            bytes: reject.bytes,
            text,
            hex: text.is_none().then(hex),
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
                self.file.insert(BufWriter::new(append_to(&self.path)?))
            }
        };
        serde_json::to_writer(&mut *file, &entry)?;
        file.write_all(b"\n")?;
        Ok(())
    }

    /// Writes buffered rejects to the file. A position after them may be saved only then.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match &mut self.file {
            Some(file) => file.flush().with_context(|| format!("write {}", self.path.display())),
            None => Ok(()),
        }
    }
}

/// Opens a file to append to it. A run that was killed may have left half a line, which is ended first.
pub(super) fn append_to(path: &Path) -> std::io::Result<File> {
    let mut file = File::options().create(true).read(true).append(true).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reject_is_a_line_with_its_place_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::into(&folder.path().join("deep"), "rejects.jsonl");
        let reject = |line, scrap: &[u8]| Reject {
            line,
            reason: "not-json: x".into(),
            scrap: scrap.to_vec(),
            bytes: scrap.len() as u64,
        };
        rejects.flush().unwrap();
        assert!(!rejects.path().exists());
        rejects.keep("a.json", &reject(3, b"say \"hi\"")).unwrap();
        rejects.keep("a.json", &reject(4, b"\xff\0")).unwrap();
        rejects.flush().unwrap();
        assert_eq!(
            fs::read_to_string(rejects.path()).unwrap(),
            "{\"input\":\"a.json\",\"line\":3,\"reason\":\"not-json: x\",\"bytes\":8,\"text\":\"say \\\"hi\\\"\"}\n\
             {\"input\":\"a.json\",\"line\":4,\"reason\":\"not-json: x\",\"bytes\":2,\"hex\":\"ff00\"}\n"
        );
    }

    #[test]
    fn half_a_line_that_a_killed_run_has_left_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rejects.jsonl");
        for (before, lines) in [("", 1), ("{}\n", 2), ("{}\n{\"inp", 3)] {
            fs::write(&path, before).unwrap();
            let mut rejects = Rejects::into(folder.path(), "rejects.jsonl");
            rejects.keep("a", &Reject::of_file("missing".into())).unwrap();
            rejects.flush().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(
                (text.lines().count(), text.lines().last().unwrap().starts_with("{\"input")),
                (lines, true),
                "{text}"
            );
        }
    }
}
