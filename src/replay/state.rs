//! The position of a replay on disk. A rerun of the same command continues after the last confirm.

use std::fs::{self, File, TryLockError};
use std::hash::{Hash, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

/// How often a position is written at most. A flush to disk for each confirm would be too slow; events that are published twice after
/// a crash have no second effect.
const SAVE_EVERY: Duration = Duration::from_millis(500);
const POSITION: &str = "position.json";

/// The folder of one command: its position and downloads. Locked while the command runs.
pub(super) struct StateFolder {
    path: PathBuf,
    /// Released when the process ends, however it ends.
    _lock: File,
    saved_at: Option<Instant>,
    has_complained: bool,
}

impl StateFolder {
    /// Opens the folder of a command, below `root`. `identity` distinguishes the command from all others. `name` is the readable part.
    ///
    /// # Errors
    /// When it cannot be written, or the same command is running.
    pub(super) fn open(root: &Path, name: &str, identity: &impl Hash) -> anyhow::Result<Self> {
        let path = root.join(self::name(name, identity));
        let remedy = "(choose another folder with --state-dir, REPLAY_STATE_DIR)";
        fs::create_dir_all(root).with_context(|| format!("create {} {remedy}", root.display()))?;
        // Beside the folder, because the holder of the lock removes the folder in the end.
        let lock_path = path.with_extension("lock");
        let lock =
            File::create(&lock_path).with_context(|| format!("create {} {remedy}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("the same replay is running already ({} is locked)", lock_path.display())
            }
            // Not every file system has locks; two runs at once would only publish twice.
            Err(TryLockError::Error(error)) => tracing::debug!("locking {}: {error}", lock_path.display()),
        }
        fs::create_dir_all(&path).with_context(|| format!("create {} {remedy}", path.display()))?;
        Ok(Self { path, _lock: lock, saved_at: None, has_complained: false })
    }

    /// Where downloads go.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The position that was saved last, if there is one that can be read.
    pub(super) fn load<T: DeserializeOwned>(&self) -> Option<T> {
        let path = self.path.join(POSITION);
        let text = fs::read(&path).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(|error| {
                tracing::warn!("{} cannot be used ({error}): beginning at the start", path.display())
            })
            .ok()
    }

    /// Saves a position, unless one was saved a moment ago.
    pub(super) fn save_if_due<T: Serialize>(&mut self, position: &T) {
        if self.saved_at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.save(position);
        }
    }

    /// Saves a position. A disk error does not stop the work: the last position stays, and a rerun publishes more events again.
    pub(super) fn save<T: Serialize>(&mut self, position: &T) {
        self.saved_at = Some(Instant::now());
        match write_whole(&self.path.join(POSITION), position) {
            Ok(()) => self.has_complained = false,
            Err(error) if !self.has_complained => {
                self.has_complained = true;
                tracing::warn!(
                    "saving the position in {}: {error:#}; continuing without it",
                    self.path.display()
                );
            }
            Err(_) => {}
        }
    }

    /// Removes everything: the command is done.
    pub(super) fn forget(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("remove {}: {error}", self.path.display());
        }
    }
}

impl Drop for StateFolder {
    /// Leaves nothing behind where there is nothing to remember.
    fn drop(&mut self) {
        // Fails where the folder is not empty.
        let _ = fs::remove_dir(&self.path);
        if !self.path.exists() {
            // Last: until then no other process may begin. A file that stays is harmless.
            let _ = fs::remove_file(self.path.with_extension("lock"));
        }
    }
}

/// `name` with a hash of `identity`. XXH3 without a seed, because names outlive a build: the standard library's hasher may differ from
/// one version of Rust to the next.
pub(super) fn name(name: &str, identity: &impl Hash) -> String {
    let mut hasher = Xxh3::new();
    identity.hash(&mut hasher);
    format!("{name}-{:016x}", hasher.finish())
}

/// Writes a file whole or not at all, whenever the machine stops.
pub(super) fn write_whole<T: Serialize>(path: &Path, content: &T) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        // Makes the rename last; not every file system can.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_again_by_the_same_command_only_and_forgotten_in_the_end() {
        let root = tempfile::tempdir().unwrap();
        let open = |identity: &str| StateFolder::open(root.path(), "test", &identity).unwrap();
        let mut one = open("one");
        assert_eq!(one.load::<u64>(), None);
        one.save(&7_u64);
        drop(one);
        assert_eq!(open("one").load(), Some(7_u64));
        assert_eq!(open("two").load::<u64>(), None);
        open("one").forget();
        assert_eq!(open("one").load::<u64>(), None);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_name_of_a_command_is_the_same_in_every_build() {
        let identity = (("127.0.0.1:5672", Some("eu")), (vec!["PushEvent"], 7_u64, false));
        assert_eq!(name("gharchive", &identity), "gharchive-210a6f897c80b909");
    }

    #[test]
    fn the_same_command_does_not_run_twice_at_once() {
        let root = tempfile::tempdir().unwrap();
        let _first = StateFolder::open(root.path(), "test", &1).unwrap();
        let error = StateFolder::open(root.path(), "test", &1).err().unwrap().to_string();
        assert!(error.contains("running already"), "{error}");
        assert!(StateFolder::open(root.path(), "test", &2).is_ok());
    }

    #[test]
    fn a_position_that_is_damaged_or_cannot_be_written_ends_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = StateFolder::open(root.path(), "test", &1).unwrap();
        fs::write(folder.path.join(POSITION), "{").unwrap();
        assert_eq!(folder.load::<u64>(), None);
        folder.save(&3_u64);
        fs::create_dir(folder.path.join("position.new")).unwrap();
        folder.save(&4_u64);
        assert_eq!(folder.load(), Some(3_u64));
    }
}
