//! Options of `replay export`.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::event_type;
use super::replay::LOAD;
use super::values::{DAY, duration};
use super::{Position, UsageError};

/// `replay export`.
///
/// A file has the events that were created in its hour, each once. Without --since and --until, a rerun continues where the last
/// export to this folder stopped.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Folder of the hourly files. It is made if it does not exist; one export at a time writes into it
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,

    /// From when on it was published: a time (2026-01-31T12:00:00Z), a time ago (2h), or an offset in the stream (12345)
    /// [where the last export to this folder stopped when not given]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Position>,

    /// Until when, in the same forms; an offset is included [what is there now when not given]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Position>,

    /// Only these event types, such as PushEvent,WatchEvent [all when not given]
    #[arg(long, value_delimiter = ',', value_parser = event_type, value_name = "TYPE,…")]
    pub types: Vec<String>,

    /// Go on for ever: write an hour's file once the hour is over, and add late events later; not with --since or --until
    #[arg(long, conflicts_with_all = ["since", "until"])]
    pub follow: bool,

    /// How long after an hour's end --follow writes its file (0s to 1day)
    #[arg(long, default_value = "10m", value_parser = duration(Duration::ZERO, DAY, "10m"), value_name = "DURATION")]
    pub grace: Duration,

    /// Begin at the archive's first message, even if an earlier export to this folder has read it
    #[arg(long, conflicts_with_all = ["since", "until"])]
    pub anew: bool,

    /// Exit with 0 even if retention has removed a part of the range, or the archive lacks events
    #[arg(long)]
    pub keep_going: bool,
}

impl ExportArgs {
    /// The load queue of the commands that are told for events which the archive lacks.
    pub fn load_queue(&self) -> &'static str {
        LOAD
    }

    /// Refuses a position that an export does not have.
    ///
    /// # Errors
    /// [`UsageError`] that says what to write instead.
    pub fn check(&self) -> Result<(), UsageError> {
        let is_last = |position| position == Some(Position::Last);
        if is_last(self.since) || is_last(self.until) {
            let text = "--since last: without --since, an export continues where the last one stopped";
            return Err(UsageError(text.into()));
        }
        Ok(())
    }
}
