//! `replay archive --reset`: the stream deleted and declared anew, for one that RabbitMQ has lost.

use std::path::Path;

use anyhow::Context as _;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::archive_source::{ArchiveLost, Source};
use super::{ask, say, state};
use crate::broker::Broker;
use crate::config::ArchiveArgs;
use crate::health::Health;
use crate::retry::Interrupted;

/// Deletes the archive and declares it anew, after asking unless `--yes`.
///
/// The fetcher needs to know nothing of it: its copies are returned or refused for a moment, and then go to the new stream. How
/// many events the old stream held is not recorded in the new one, because nobody knows it of a stream that is lost.
///
/// # Errors
/// Without `--yes` where nobody can be asked; when RabbitMQ refuses to delete the stream; and for a RabbitMQ that refuses us.
pub(super) async fn run(
    args: &ArchiveArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if !args.yes {
        ask::check("--reset")?;
    }
    let mut source = Source::new(broker, health, shutdown.clone());
    let archive = format!("{} at {}", broker.names().archive(), broker.address());
    let holds = match source.ask(async |broker| broker.archive_size().await).await? {
        Some(messages) => {
            format!("{archive} holds {} messages, as RabbitMQ says", HumanCount(messages.into()))
        }
        None => format!("{archive} does not exist, or RabbitMQ has lost it"),
    };
    if args.yes {
        tracing::info!("{holds}; it is deleted and declared anew");
    } else if !is_wanted(&holds, &shutdown).await? {
        say("nothing is changed\n");
        return Ok(());
    }
    let reset = source.ask(async |broker| broker.reset_archive().await).await;
    reset.map_err(|error| if error.is::<ArchiveLost>() { refused(error, broker) } else { error })?;
    forget_positions(&args.state.state_dir, broker)?;
    say(&format!("{archive} is new: replay archive begins with what is published from now on\n"));
    Ok(())
}

async fn is_wanted(holds: &str, shutdown: &CancellationToken) -> Result<bool, Interrupted> {
    let question = format!(
        "{holds}. Only GH Archive has deleted events again (replay gharchive). Delete it and declare it anew?"
    );
    ask::confirm(&question, shutdown).await
}

/// RabbitMQ 3.10 deletes a stream that it has lost in no way that AMQP has.
fn refused(error: anyhow::Error, broker: &Broker) -> anyhow::Error {
    error.context(format!(
        "RabbitMQ refuses to delete {}; as RabbitMQ's administrator run {} and then replay archive --reset again",
        broker.names().archive(),
        broker.archive_removal()
    ))
}

/// The name, below the folder of states, of what is remembered about this archive for `purpose`.
pub(super) fn name(purpose: &str, broker: &Broker) -> String {
    state::name(purpose, &(broker.address(), broker.names().archive()))
}

/// Forgets how far replays of the old stream were: its offsets mean nothing in the new one.
fn forget_positions(folder: &Path, broker: &Broker) -> anyhow::Result<()> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    let ours = ["archive", "archive-last"].map(|purpose| name(purpose, broker));
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // A lock is for whoever holds it to remove.
        if ours.iter().any(|ours| name.starts_with(ours)) && !name.ends_with(".lock") {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.with_context(|| format!("remove {}, a position in the old archive", path.display()))?;
        }
    }
    Ok(())
}
