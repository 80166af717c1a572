//! Puts the events of a spool into the file of their hour. The file is replaced whole: its readers see the one before or the new one.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use tokio_util::sync::CancellationToken;

use super::line::{self, Mark};
use super::spool::Spool;
use crate::event::Event;
use crate::gharchive::{self, Reader};
use crate::retry::Interrupted;

/// What was done to an hour's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// False if the file existed before.
    pub(super) is_new: bool,
    /// Events that it did not have.
    pub(super) events: u64,
    /// Events that it had.
    pub(super) duplicates: u64,
    /// The size of the file, in bytes.
    pub(super) size: u64,
}

/// Adds the events of `spool` to `file`, without those that it has already. Late events become a gzip member of their own.
///
/// The new file is made beside, as `whole`, synced, and renamed.
///
/// # Errors
/// The disk's; a file that cannot be read to its end; [`Interrupted`]. `file` is then as it was.
pub(super) fn add(
    spool: &mut Spool,
    file: &Path,
    whole: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<Added> {
    spool.end().with_context(|| format!("write {}", spool.path().display()))?;
    let is_new = !file.try_exists().with_context(|| format!("look for {}", file.display()))?;
    let known = if is_new { HashSet::new() } else { known(file, spool.marks(), stop)? };
    let duplicates = known.len() as u64;
    let events = spool.marks().len() as u64 - duplicates;
    if events > 0 {
        let ready = if is_new && spool.members() == 1 {
            spool.path()
        } else {
            make(spool, &known, (!is_new).then_some(file), whole, stop)
                .with_context(|| format!("write {}", whole.display()))?;
            whole
        };
        replace(ready, file).with_context(|| format!("write {}", file.display()))?;
    }
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok(Added { is_new, events, duplicates, size })
}

/// Those of `marks` whose events `file` has.
fn known(file: &Path, marks: &HashSet<Mark>, stop: &CancellationToken) -> anyhow::Result<HashSet<Mark>> {
    let known = RefCell::new(HashSet::new());
    let note = |event: &Event<'_>| {
        let mark = line::mark(event);
        if marks.contains(&mark) {
            known.borrow_mut().insert(mark);
        }
        false
    };
    let raw = File::open(file).with_context(|| format!("open {}", file.display()))?;
    for batch in Reader::new(raw, gharchive::Mark::default(), note) {
        check(stop)?;
        if let Some(reject) = batch.rejects.last().filter(|_| batch.breaks_off) {
            bail!(
                "{} cannot be read to its end ({}), so nothing can be added to it; move it away or repair it, then run the same command again",
                file.display(),
                reject.reason
            );
        }
    }
    Ok(known.into_inner())
}

/// Makes the file `whole`: the bytes of `before`, if there are any, then the events of `spool` without those that are `known`.
fn make(
    spool: &Spool,
    known: &HashSet<Mark>,
    before: Option<&Path>,
    whole: &Path,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut into = File::create(whole)?;
    if let Some(before) = before {
        io::copy(&mut File::open(before)?, &mut into)?;
    }
    if known.is_empty() && spool.members() == 1 {
        io::copy(&mut File::open(spool.path())?, &mut into)?;
        return Ok(());
    }
    compress(spool, known, into, stop)
}

/// Writes the lines of `spool` into one gzip member, without those that are `known`.
fn compress(
    spool: &Spool,
    known: &HashSet<Mark>,
    into: File,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(File::open(spool.path())?)));
    let mut member = GzEncoder::new(BufWriter::new(into), Compression::default());
    let mut line = Vec::new();
    let is_known = |line: &[u8]| {
        // The clock may have been set back since: then an event seems to be of the future, and is kept.
        !known.is_empty() && Event::parse(line).is_ok_and(|event| known.contains(&line::mark(&event)))
    };
    while lines.read_until(b'\n', &mut line)? > 0 {
        check(stop)?;
        if !is_known(&line) {
            member.write_all(&line)?;
        }
        line.clear();
    }
    member.finish()?.flush()?;
    Ok(())
}

/// Puts `whole` in the place of `file`, so that it is there after a crash of the machine as well.
fn replace(whole: &Path, file: &Path) -> io::Result<()> {
    File::open(whole)?.sync_all()?;
    fs::rename(whole, file)?;
    if let Some(folder) = file.parent() {
        // Not every file system can.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

fn check(stop: &CancellationToken) -> Result<(), Interrupted> {
    if stop.is_cancelled() { Err(Interrupted) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a part of a file is given by ranges, often one")]
mod tests {
    use std::io::Read as _;
    use std::path::PathBuf;

    use chrono::Utc;

    use super::super::cursor::Cursor;
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        file: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("2015-01-01-0.json.gz");
            Self { folder, file }
        }

        /// Adds events, some at a time: each part is a member of the spool.
        fn add(&self, parts: &[std::ops::Range<u32>]) -> anyhow::Result<Added> {
            self.add_unless(parts, &CancellationToken::new())
        }

        fn add_unless(
            &self,
            parts: &[std::ops::Range<u32>],
            stop: &CancellationToken,
        ) -> anyhow::Result<Added> {
            let path = self.folder.path().join("spool.part");
            let mut spool = Spool::new(path, Cursor::at(0), Utc::now());
            for ids in parts {
                for text in ids.clone().map(event) {
                    spool.take(line::mark(&Event::parse(text.as_bytes()).unwrap()), text.as_bytes());
                }
                spool.spill().unwrap();
            }
            add(&mut spool, &self.file, &self.folder.path().join("whole.part"), stop)
        }

        fn ids(&self) -> Vec<u32> {
            let mut text = String::new();
            MultiGzDecoder::new(BufReader::new(File::open(&self.file).unwrap()))
                .read_to_string(&mut text)
                .unwrap();
            let id = |line: &str| line[7..].split('"').next().unwrap().parse().unwrap();
            text.lines().map(|line| (id(line), assert_eq!(line, event(id(line)))).0).collect()
        }

        fn members(&self) -> usize {
            let (bytes, mut rest, mut members) = (fs::read(&self.file).unwrap(), Vec::new(), 0);
            let mut raw = &bytes[..];
            while !raw.is_empty() {
                let mut member = flate2::bufread::GzDecoder::new(raw);
                member.read_to_end(&mut rest).unwrap();
                raw = member.into_inner();
                members += 1;
            }
            members
        }

        fn names(&self) -> Vec<String> {
            let entries = self.folder.path().read_dir().unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        }
    }

    fn event(id: u32) -> String {
        format!(r#"{{"id":"{id}","type":"A","created_at":"2015-01-01T00:00:00Z","x":"{}"}}"#, id * 7919)
    }

    #[test]
    fn a_new_file_is_one_member_however_its_events_came() {
        for parts in [vec![0..6], vec![0..2, 2..5, 5..6]] {
            let place = Place::new();
            let added = place.add(&parts).unwrap();
            assert_eq!((added.is_new, added.events, added.duplicates), (true, 6, 0));
            assert_eq!(added.size, place.file.metadata().unwrap().len());
            assert_eq!(place.ids(), [0, 1, 2, 3, 4, 5]);
            assert_eq!((place.members(), place.names().len()), (1, 1));
        }
    }

    #[test]
    fn late_events_are_one_member_more_without_those_that_are_there() {
        let place = Place::new();
        place.add(&[0..3]).unwrap();
        let added = place.add(&[3..5]).unwrap();
        assert_eq!((added.is_new, added.events, added.duplicates), (false, 2, 0));
        let added = place.add(&[1..4, 4..7]).unwrap();
        assert_eq!((added.is_new, added.events, added.duplicates), (false, 2, 4));
        assert_eq!(place.ids(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((place.members(), place.names().len()), (3, 1));
        let before = fs::read(&place.file).unwrap();
        let added = place.add(&[0..1, 1..7]).unwrap();
        assert_eq!((added.events, added.duplicates), (0, 7));
        assert_eq!(fs::read(&place.file).unwrap(), before);
    }

    #[test]
    fn a_file_of_a_run_that_was_killed_is_no_part_of_the_new_one() {
        let place = Place::new();
        fs::write(place.folder.path().join("whole.part"), "torn").unwrap();
        place.add(&[0..2, 2..4]).unwrap();
        assert_eq!(place.ids(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_damaged_file_stays_as_it_is_and_is_told() {
        let place = Place::new();
        place.add(&[0..300]).unwrap();
        let mut bytes = fs::read(&place.file).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&place.file, &bytes).unwrap();
        let error = place.add(&[300..301]).unwrap_err().to_string();
        assert!(error.contains("2015-01-01-0.json.gz cannot be read to its end (truncated"), "{error}");
        assert_eq!(fs::read(&place.file).unwrap(), bytes);
    }

    #[test]
    fn a_stop_leaves_the_file_as_it_was() {
        let place = Place::new();
        place.add(&[0..3]).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        assert!(place.add_unless(&[3..4], &stop).unwrap_err().is::<Interrupted>());
        assert_eq!(place.ids(), [0, 1, 2]);
    }
}
