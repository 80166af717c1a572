//! The events of one hour that are not in the hour's file yet: gzipped lines in a temporary file, and the marks of the events.
//!
//! A spool may be lost: a restart reads its messages again. So it is not synced to disk.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::cursor::Cursor;
use super::line::{self, Mark};

/// Bytes of lines that are compressed at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The events of an hour, on their way into its file. The temporary file is removed when it is dropped.
pub(super) struct Spool {
    path: PathBuf,
    /// Where reading begins again if this spool is lost.
    pub(super) begin: Cursor,
    /// When its events go into the hour's file, by the clock.
    pub(super) due: DateTime<Utc>,
    marks: HashSet<Mark>,
    /// Lines that are not compressed yet.
    buffer: Vec<u8>,
    /// The gzip member that is being written. It holds about 0.3 MB of memory.
    member: Option<GzEncoder<File>>,
    members: u64,
    /// Grows with each use of an open member: those used longest ago are ended first.
    pub(super) used: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is a line now.
    Line,
    /// It is a line now, and had several before.
    Joined,
    /// Its mark is there already.
    Duplicate,
}

impl Spool {
    /// An empty spool with its temporary file at `path`.
    pub(super) fn new(path: PathBuf, begin: Cursor, due: DateTime<Utc>) -> Self {
        let (marks, buffer) = (HashSet::new(), Vec::new());
        Self { path, begin, due, marks, buffer, member: None, members: 0, used: 0 }
    }

    /// Takes an event, unless it has it.
    pub(super) fn take(&mut self, mark: Mark, body: &[u8]) -> Taken {
        if !self.marks.insert(mark) {
            return Taken::Duplicate;
        }
        if line::append(&mut self.buffer, body) { Taken::Line } else { Taken::Joined }
    }

    /// Bytes of lines in memory.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// True if the lines in memory are worth a write.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= BUFFER_BYTES
    }

    pub(super) fn marks(&self) -> &HashSet<Mark> {
        &self.marks
    }

    /// The gzip members written so far.
    pub(super) fn members(&self) -> u64 {
        self.members
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True if a gzip member is open.
    pub(super) fn is_open(&self) -> bool {
        self.member.is_some()
    }

    /// Writes the lines in memory into the open member, or into a new one, which stays open.
    ///
    /// # Errors
    /// The disk's. The file is then of no use.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let member = match &mut self.member {
            Some(member) => member,
            None => {
                let file = File::options().create(true).append(true).open(&self.path)?;
                self.members += 1;
                self.member.insert(GzEncoder::new(file, Compression::default()))
            }
        };
        member.write_all(&self.buffer)?;
        self.buffer.clear();
        // An event can have 4 MiB.
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        Ok(())
    }

    /// Ends the open member: the file is whole then, without the lines in memory.
    ///
    /// # Errors
    /// The disk's. The file is then of no use.
    pub(super) fn end_member(&mut self) -> io::Result<()> {
        self.member.take().map_or(Ok(()), |member| member.finish().map(drop))
    }

    /// Writes all lines in memory, and ends the open member unless it was open before.
    ///
    /// # Errors
    /// The disk's. The file is then of no use.
    pub(super) fn spill(&mut self) -> io::Result<()> {
        let was_open = self.is_open();
        self.write()?;
        if was_open { Ok(()) } else { self.end_member() }
    }

    /// Writes everything, so that the file is whole.
    ///
    /// # Errors
    /// The disk's. The file is then of no use.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.write()?;
        self.end_member()
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It is not there if it has become the hour's file.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn text_of(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn each_event_is_once_in_the_file_over_as_many_members_as_it_was_written_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.part");
        let mut spool = Spool::new(path.clone(), Cursor::at(7), Utc::now());
        assert_eq!(spool.take(1, b"one"), Taken::Line);
        assert_eq!(spool.take(1, b"one"), Taken::Duplicate);
        spool.spill().unwrap();
        assert!(!spool.is_open() && spool.buffered() == 0);
        assert_eq!(spool.take(2, b"t\nwo"), Taken::Joined);
        spool.write().unwrap();
        assert_eq!(spool.take(3, &[b'3'; BUFFER_BYTES]), Taken::Line);
        assert!(spool.is_full());
        spool.spill().unwrap();
        assert!(spool.is_open());
        spool.end().unwrap();
        assert_eq!((spool.members(), spool.marks().len()), (2, 3));
        assert_eq!(text_of(&path), format!("one\nt wo\n{}\n", "3".repeat(BUFFER_BYTES)));
        drop(spool);
        assert!(!path.exists());
    }
}
