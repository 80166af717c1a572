//! Backfill: publishes old events again, and does nothing else. Loaders load them, and the mark of each event makes a second load
//! harmless. So every replay may be killed and repeated.
//!
//! There are four sources: GH Archive, the archive stream, dead letters, and gaps that the fetcher recorded. `export` writes the archive
//! stream into files, and publishes nothing.
//!
//! - `feeder` publishes, for all sources.
//! - `state` saves the position of a replay on disk.
//! - `inputs` and `reading` fetch and read files of GH Archive.

mod archive;
mod archive_access;
mod archive_batch;
mod archive_lack;
mod archive_last;
mod archive_reset;
mod ask;
mod dead;
mod export;
mod feeder;
mod gap_files;
mod gap_fill;
mod gap_find;
mod gap_list;
mod gap_outcome;
mod gap_plan;
mod gap_queue;
mod gap_search;
mod gaps;
mod gharchive;
mod inputs;
mod progress;
mod queue_access;
mod reading;
mod rejects;
mod state;
mod stream_range;
mod table;
mod tally;

use std::io::Write as _;

use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, PublishError};
use crate::config::{ReplaySource, Tls};
use crate::gharchive::FetchError;
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// Replays from `source` until all of it is published, or `shutdown`.
///
/// # Errors
/// When the replay failed, or could not do all that was asked for. The text says why, and where to look.
pub async fn run(
    source: ReplaySource,
    broker: Broker,
    tls: &Tls,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let ended = match source {
        ReplaySource::GhArchive(args) => gharchive::run(&args, &broker, tls, health, shutdown).await,
        ReplaySource::Archive(args) => archive::run(&args, &broker, health, shutdown).await,
        ReplaySource::Dead(args) => dead::run(&args, &broker, health, shutdown).await,
        ReplaySource::Export(args) => export::run(&args, &broker, health, shutdown).await,
        ReplaySource::Gaps(args) => gaps::run(&args, &broker, tls, health, shutdown).await,
    };
    match Ended::of(&ended) {
        // The user asked the program to stop, so this is no failure.
        Ended::Stopped => Ok(()),
        Ended::Whole | Ended::Failed => ended,
    }
}

/// How a replay ended.
enum Ended {
    Whole,
    /// The program got a signal to stop.
    Stopped,
    Failed,
}

impl Ended {
    fn of<T>(result: &anyhow::Result<T>) -> Self {
        let Err(error) = result else { return Self::Whole };
        let is_stop = error.chain().any(|cause| {
            cause.is::<Interrupted>()
                || matches!(cause.downcast_ref(), Some(PublishError::Interrupted(_)))
                || matches!(cause.downcast_ref(), Some(FetchError::Interrupted(_)))
        });
        if is_stop { Self::Stopped } else { Self::Failed }
    }
}

/// Asks RabbitMQ until it answers.
async fn ask_until_answered<T>(
    server: &Dependency,
    shutdown: &CancellationToken,
    ask: impl AsyncFn() -> Result<T, BrokerError>,
) -> Result<T, Interrupted> {
    let mut backoff = Backoff::for_server();
    loop {
        let asked = tokio::select! {
            asked = ask() => asked,
            () = shutdown.cancelled() => return Err(Interrupted),
        };
        match asked {
            Ok(answer) => {
                server.up();
                return Ok(answer);
            }
            // Also "no such queue": after a restart, RabbitMQ says so for some seconds.
            Err(error) => server.away(error),
        }
        backoff.pause(shutdown).await?;
    }
}

/// Prints data. A reader that is gone is no error.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            tracing::error!("write to standard output: {error}");
        }
        _ => {}
    }
}
