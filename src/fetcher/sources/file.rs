//! The sources file: read at the start, and again when its contents change.
//!
//! The contents are compared, not times of change. So it does not matter how the file is replaced: in place, by a rename (most
//! editors), or by another link (a ConfigMap of Kubernetes). A change counts when two reads give the same, so that a file that is
//! being written is not taken for a short one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::list::{BadLine, List};
use crate::config::UsageError;
use crate::terminal::Escaped;

/// How often the file is read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long reading may take: the file may be on a server that is away.
const READ_MAX: Duration = Duration::from_secs(5);
/// The largest file taken: 200 bytes for each of the most sources.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// So many wrong lines are told one by one.
const BAD_TOLD_MAX: usize = 20;

/// A sources file, and its contents as they were last taken.
pub(super) struct SourcesFile {
    path: PathBuf,
    /// Of the contents that were taken.
    taken: u64,
    /// Of the contents of the last read, if they differ.
    seen: Option<u64>,
    look_at: Instant,
    /// Why it cannot be read, as told.
    trouble: Option<String>,
    /// The wrong lines that were told and are still there.
    told: HashSet<String>,
}

impl SourcesFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// [`UsageError`] if it cannot be read.
    pub(super) async fn open(path: &Path) -> Result<(Self, List), UsageError> {
        let text = read(path).await.map_err(|why| {
            UsageError(format!("--sources-file (SOURCES_FILE): cannot read {}: {why}", path.display()))
        })?;
        let mut file = Self {
            path: path.to_owned(),
            taken: xxh3_64(&text),
            seen: None,
            look_at: Instant::now() + LOOK_EVERY,
            trouble: None,
            told: HashSet::new(),
        };
        let list = file.parse(&text);
        Ok((file, list))
    }

    /// When to look at the file again.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Looks at the file if it is time, and gives its sources if they have changed.
    pub(super) async fn look(&mut self) -> Option<List> {
        if Instant::now() < self.look_at {
            return None;
        }
        let text = read(&self.path).await;
        self.look_at = Instant::now() + LOOK_EVERY;
        match text {
            Ok(text) => self.take(&text),
            Err(why) => {
                self.tell_trouble(why);
                None
            }
        }
    }

    fn take(&mut self, text: &[u8]) -> Option<List> {
        if self.trouble.take().is_some() {
            tracing::info!(file = %self.path.display(), "the sources file {} can be read again", self.name());
        }
        let contents = xxh3_64(text);
        let is_seen_twice = self.seen.replace(contents) == Some(contents);
        if contents == self.taken {
            self.seen = None;
            return None;
        }
        if !is_seen_twice {
            return None;
        }
        (self.taken, self.seen) = (contents, None);
        Some(self.parse(text))
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

    fn parse(&mut self, text: &[u8]) -> List {
        let list = List::parse(text);
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
        list
    }

    fn name(&self) -> String {
        Escaped(&self.path.display().to_string()).to_string()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let reading = async {
        let size = tokio::fs::metadata(path).await?.len();
        if size > FILE_BYTES_MAX { Ok(None) } else { tokio::fs::read(path).await.map(Some) }
    };
    match tokio::time::timeout(READ_MAX, reading).await {
        Ok(Ok(Some(text))) => Ok(text),
        Ok(Ok(None)) => Err(format!("it is larger than {FILE_BYTES_MAX} bytes")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", READ_MAX.as_secs())),
    }
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
}
