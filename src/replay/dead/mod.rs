//! `replay dead`: lists dead letters, sends them back to their load queue, saves them to a file, or discards them.

mod destination;
mod letters;
mod list;
mod saved;
mod senders;

use anyhow::bail;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::{ask, say};
use crate::broker::Broker;
use crate::config::{DeadAction, DeadArgs, ListFormat};
use crate::health::Health;
use destination::Destination;
use letters::Letters;
use saved::SavedFile;
use senders::Senders;

/// Runs the action that `args` names.
///
/// # Errors
/// For bad usage; when the queue does not exist, another program keeps taking the letters, or RabbitMQ refuses access at the
/// start; when a file cannot be written, or a letter cannot be sent back.
pub(super) async fn run(
    args: &DeadArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    args.check()?;
    let mut letters = Letters::new(args, broker, health, shutdown.clone());
    match args.action() {
        DeadAction::List => show(&mut letters, args, "").await,
        DeadAction::SendBack if args.dry_run => show(&mut letters, args, "would send back:\n").await,
        DeadAction::Save(file) if args.dry_run => {
            show(&mut letters, args, &format!("would save to {}:\n", file.display())).await
        }
        DeadAction::Discard if args.dry_run => show(&mut letters, args, "would discard:\n").await,
        DeadAction::SendBack => send_back(&mut letters, Senders::new(args, broker, health, shutdown)).await,
        DeadAction::Save(file) => {
            let mut destination = Destination::File(Box::new(SavedFile::new(file, letters.kind(), broker)));
            let ended = letters.drain(&mut destination).await;
            letters.tell(&ended, "saved", &format!("to {}", file.display()));
            ended
        }
        DeadAction::Discard => discard(&mut letters, args, &shutdown).await,
    }
}

async fn show(letters: &mut Letters<'_>, args: &DeadArgs, head: &str) -> anyhow::Result<()> {
    let format = args.format.unwrap_or(ListFormat::Table);
    let groups = letters.look().await?;
    say(if format == ListFormat::Table { head } else { "" });
    say(&list::show(&groups, format));
    Ok(())
}

async fn send_back(letters: &mut Letters<'_>, senders: Senders<'_>) -> anyhow::Result<()> {
    let mut destination = Destination::Origin(Box::new(senders));
    let ended = letters.drain(&mut destination).await;
    let Destination::Origin(mut senders) = destination else { return ended };
    senders.close().await;
    letters.tell(&ended, "sent", &senders.whereto());
    ended?;
    match senders.refused() {
        0 => Ok(()),
        refused => bail!(
            "{} letters could not be sent back and stay where they are: see the log",
            HumanCount(refused)
        ),
    }
}

/// Deletes letters, after showing them and asking.
async fn discard(
    letters: &mut Letters<'_>,
    args: &DeadArgs,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    if !args.yes {
        ask::check("--discard")?;
        let groups = letters.look().await?;
        let count = groups.iter().map(|group| group.count).sum();
        say(&list::show(&groups, ListFormat::Table));
        if count == 0 {
            return Ok(());
        }
        let question = format!("delete {} messages of {} for good?", HumanCount(count), letters.queue());
        if !ask::confirm(&question, shutdown).await? {
            say("nothing is deleted\n");
            return Ok(());
        }
        // Without letters that came during the question.
        letters.limit_to(count);
    }
    let ended = letters.drain(&mut Destination::Nowhere).await;
    letters.tell(&ended, "discarded", "for good");
    ended
}
