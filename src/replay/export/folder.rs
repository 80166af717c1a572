//! The folder of an export: the hourly files, and below `.export` everything else: lock, position, temporary files.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::hash::Hash;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::super::state;
use super::cursor::Cursor;
use crate::event::{Hour, HourName};
use crate::lack::Lack;

/// Below the folder. On the same file system, because files are renamed. A web server that serves the folder has no access to it.
const HIDDEN: &str = ".export";
const HIDDEN_MODE: u32 = 0o700;
/// The ending of temporary files.
const PART: &str = "part";
/// The records of events that the archive lacks, one a line.
const LACKS: &str = "lacks.jsonl";
/// How often a position is written at most.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The folder, locked against another export.
pub(super) struct Folder {
    root: PathBuf,
    /// Released when the process ends, however it ends.
    _lock: File,
    /// The file of the position.
    position: PathBuf,
    saved: Option<(Cursor, Instant)>,
}

impl Folder {
    /// Opens `root`, or makes it, and removes the temporary files of a run that was killed. `identity` distinguishes the archive, and
    /// the events that are exported of it: each has a position of its own.
    ///
    /// # Errors
    /// When it cannot be written, or another export writes into it.
    pub(super) fn open(root: &Path, identity: &impl Hash) -> anyhow::Result<Self> {
        let hidden = root.join(HIDDEN);
        let remedy = "(choose another folder with --to)";
        fs::create_dir_all(root).with_context(|| format!("create {} {remedy}", root.display()))?;
        let made = DirBuilder::new().recursive(true).mode(HIDDEN_MODE).create(&hidden);
        made.with_context(|| format!("create {} {remedy}", hidden.display()))?;
        let lock_path = hidden.join("lock");
        let lock =
            File::create(&lock_path).with_context(|| format!("create {} {remedy}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another export writes into {} ({} is locked): wait for its end, or choose another folder with --to",
                root.display(),
                lock_path.display()
            ),
            Err(TryLockError::Error(error)) => tracing::warn!(
                "{} cannot be locked ({error}): see to it that only one export writes into {}",
                lock_path.display(),
                root.display()
            ),
        }
        let position = hidden.join(format!("{}.json", state::name("position", identity)));
        let folder = Self { root: root.to_owned(), _lock: lock, position, saved: None };
        folder.clean().with_context(|| format!("remove temporary files in {}", hidden.display()))?;
        Ok(folder)
    }

    fn clean(&self) -> std::io::Result<()> {
        for entry in self.root.join(HIDDEN).read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == PART) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of an hour, under its final name.
    pub(super) fn file(&self, hour: Hour) -> PathBuf {
        self.root.join(format!("{}.json.gz", HourName(hour)))
    }

    /// The temporary file of an hour's spool.
    pub(super) fn spool(&self, hour: Hour) -> PathBuf {
        self.root.join(HIDDEN).join(format!("{}.{PART}", HourName(hour)))
    }

    /// The temporary file that replaces an hour's file.
    pub(super) fn whole(&self) -> PathBuf {
        self.root.join(HIDDEN).join(format!("whole.{PART}"))
    }

    /// The position that was saved last: the events of all messages before it are in files.
    pub(super) fn load(&self) -> Option<Cursor> {
        let text = fs::read(&self.position).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(|error| {
                tracing::warn!(
                    "{} cannot be used ({error}): beginning at the archive's first message",
                    self.position.display()
                );
            })
            .ok()
    }

    /// Saves a position, unless one was saved a moment ago or it is the same.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn save_if_due(&mut self, cursor: Cursor) -> anyhow::Result<()> {
        let is_recent = self.saved.is_some_and(|(_, at)| at.elapsed() < SAVE_EVERY);
        if is_recent { Ok(()) } else { self.save(cursor) }
    }

    /// Saves a position.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn save(&mut self, cursor: Cursor) -> anyhow::Result<()> {
        if self.saved.is_none_or(|(saved, _)| saved != cursor) {
            let path = &self.position;
            state::write_whole(path, &cursor).with_context(|| format!("write {}", path.display()))?;
        }
        self.saved = Some((cursor, Instant::now()));
        Ok(())
    }

    /// Writes a record of events that the archive lacks into a file beside the hours, unless it is there.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn note_lack(&self, lack: &Lack) -> anyhow::Result<()> {
        let (path, json) = (self.root.join(LACKS), lack.json());
        let note = || {
            let before = fs::read(&path).unwrap_or_default();
            if before.split(|byte| *byte == b'\n').any(|line| line == json) {
                return Ok(());
            }
            // The last line of a run that was killed may have no end.
            let separator = if before.is_empty() || before.ends_with(b"\n") { "" } else { "\n" };
            let mut file = File::options().create(true).append(true).open(&path)?;
            file.write_all(&[separator.as_bytes(), &json, b"\n"].concat())?;
            file.sync_all()
        };
        note().with_context(|| format!("write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_export_at_a_time_writes_into_a_folder_and_each_archive_has_a_position() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let mut folder = Folder::open(&path, &"one").unwrap();
        let error = Folder::open(&path, &"two").err().unwrap().to_string();
        assert!(error.contains("another export writes into"), "{error}");
        folder.save(Cursor::behind(6, b"x")).unwrap();
        // A moment later: too early.
        folder.save_if_due(Cursor::at(9)).unwrap();
        fs::write(folder.spool("2015-01-01-03".parse().unwrap()), "torn").unwrap();
        drop(folder);
        let folder = Folder::open(&path, &"one").unwrap();
        assert_eq!(folder.load(), Some(Cursor::behind(6, b"x")));
        assert!(!folder.spool("2015-01-01-03".parse().unwrap()).exists());
        drop(folder);
        assert_eq!(Folder::open(&path, &"two").unwrap().load(), None);
    }

    #[test]
    fn files_have_gh_archives_names_and_a_lack_is_noted_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path(), &1).unwrap();
        assert_eq!(folder.file("2015-01-01-03".parse().unwrap()), root.path().join("2015-01-01-3.json.gz"));
        let lack = Lack::of_one("2015-01-01T03:00:00Z".parse().unwrap());
        fs::write(root.path().join(LACKS), "{\"torn").unwrap();
        folder.note_lack(&lack).unwrap();
        folder.note_lack(&lack).unwrap();
        let text = fs::read_to_string(root.path().join(LACKS)).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(Lack::parse(text.lines().last().unwrap().as_bytes()), Ok(lack));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = format!("{:#}", Folder::open(&file.join("x"), &1).err().unwrap());
        assert!(error.contains("file/x (choose another folder with --to)"), "{error}");
    }
}
