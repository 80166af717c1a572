//! `replay archive --reset`: deletes the archive stream and declares it again, after RabbitMQ has lost it.

use std::path::Path;

use anyhow::Context as _;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::archive_access::{ArchiveAccess, ArchiveLost};
use super::{ask, say, state};
use crate::broker::Broker;
use crate::config::ArchiveArgs;
use crate::health::Health;
use crate::retry::Interrupted;

/// Deletes the archive and declares it again, after asking unless `--yes`.
///
/// The fetcher needs no restart: for a moment its copies are returned or refused, then they go to the new stream. The new stream has
/// no record of the events of the old one, because their number is not known once a stream is lost.
///
/// # Errors
/// Without `--yes` if there is no terminal; when RabbitMQ refuses to delete the stream; and when it refuses the connection.
pub(super) async fn run(
    args: &ArchiveArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if !args.yes {
        ask::check("--reset")?;
    }
    let mut access = ArchiveAccess::new(broker, health, shutdown.clone());
    let archive = format!("{} at {}", broker.names().archive(), broker.address());
    let holds = match access.ask(async |broker| broker.archive_size().await).await? {
        Some(messages) => {
            format!("{archive} holds {} messages, as RabbitMQ says", HumanCount(messages.into()))
        }
        None => format!("{archive} does not exist, or RabbitMQ has lost it"),
    };
    if args.yes {
        tracing::info!("{holds}; it is deleted and declared again");
    } else if !is_wanted(&holds, &shutdown).await? {
        say("nothing is changed\n");
        return Ok(());
    }
    let reset = access.ask(async |broker| broker.reset_archive().await).await;
    reset.map_err(|error| if error.is::<ArchiveLost>() { refused(error, broker) } else { error })?;
    forget_positions(&args.state.state_dir, broker)?;
    say(&format!("{archive} is new: replay archive begins with events published from now on\n"));
    Ok(())
}

async fn is_wanted(holds: &str, shutdown: &CancellationToken) -> Result<bool, Interrupted> {
    let question = format!(
        "{holds}. Only GH Archive has deleted events again (replay gharchive). Delete it and declare it again?"
    );
    ask::confirm(&question, shutdown).await
}

/// RabbitMQ 3.10 does not delete a lost stream over AMQP: the error says what its administrator has to run.
fn refused(error: anyhow::Error, broker: &Broker) -> anyhow::Error {
    error.context(format!(
        "RabbitMQ refuses to delete {}; as RabbitMQ's administrator run {} and then replay archive --reset again",
        broker.names().archive(),
        broker.archive_removal()
    ))
}

/// The name, in the folder of states, of the file or folder about this archive for `purpose`.
pub(super) fn name(purpose: &str, broker: &Broker) -> String {
    state::name(purpose, &(broker.cluster(), broker.names().archive()))
}

/// Removes the positions of replays of the old stream. Its offsets belong to other messages in the new one.
fn forget_positions(folder: &Path, broker: &Broker) -> anyhow::Result<()> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    let ours = ["archive", "archive-last"].map(|purpose| name(purpose, broker));
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The process that holds a lock removes it.
        if ours.iter().any(|ours| name.starts_with(ours)) && !name.ends_with(".lock") {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.with_context(|| format!("remove {}, a position in the old archive", path.display()))?;
        }
    }
    Ok(())
}
