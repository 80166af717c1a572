//! The inputs of `replay gharchive`, in order. The next hours are downloaded while one is read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

use crate::config::{UsageError, What};
use crate::event::{Hour, HourName};
use crate::gharchive::{Fetched, Mirrors};
use crate::terminal::Escaped;

/// Inputs that are made ready ahead of the one that is read. An hour takes about 0.1 GB of disk.
const AHEAD: usize = 3;

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Hour(Hour),
    File(PathBuf),
    Stdin,
}

impl Input {
    /// The inputs that `what` names, in order.
    ///
    /// # Errors
    /// [`UsageError`] for a file that does not exist, or hours in the future of `now`. It comes before the first event is published.
    pub(super) fn expand(what: &[What], now: DateTime<Utc>) -> Result<Vec<Self>, UsageError> {
        let mut inputs = Vec::new();
        for one in what {
            match one {
                // All of today may be asked for. A mistyped year must not become a million missing hours.
                What::Hours { last, .. } if *last > Hour::of(now + TimeDelta::days(1)) => {
                    return Err(UsageError(format!("{one}: it ends in the future")));
                }
                What::Hours { first, last } => inputs.extend(first.through(*last).map(Self::Hour)),
                What::File(path) if path.is_dir() => inputs.extend(files_of(path)?),
                What::File(path) => inputs.push(Self::File(check(path)?)),
                What::Stdin => inputs.push(Self::Stdin),
            }
        }
        Ok(inputs)
    }
}

/// The file's absolute path, which is the same wherever the command is run.
fn check(path: &Path) -> Result<PathBuf, UsageError> {
    let refuse = |why: String| UsageError(format!("{}: {why}", path.display()));
    let metadata = path.metadata().map_err(|error| {
        refuse(format!(
            "{error}: it must be a file of JSON lines, a folder of such files, or hours such as 2025-08-10-12 (see --help)"
        ))
    })?;
    if !metadata.is_file() {
        return Err(refuse("it is not a plain file: pipe it in (replay gharchive - < FILE)".into()));
    }
    path.canonicalize().map_err(|error| refuse(error.to_string()))
}

/// The files of events in a folder: those of hours in the order of the hours, then others by name.
fn files_of(folder: &Path) -> Result<Vec<Input>, UsageError> {
    let refuse = |why: &dyn fmt::Display| UsageError(format!("{}: {why}", folder.display()));
    let entries = folder.read_dir().map_err(|error| refuse(&error))?;
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.map(|entry| entry.path())) {
        let path = path.map_err(|error| refuse(&error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".json.gz").or_else(|| name.strip_suffix(".json"));
        let Some(stem) = stem.filter(|_| path.is_file()) else { continue };
        let hour = stem.parse().ok().map(|HourName(hour)| hour);
        files.push((hour.is_none(), hour, name, check(&path)?));
    }
    if files.is_empty() {
        return Err(refuse(&"it is a folder without files of events (.json.gz or .json)"));
    }
    files.sort();
    Ok(files.into_iter().map(|(.., path)| Input::File(path)).collect())
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour(hour) => HourName(*hour).fmt(f),
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                Escaped(&name.to_string_lossy()).fmt(f)
            }
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// An input and its file, if there is one. An hour has an outcome of each mirror, in their order.
pub(super) struct Ready {
    pub(super) input: Input,
    pub(super) fetched: Vec<Fetched>,
}

/// Makes `inputs` ready in order, some ahead: downloads run while the one before is published.
pub(super) fn make_ready(
    inputs: Vec<Input>,
    mirrors: &Mirrors,
    folder: &Path,
    shutdown: &CancellationToken,
) -> impl Stream<Item = anyhow::Result<Ready>> + use<> {
    // Downloads end with the stream, so that none writes into a folder that is being removed.
    let stop = shutdown.child_token();
    let context = Arc::new((mirrors.clone(), folder.to_owned(), stop.clone()));
    let guarded = (context, stop.drop_guard());
    stream::iter(inputs)
        .map(move |input| {
            let (context, _until_the_end) = &guarded;
            tokio::spawn(one(input, Arc::clone(context)))
        })
        .buffered(AHEAD)
        .map(|joined| joined?)
}

async fn one(input: Input, context: Arc<(Mirrors, PathBuf, CancellationToken)>) -> anyhow::Result<Ready> {
    let (mirrors, folder, shutdown) = &*context;
    let fetched = match &input {
        Input::Hour(hour) => {
            let fetched = mirrors.fetch(*hour, folder, shutdown).await;
            fetched.with_context(|| format!("hour {}", HourName(*hour)))?
        }
        Input::File(path) => vec![Fetched::File { path: path.clone(), is_ours: false }],
        Input::Stdin => vec![Fetched::File { path: PathBuf::new(), is_ours: false }],
    };
    Ok(Ready { input, fetched })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_hours_and_files_are_looked_for_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (file, empty) = (folder.path().join("x.json"), folder.path().join("empty"));
        std::fs::create_dir(&empty).unwrap();
        std::fs::write(&file, "").unwrap();
        let what = |text: &str| text.parse::<What>().unwrap();
        let inputs = Input::expand(
            &[what("2015-01-01-22..2015-01-02-0"), what(file.to_str().unwrap()), what("-")],
            Utc::now(),
        )
        .unwrap();
        let names: Vec<_> = inputs.iter().map(Input::to_string).collect();
        assert_eq!(names, ["2015-01-01-22", "2015-01-01-23", "2015-01-02-0", "x.json", "standard input"]);
        for (bad, why) in [
            ("/no/such/file.json", "must be a file"),
            (empty.to_str().unwrap(), "folder without files of events"),
            ("/dev/zero", "not a plain file"),
            ("2015-01-01-0..2105-01-01-23", "ends in the future"),
        ] {
            let error = Input::expand(&[what(bad)], Utc::now()).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn files_of_a_folder_come_in_the_order_of_their_hours_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "2015-01-02-3.json.gz",
            "2015-01-02-12.json",
            "2015-01-01-23.json.gz",
            "events.json",
            "lacks.jsonl",
            "2015-01-01-1.json.gz.part",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("old.json")).unwrap();
        let what = What::File(folder.path().into());
        let inputs = Input::expand(&[what, What::Stdin], Utc::now()).unwrap();
        let names: Vec<_> = inputs.iter().map(Input::to_string).collect();
        let expected = [
            "2015-01-01-23.json.gz",
            "2015-01-02-3.json.gz",
            "2015-01-02-12.json",
            "events.json",
            "standard input",
        ];
        assert_eq!(names, expected);
    }
}
