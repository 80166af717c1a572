//! The range of the archive stream that a replay publishes: resolved from `--since` and `--until`, and checked against the stream.

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

use super::archive_access::ArchiveAccess;
use super::tally::Tally;
use crate::broker::ArchiveStart;
use crate::config::{Position, UsageError};
use crate::lack::Lack;

/// A range of offsets, and how much of it is done: offsets below `next` are done, those from `next` to before `end` are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StreamRange {
    pub(super) next: u64,
    pub(super) end: u64,
    /// Messages that retention had removed before they were read.
    pub(super) removed: u64,
    /// Events that the archive lacks, by the records in the range.
    #[serde(default)]
    pub(super) lack: Option<Lack>,
    pub(super) tally: Tally,
}

/// The offsets of the first and the last message of the archive.
#[derive(Clone, Copy)]
struct Bounds {
    first: u64,
    last: u64,
}

/// The offset at which the range begins, and the messages asked for that retention has removed.
struct Begin {
    next: u64,
    removed: Removed,
}

/// Messages before the range that were asked for and that retention has removed.
enum Removed {
    Nothing,
    Messages(u64),
    /// Perhaps some that were published from this time on. Their number is not known.
    Since(DateTime<Utc>),
}

/// Refuses flags that contradict each other, before RabbitMQ is asked.
///
/// # Errors
/// [`UsageError`] that names the flags.
pub(super) fn check(since: Option<Position>, until: Option<Position>) -> Result<(), UsageError> {
    let is_backwards = match (since, until) {
        (_, Some(Position::Last)) => return Err(UsageError("--until last: only --since can be last".into())),
        (Some(Position::Offset(since)), Some(Position::Offset(until))) => until < since,
        (Some(Position::Time(since)), Some(Position::Time(until))) => until < since,
        (Some(Position::Ago(since)), Some(Position::Ago(until))) => until > since,
        _ => false,
    };
    if is_backwards { Err(UsageError("--until is before --since".into())) } else { Ok(()) }
}

impl StreamRange {
    /// False when the archive ends before the range does. Then RabbitMQ has lost the end of the stream, or the stream was deleted,
    /// and its offsets belong to other messages now.
    ///
    /// # Errors
    /// As [`ArchiveAccess::ask`].
    pub(super) async fn is_there(&self, archive: &mut ArchiveAccess<'_>) -> anyhow::Result<bool> {
        let end = archive.end().await?;
        Ok(self.next >= self.end || end.is_some_and(|end| end + 1 >= self.end))
    }
}

/// Resolves `--since` and `--until` to offsets. None if the archive is empty. `last` is the offset behind the last replay.
///
/// # Errors
/// When `--since` names an offset that is not there, and as [`ArchiveAccess::ask`].
pub(super) async fn find(
    (since, until): (Option<Position>, Option<Position>),
    archive: &mut ArchiveAccess<'_>,
    last: impl FnOnce() -> anyhow::Result<u64>,
) -> anyhow::Result<Option<StreamRange>> {
    let Some(bounds) = Bounds::ask(archive).await? else { return Ok(None) };
    let begin = bounds.begin(since, archive, last).await?;
    begin.tell_removed(bounds);
    let Begin { next, removed } = begin;
    // Exclusive, so that an empty range can be expressed.
    let end = end(until, archive).await?.unwrap_or(u64::MAX).min(bounds.last + 1).max(next);
    Ok(Some(StreamRange { next, end, removed: removed.count(), lack: None, tally: Tally::default() }))
}

/// Resolves `--until` to the offset behind the last message. None if that is the archive's end.
async fn end(until: Option<Position>, archive: &mut ArchiveAccess<'_>) -> anyhow::Result<Option<u64>> {
    let time = match until {
        // `check` has refused `last`.
        None | Some(Position::Last) => return Ok(None),
        Some(Position::Offset(offset)) => return Ok(Some(offset.saturating_add(1))),
        Some(Position::Time(time)) => time,
        Some(Position::Ago(ago)) => Utc::now() - ago,
    };
    // The second itself is included.
    archive.offset(ArchiveStart::Time(time + TimeDelta::seconds(1))).await
}

impl Bounds {
    /// Asks RabbitMQ. None if the archive is empty.
    async fn ask(archive: &mut ArchiveAccess<'_>) -> anyhow::Result<Option<Self>> {
        let Some(first) = archive.offset(ArchiveStart::First).await? else { return Ok(None) };
        Ok(archive.end().await?.map(|last| Self { first, last }))
    }

    /// Resolves `--since`.
    async fn begin(
        self,
        since: Option<Position>,
        archive: &mut ArchiveAccess<'_>,
        last: impl FnOnce() -> anyhow::Result<u64>,
    ) -> anyhow::Result<Begin> {
        let time = match since {
            None => return Ok(self.at(self.first)),
            Some(Position::Offset(offset)) => return Ok(self.at(self.check(offset)?)),
            Some(Position::Last) => return Ok(self.at(self.behind(last()?)?)),
            Some(Position::Time(time)) => time,
            Some(Position::Ago(ago)) => Utc::now() - ago,
        };
        Ok(self.from(time, archive.offset(ArchiveStart::Time(time)).await?))
    }

    /// Refuses an offset behind the archive's end.
    fn check(self, offset: u64) -> anyhow::Result<u64> {
        let last = self.last;
        if offset > last {
            bail!(
                "--since {offset}: the archive ends at offset {last}, there is nothing at or after {offset}"
            )
        }
        Ok(offset)
    }

    /// Refuses an offset behind the last replay that is behind the archive's end, too.
    fn behind(self, next: u64) -> anyhow::Result<u64> {
        let last = self.last;
        if next > last + 1 {
            bail!(
                "--since last: the last replay ended before offset {next}, and the archive ends at {last}: it was declared again; give --since a time or an offset"
            )
        }
        Ok(next)
    }

    /// Begins at an offset, or at the first message if retention has removed the one at that offset.
    fn at(self, offset: u64) -> Begin {
        let removed = match self.first.saturating_sub(offset) {
            0 => Removed::Nothing,
            messages => Removed::Messages(messages),
        };
        Begin { next: offset.max(self.first), removed }
    }

    /// Begins at the offset that RabbitMQ has `found` for `time`. For a time before the oldest message, RabbitMQ gives that message.
    /// Unless it has offset 0, older messages may have been removed.
    fn from(self, time: DateTime<Utc>, found: Option<u64>) -> Begin {
        let next = found.unwrap_or(self.last + 1);
        let is_cut = next == self.first && self.first > 0;
        Begin { next, removed: if is_cut { Removed::Since(time) } else { Removed::Nothing } }
    }
}

impl Begin {
    /// Logs that messages asked for are not there any more.
    fn tell_removed(&self, Bounds { first, .. }: Bounds) {
        match self.removed {
            Removed::Nothing => {}
            Removed::Messages(count) => tracing::warn!(
                "{} messages that were asked for have been removed by retention: the archive begins at offset {first}",
                HumanCount(count)
            ),
            Removed::Since(time) => tracing::warn!(
                "the archive begins at offset {first}; messages before it that were published from {time} on have been removed by retention"
            ),
        }
    }
}

impl Removed {
    /// The number of messages, 1 where it is not known.
    fn count(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Messages(count) => *count,
            Self::Since(_) => 1,
        }
    }
}
