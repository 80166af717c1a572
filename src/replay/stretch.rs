//! What a replay of the archive is about, in offsets of the stream.

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::patiently;
use super::tally::{Tally, thousands};
use crate::broker::{ArchiveStart, Broker};
use crate::config::{ArchiveArgs, Position, UsageError};
use crate::health::Dependency;
use crate::retry::Interrupted;

/// Offsets below `next` are done; those up to `end` are to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) next: u64,
    pub(super) end: u64,
    /// Messages that retention had removed before we came.
    pub(super) removed: u64,
    pub(super) tally: Tally,
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
    pub(super) async fn is_there(
        &self,
        broker: &Broker,
        server: &Dependency,
        shutdown: &CancellationToken,
    ) -> Result<bool, Interrupted> {
        let end = patiently(server, shutdown, async || broker.archive_end().await).await?;
        Ok(self.next >= self.end || end.is_some_and(|end| end + 1 >= self.end))
    }
}

/// The stretch that was asked for, in offsets; nothing when the archive is empty.
pub(super) async fn find(
    args: &ArchiveArgs,
    broker: &Broker,
    server: &Dependency,
    last: &std::path::Path,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Stretch>> {
    let offset = async |start| patiently(server, shutdown, async || broker.archive_offset(start).await).await;
    let Some(first) = offset(ArchiveStart::First).await? else { return Ok(None) };
    let Some(end) = patiently(server, shutdown, async || broker.archive_end().await).await? else {
        return Ok(None);
    };
    let mut removed = 0;
    let next = match args.since {
        None => first,
        Some(Position::Offset(asked)) if asked > end => {
            bail!("--since {asked}: the archive ends at offset {end}, there is nothing at or behind {asked}")
        }
        Some(Position::Offset(asked)) => {
            removed = first.saturating_sub(asked);
            asked.max(first)
        }
        Some(Position::Last) => {
            let next = std::fs::read(last).ok().and_then(|text| serde_json::from_slice(&text).ok());
            let Some(next) = next else {
                bail!(
                    "--since last: no replay of this archive to this queue has ended yet ({} is not there)",
                    last.display()
                )
            };
            if next > end + 1 {
                bail!(
                    "--since last: the last replay ended before offset {next}, and the archive ends at {end}: it is another one now; say from when on"
                )
            }
            removed = first.saturating_sub(next);
            next.max(first)
        }
        Some(Position::Time(time)) => {
            since(time, first, offset(ArchiveStart::Time(time)).await?, end, &mut removed)
        }
        Some(Position::Ago(ago)) => {
            let time = Utc::now() - ago;
            since(time, first, offset(ArchiveStart::Time(time)).await?, end, &mut removed)
        }
    };
    let until = match args.until {
        None => None,
        Some(Position::Offset(asked)) => Some(asked.saturating_add(1)),
        // As `check` has said.
        Some(Position::Last) => None,
        // The second itself is included.
        Some(Position::Time(time)) => offset(ArchiveStart::Time(time + TimeDelta::seconds(1))).await?,
        Some(Position::Ago(ago)) => {
            offset(ArchiveStart::Time(Utc::now() - ago + TimeDelta::seconds(1))).await?
        }
    };
    // One past the last, so that nothing at all can be said, too.
    let past_end = until.unwrap_or(u64::MAX).min(end + 1);
    if removed > 0 {
        tracing::warn!(
            "{} messages that were asked for have been removed by retention: the archive begins at offset {first}",
            thousands(removed)
        );
    }
    let end = past_end.max(next);
    Ok(Some(Stretch { next, end, removed, tally: Tally::default() }))
}

/// The offset that a time begins at. RabbitMQ goes to the oldest message for any time before it: then, unless that is the first
/// message ever, something older may have been removed.
fn since(time: DateTime<Utc>, first: u64, found: Option<u64>, end: u64, removed: &mut u64) -> u64 {
    let found = found.unwrap_or(end + 1);
    if found == first && first > 0 {
        tracing::warn!(
            "the archive begins at offset {first}; what was published from {time} on before that has been removed by retention"
        );
        *removed = (*removed).max(1);
    }
    found
}
