//! What a replay of the archive is about, in offsets of the stream.

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::archive_last::LastReplay;
use super::archive_source::Source;
use super::tally::{Tally, thousands};
use crate::broker::ArchiveStart;
use crate::config::{ArchiveArgs, Position, UsageError};
use crate::lack::Lack;

/// Offsets below `next` are done; those up to `end` are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) next: u64,
    pub(super) end: u64,
    /// Messages that retention had removed before we came.
    pub(super) removed: u64,
    /// What the archive lacks of it, by the records that were met.
    #[serde(default)]
    pub(super) lack: Option<Lack>,
    pub(super) tally: Tally,
}

/// The offsets of the first and the last message that are there.
#[derive(Clone, Copy)]
struct There {
    first: u64,
    last: u64,
}

/// Where to begin, and how many of the messages that were asked for have been removed.
struct Begin {
    next: u64,
    removed: u64,
}

/// Refuses what cannot be meant, before anybody is asked.
///
/// # Errors
/// [`UsageError`] that names the flags.
pub(super) fn check(args: &ArchiveArgs) -> Result<(), UsageError> {
    let is_backwards = match (args.since, args.until) {
        (_, Some(Position::Last)) => return Err(UsageError("--until last: only --since can be last".into())),
        (Some(Position::Offset(since)), Some(Position::Offset(until))) => until < since,
        (Some(Position::Time(since)), Some(Position::Time(until))) => until < since,
        (Some(Position::Ago(since)), Some(Position::Ago(until))) => until > since,
        _ => false,
    };
    if is_backwards { Err(UsageError("--until is before --since".into())) } else { Ok(()) }
}

impl Stretch {
    /// False when the archive ends before it: RabbitMQ has lost the end of the stream, or somebody has deleted the stream, and
    /// offsets mean something else now.
    ///
    /// # Errors
    /// As [`Source::ask`].
    pub(super) async fn is_there(&self, source: &mut Source<'_>) -> anyhow::Result<bool> {
        let end = source.end().await?;
        Ok(self.next >= self.end || end.is_some_and(|end| end + 1 >= self.end))
    }
}

/// The stretch that was asked for, in offsets; nothing when the archive is empty.
///
/// # Errors
/// When `--since` names what is not there, and as [`Source::ask`].
pub(super) async fn find(
    args: &ArchiveArgs,
    source: &mut Source<'_>,
    last: &LastReplay,
) -> anyhow::Result<Option<Stretch>> {
    let Some(first) = source.offset(ArchiveStart::First).await? else { return Ok(None) };
    let Some(end) = source.end().await? else { return Ok(None) };
    let there = There { first, last: end };
    let Begin { next, removed } = match args.since {
        None => there.at(first),
        Some(Position::Offset(asked)) => there.at(there.check(asked)?),
        Some(Position::Last) => there.at(there.behind(last)?),
        Some(Position::Time(time)) => there.from(time, source.offset(ArchiveStart::Time(time)).await?),
        Some(Position::Ago(ago)) => {
            let time = Utc::now() - ago;
            there.from(time, source.offset(ArchiveStart::Time(time)).await?)
        }
    };
    // Exclusive, so that an empty range can be expressed.
    let end = until(args.until, source).await?.unwrap_or(u64::MAX).min(there.last + 1).max(next);
    Ok(Some(Stretch { next, end, removed, lack: None, tally: Tally::default() }))
}

/// The offset behind the last message that was asked for; nothing where that is the archive's end.
async fn until(asked: Option<Position>, source: &mut Source<'_>) -> anyhow::Result<Option<u64>> {
    let time = match asked {
        // `check` has refused the second.
        None | Some(Position::Last) => return Ok(None),
        Some(Position::Offset(asked)) => return Ok(Some(asked.saturating_add(1))),
        Some(Position::Time(time)) => time,
        Some(Position::Ago(ago)) => Utc::now() - ago,
    };
    // The second itself is included.
    source.offset(ArchiveStart::Time(time + TimeDelta::seconds(1))).await
}

impl There {
    /// Refuses an offset that nothing stands at or behind.
    fn check(self, asked: u64) -> anyhow::Result<u64> {
        let Self { last, .. } = self;
        if asked > last {
            bail!("--since {asked}: the archive ends at offset {last}, there is nothing at or behind {asked}")
        }
        Ok(asked)
    }

    /// The offset behind the last replay.
    fn behind(self, last_replay: &LastReplay) -> anyhow::Result<u64> {
        let next = last_replay.next()?;
        let Self { last, .. } = self;
        if next > last + 1 {
            bail!(
                "--since last: the last replay ended before offset {next}, and the archive ends at {last}: it is another one now; say from when on"
            )
        }
        Ok(next)
    }

    /// Begins at an offset, or at the first message if what stood there has been removed, and says so.
    fn at(self, asked: u64) -> Begin {
        let Self { first, .. } = self;
        let removed = first.saturating_sub(asked);
        if removed > 0 {
            tracing::warn!(
                "{} messages that were asked for have been removed by retention: the archive begins at offset {first}",
                thousands(removed)
            );
        }
        Begin { next: asked.max(first), removed }
    }

    /// Begins at the offset that RabbitMQ has `found` for a time. It gives the oldest message for any time before it. Unless
    /// that is the first message ever, something older may have been removed; nobody knows how much.
    fn from(self, time: DateTime<Utc>, found: Option<u64>) -> Begin {
        let Self { first, last } = self;
        let next = found.unwrap_or(last + 1);
        let is_cut = next == first && first > 0;
        if is_cut {
            tracing::warn!(
                "the archive begins at offset {first}; what was published from {time} on before that has been removed by retention"
            );
        }
        Begin { next, removed: u64::from(is_cut) }
    }
}
