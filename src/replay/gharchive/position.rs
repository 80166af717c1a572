//! The position of `replay gharchive`, which is saved.

use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

use super::owed::Owed;
use super::union::Taken;
use crate::gharchive::Mark;
use crate::replay::inputs::Input;
use crate::replay::rejects::Rejects;
use crate::replay::tally::Tally;

/// A position: every event before it is published and confirmed, rejected, or not wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    /// The input, by its place in the command.
    pub(super) input: usize,
    /// The lines of this input that are done. A file that begins with other lines is another file, and read from its beginning.
    pub(super) done: Mark,
    pub(super) tally: Tally,
    /// The tally before this input.
    pub(super) tally_before: Tally,
    /// The name of the file of rejects.
    pub(super) rejects: String,
    #[serde(default)]
    pub(super) merged: Merged,
}

/// What a position has of hours that several mirrors have.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Merged {
    /// The hour under way, by its place in the command, and the events that are taken of it.
    pub(super) hour: usize,
    pub(super) taken: Taken,
    /// What mirrors that were away still owe.
    pub(super) owed: Owed,
    /// For each mirror, the events that no other had.
    pub(super) alone: Vec<u64>,
}

impl Position {
    /// The beginning of a replay from so many mirrors.
    pub(super) fn at_the_start(mirrors: usize) -> Self {
        Self {
            input: 0,
            done: Mark::default(),
            tally: Tally::default(),
            tally_before: Tally::default(),
            rejects: Rejects::new_name(),
            merged: Merged { alone: vec![0; mirrors], ..Merged::default() },
        }
    }

    /// Logs that an earlier run is continued.
    pub(super) fn tell(&self, inputs: &[Input]) {
        let events = HumanCount(self.tally.events);
        let anew = "(--anew begins at the start)";
        match inputs.get(self.input) {
            None => tracing::info!(
                "fetching the parts of mirrors that were away when an earlier run of this command published the rest: {} hours; {events} events are published {anew}",
                self.merged.owed.inputs().count()
            ),
            Some(input) if self.merged.taken.count > 0 => tracing::info!(
                "continuing after {} events of {input}, where an earlier run of this command stopped; {events} events are published {anew}",
                HumanCount(self.merged.taken.count)
            ),
            Some(input) => tracing::info!(
                "continuing after line {} of {input}, where an earlier run of this command stopped; {events} events are published {anew}",
                self.done.line
            ),
        }
    }
}
