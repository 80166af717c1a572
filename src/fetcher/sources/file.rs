//! The sources file: read at the start, and again when its contents change.
//!
//! - The contents are compared, not times of change. So it does not matter how the file is replaced: in place, by a rename (most
//!   editors), or by another link (a ConfigMap of Kubernetes).
//! - A change counts when two reads give the same, so that a file that is being written is not taken for a short one.
//! - A file that names no source any more counts after minutes: many programs empty a file first and write it later.
//! - There is one read at a time, and nobody waits for it. A file system that hangs keeps one thread, not one for each look.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use xxhash_rust::xxh3::xxh3_64;

use super::list::{BadLine, List};
use crate::config::UsageError;
use crate::duration::Rounded;
use crate::terminal::Escaped;

/// How often the file is read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a look waits for its read. A read that takes longer is asked for at the next look.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// A read that takes longer is told: the file may be on a server that is away.
const READ_MAX: Duration = Duration::from_secs(5);
/// How long a file must name no source until that is taken for what its owner wants.
const EMPTY_MIN: Duration = Duration::from_secs(300);
/// The largest file taken: 200 bytes for each of the most sources.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// So many wrong lines are told one by one.
const BAD_TOLD_MAX: usize = 20;

/// A sources file, and its contents as they were last taken.
pub(super) struct SourcesFile {
    path: PathBuf,
    /// The read that has not ended.
    reading: Option<Reading>,
    /// Of the contents that were taken.
    taken: u64,
    /// They name sources.
    has_sources: bool,
    /// Of the contents of the last read, if they differ.
    seen: Option<u64>,
    /// Since when they name no source, which is told and not taken.
    empty_since: Option<Instant>,
    look_at: Instant,
    /// Why it cannot be read, as told.
    trouble: Option<String>,
    /// The wrong lines that were told and are still there.
    told: HashSet<String>,
}

/// A read of the file, on a thread of its own.
struct Reading {
    task: JoinHandle<Result<Vec<u8>, String>>,
    begun: Instant,
}

impl SourcesFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// [`UsageError`] if it cannot be read.
    pub(super) async fn open(path: &Path) -> Result<(Self, List), UsageError> {
        let text = match Reading::begin(path).within(READ_MAX).await {
            Some(ended) => ended,
            None => Err(no_answer()),
        };
        let text = text.map_err(|why| {
            UsageError(format!("--sources-file (SOURCES_FILE): cannot read {}: {why}", path.display()))
        })?;
        let list = List::parse(&text);
        let mut file = Self {
            path: path.to_owned(),
            reading: None,
            taken: xxh3_64(&text),
            has_sources: !list.sources.is_empty(),
            seen: None,
            empty_since: None,
            look_at: Instant::now() + LOOK_EVERY,
            trouble: None,
            told: HashSet::new(),
        };
        file.tell(&list);
        Ok((file, list))
    }

    /// When to look at the file again.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Looks at the file if it is time, and gives its sources if they have changed. Takes [`LOOK_MAX`] at most.
    pub(super) async fn look(&mut self) -> Option<List> {
        let now = Instant::now();
        if now < self.look_at {
            return None;
        }
        let mut reading = self.reading.take().unwrap_or_else(|| Reading::begin(&self.path));
        let ended = reading.within(LOOK_MAX).await;
        self.look_at = Instant::now() + LOOK_EVERY;
        match ended {
            Some(Ok(text)) => return self.take(&text),
            Some(Err(why)) => self.tell_trouble(why),
            None => {
                if reading.begun + READ_MAX <= now {
                    self.tell_trouble(no_answer());
                }
                self.reading = Some(reading);
            }
        }
        None
    }

    fn take(&mut self, text: &[u8]) -> Option<List> {
        if self.trouble.take().is_some() {
            tracing::info!(file = %self.path.display(), "the sources file {} can be read again", self.name());
        }
        let contents = xxh3_64(text);
        let is_seen_twice = self.seen.replace(contents) == Some(contents);
        if contents == self.taken {
            self.seen = None;
            if self.empty_since.take().is_some() {
                tracing::info!(file = %self.path.display(), "the sources file {} is as it was before", self.name());
            }
            return None;
        }
        if !is_seen_twice {
            self.empty_since = None;
            return None;
        }
        let list = List::parse(text);
        if list.sources.is_empty() && self.has_sources && !self.is_empty_for_long() {
            return None;
        }
        (self.taken, self.has_sources) = (contents, !list.sources.is_empty());
        (self.seen, self.empty_since) = (None, None);
        self.tell(&list);
        Some(list)
    }

    /// True if the file has been as empty for so long that this is no accident. Warns when it begins.
    fn is_empty_for_long(&mut self) -> bool {
        let now = Instant::now();
        if self.empty_since.is_none() {
            tracing::warn!(
                file = %self.path.display(),
                "the sources file {} names no source any more: the sources stay as they are. If it stays as it is for {}, they \
                 are not polled any more",
                self.name(), Rounded(EMPTY_MIN)
            );
        }
        now - *self.empty_since.get_or_insert(now) >= EMPTY_MIN
    }

    fn tell_trouble(&mut self, why: String) {
        if self.trouble.is_none() {
            tracing::warn!(
                file = %self.path.display(), error = why,
                "cannot read the sources file {}: {why}; the sources stay as they are, and the file is read again when it can be",
                self.name()
            );
        }
        self.trouble = Some(why);
    }

    /// Logs the lines that are left out, and that there is no source.
    fn tell(&mut self, list: &List) {
        let is_new = |bad: &&BadLine| !self.told.contains(&bad.text);
        let news: Vec<_> = list.bad.iter().filter(is_new).collect();
        for bad in news.iter().take(BAD_TOLD_MAX) {
            let (text, reason) = (Escaped(&bad.text), &bad.reason);
            tracing::warn!(
                file = %self.path.display(), line = bad.number,
                "the sources file {}, line {}: \"{text}\" is left out: {reason}", self.name(), bad.number
            );
        }
        if news.len() > BAD_TOLD_MAX {
            tracing::warn!(
                "the sources file {}: {} more lines are left out",
                self.name(),
                news.len() - BAD_TOLD_MAX
            );
        }
        self.told = list.bad.iter().map(|bad| bad.text.clone()).collect();
        if list.sources.is_empty() {
            tracing::warn!(
                "the sources file {} names no source; write one a line, such as repos/OWNER/REPO",
                self.name()
            );
        }
    }

    fn name(&self) -> String {
        Escaped(&self.path.display().to_string()).to_string()
    }
}

impl Reading {
    fn begin(path: &Path) -> Self {
        let path = path.to_owned();
        Self { task: spawn_blocking(move || read(&path)), begun: Instant::now() }
    }

    /// The contents, or why they cannot be read. None if the read takes longer. It goes on then.
    async fn within(&mut self, limit: Duration) -> Option<Result<Vec<u8>, String>> {
        let ended = timeout(limit, &mut self.task).await.ok()?;
        Some(ended.unwrap_or_else(|error| Err(error.to_string())))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

fn no_answer() -> String {
    format!("no answer within {} s", READ_MAX.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &List) -> Vec<String> {
        list.sources.iter().map(|listed| listed.source.to_string()).collect()
    }

    #[tokio::test]
    async fn a_change_counts_when_it_is_seen_twice_however_the_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sources");
        std::fs::write(&path, "repos/a/b\n").unwrap();
        let (mut file, list) = SourcesFile::open(&path).await.unwrap();
        assert_eq!(names(&list), ["repos/a/b"]);
        let mut look = async || {
            file.look_at = Instant::now();
            file.look().await.map(|list| names(&list))
        };
        assert_eq!((look().await, look().await), (None, None), "nothing has changed");
        // An editor that empties the file first.
        std::fs::write(&path, "").unwrap();
        assert_eq!(look().await, None);
        std::fs::write(&path, "repos/a/b\nrepos/a/c\n").unwrap();
        assert_eq!(look().await, None, "seen once");
        assert_eq!(look().await, Some(vec!["repos/a/b".into(), "repos/a/c".into()]));
        assert_eq!(look().await, None);
        let other = folder.path().join("other");
        std::fs::write(&other, "orgs/x").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!((look().await, look().await), (None, Some(vec!["orgs/x".into()])));
        // Kubernetes changes a link.
        std::fs::write(&other, "orgs/y").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look().await, None, "it is away for a moment");
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert_eq!((look().await, look().await), (None, Some(vec!["orgs/y".into()])));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_at_the_start_is_named_with_flag_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let huge = folder.path().join("huge");
        std::fs::File::create(&huge).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        for (path, reason) in
            [(&missing, "No such file"), (&folder.path().to_owned(), "directory"), (&huge, "larger")]
        {
            let error = SourcesFile::open(path).await.err().unwrap().to_string();
            for part in ["--sources-file (SOURCES_FILE)", &path.display().to_string(), reason] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    /// Looks now, and gives the names of the sources if they have changed.
    async fn look(file: &mut SourcesFile) -> Option<Vec<String>> {
        file.look_at = Instant::now();
        file.look().await.map(|list| names(&list))
    }

    #[tokio::test]
    async fn an_emptied_file_counts_after_five_minutes_of_the_same_and_any_other_text_starts_them_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sources");
        let full = "repos/a/b\nrepos/a/c\n";
        std::fs::write(&path, full).unwrap();
        let (mut file, _) = SourcesFile::open(&path).await.unwrap();
        // Looks once a minute, as far as the file can tell.
        let mut stay = async |text: &str, lasts_min: u32| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(look(&mut file).await, None, "seen once");
            for minute in 0..=lasts_min {
                assert_eq!(look(&mut file).await, None, "{text:?}, minute {minute}");
                file.empty_since = file.empty_since.map(|since| since - Duration::from_secs(60));
            }
        };
        stay("", 4).await;
        stay("# none\n", 4).await;
        stay("", 4).await;
        stay(full, 4).await;
        stay("nonsense\n", 4).await;
        assert_eq!(look(&mut file).await, Some(vec![]), "it is meant");
        std::fs::write(&path, full).unwrap();
        assert_eq!((look(&mut file).await, look(&mut file).await.unwrap().len()), (None, 2), "it is back");
        std::fs::write(&path, "").unwrap();
        let (mut begun_empty, _) = SourcesFile::open(&path).await.unwrap();
        std::fs::write(&path, "# none\n").unwrap();
        assert_eq!((look(&mut begun_empty).await, look(&mut begun_empty).await), (None, Some(vec![])));
    }

    /// A pipe in place of a file: whoever opens it waits until this is dropped, or until it is written to.
    struct Pipe<'a>(&'a Path);

    impl Drop for Pipe<'_> {
        fn drop(&mut self) {
            let pipe = std::fs::File::options().read(true).write(true).open(self.0);
            // So that reads that begin later find nothing.
            let _ = std::fs::remove_file(self.0);
            drop(pipe);
        }
    }

    impl<'a> Pipe<'a> {
        fn in_place_of(path: &'a Path) -> Self {
            std::fs::remove_file(path).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
            Self(path)
        }
    }

    #[test]
    fn a_file_system_that_hangs_keeps_one_thread_and_nobody_waiting() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(2).build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("sources");
            std::fs::write(&path, "repos/a/b\n").unwrap();
            let (mut file, _) = SourcesFile::open(&path).await.unwrap();
            let _pipe = Pipe::in_place_of(&path);
            let started = Instant::now();
            for _ in 0..5 {
                assert_eq!(look(&mut file).await, None);
            }
            assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
            let other_work = timeout(Duration::from_secs(10), spawn_blocking(|| ())).await;
            assert!(other_work.is_ok(), "no thread is left for others, such as look-ups of names");
            assert!(file.trouble.is_none());
            file.reading.as_mut().unwrap().begun -= READ_MAX;
            assert_eq!(look(&mut file).await, None);
            assert_eq!(file.trouble.as_deref(), Some("no answer within 5 s"));
            // It answers.
            std::fs::write(&path, "repos/a/c\n").unwrap();
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "repos/a/c\n").unwrap();
            while file.reading.is_some() {
                assert_eq!(look(&mut file).await, None, "seen once");
            }
            assert_eq!((look(&mut file).await, file.trouble), (Some(vec!["repos/a/c".into()]), None));
        });
    }
}
