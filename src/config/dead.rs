//! Options of `replay dead`.

use std::path::{Path, PathBuf};

use super::loader::queue_name;
use super::values::number;
use super::{ListFormat, PaceArgs, UsageError};

/// The queue of messages that no load queue took, below the namespace.
const UNROUTED: &str = "unrouted";

/// `replay dead`.
#[derive(clap::Args)]
pub struct DeadArgs {
    /// Show the dead letters, grouped by reason, and take none
    #[arg(long, conflicts_with_all = ["save", "discard"])]
    pub list: bool,

    /// How --list shows them [table when not given]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ListFormat>,

    /// Move them to this file instead: one JSON object a line, behind the lines that it holds
    #[arg(long, value_name = "FILE", conflicts_with = "discard")]
    pub save: Option<PathBuf>,

    /// Delete them for good instead, after asking on the terminal
    #[arg(long)]
    pub discard: bool,

    /// Do not ask before --discard; needed where there is no terminal
    #[arg(long, requires = "discard")]
    pub yes: bool,

    /// Only dead letters whose reason contains this
    #[arg(long = "match", value_parser = reason, value_name = "REASON")]
    pub matching: Option<String>,

    /// The load queue whose dead letters these are, below the namespace; they go back to it. With `unrouted`, messages that no load
    /// queue took, and those that RabbitMQ moved there: each goes back to its own queue
    #[arg(long, default_value = "load", value_parser = dead_queue, value_name = "NAME")]
    pub queue: String,
    #[command(flatten)]
    pub pace: PaceArgs,

    /// Take at most this many
    #[arg(long, value_parser = number(0, u64::MAX), value_name = "N")]
    pub limit: Option<u64>,

    /// Say what would be done, and take nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The action on dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadAction<'a> {
    List,
    SendBack,
    Save(&'a Path),
    Discard,
}

impl DeadArgs {
    /// The action that the flags name.
    pub fn action(&self) -> DeadAction<'_> {
        match (&self.save, self.list, self.discard) {
            (Some(file), ..) => DeadAction::Save(file),
            (_, true, _) => DeadAction::List,
            (.., true) => DeadAction::Discard,
            _ => DeadAction::SendBack,
        }
    }

    /// True for the queue of messages that no load queue took.
    pub fn is_unrouted(&self) -> bool {
        self.queue == UNROUTED
    }

    /// The load queue that this is about, below the namespace.
    pub(super) fn load_queue(&self) -> &str {
        if self.is_unrouted() { "load" } else { &self.queue }
    }

    /// Refuses flags that do not go together.
    ///
    /// # Errors
    /// [`UsageError`] with their names and the remedy.
    pub fn check(&self) -> Result<(), UsageError> {
        if self.format.is_some() && !self.list && !self.dry_run {
            return Err(UsageError(
                "--format says how --list shows the dead letters: write replay dead --list --format …; without --list they are sent back"
                    .into(),
            ));
        }
        if self.pace.rate.is_some() && (self.save.is_some() || self.discard || self.list) {
            return Err(UsageError(
                "--rate limits how fast dead letters are sent back: leave it out with --list, --save and --discard".into(),
            ));
        }
        Ok(())
    }
}

fn reason(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty: every reason contains that; leave --match out to mean all".into());
    }
    Ok(text.to_owned())
}

fn dead_queue(text: &str) -> Result<String, String> {
    if text == UNROUTED { Ok(text.to_owned()) } else { queue_name(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_a_load_queue_or_that_of_unrouted_messages() {
        assert!(dead_queue("eu").is_ok() && dead_queue("unrouted").is_ok());
        assert!(dead_queue("gaps").is_err() && dead_queue("a.b").is_err());
    }
}
