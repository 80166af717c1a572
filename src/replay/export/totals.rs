//! Counts of an export, and its summary. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use indicatif::HumanCount;

use super::hour_file::Added;
use crate::event::{Hour, HourName};
use crate::lack::Lack;

/// Counts of one run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Events that files did not have before.
    written: u64,
    new_files: u64,
    /// Files that existed and got events.
    grown_files: BTreeSet<Hour>,
    last: Option<Hour>,
    pub(super) duplicates: u64,
    /// Messages that are no events.
    pub(super) invalid: u64,
    /// Events of other types.
    pub(super) unwanted: u64,
    /// Events that had more than one line.
    pub(super) joined: u64,
    /// Messages that retention had removed before they were read, or that RabbitMQ has lost.
    pub(super) removed: u64,
    pub(super) lack: Option<Lack>,
}

impl Totals {
    pub(super) fn add(&mut self, hour: Hour, added: Added) {
        self.duplicates += added.duplicates;
        self.written += added.events;
        if added.events == 0 {
            return;
        }
        self.last = self.last.max(Some(hour));
        if added.is_new {
            self.new_files += 1;
        } else {
            self.grown_files.insert(hour);
        }
    }

    pub(super) fn lack(&mut self, lack: &Lack) {
        let before = self.lack.take();
        self.lack = Some(before.map_or_else(|| lack.clone(), |before| before.with(lack)));
    }

    /// The lines that say what was done, and what was left out.
    pub(super) fn summary(&self, now: DateTime<Utc>) -> String {
        let mut text = format!(
            "wrote {} events: {} new files, {} files with events added\n",
            HumanCount(self.written),
            HumanCount(self.new_files),
            self.grown_files.len()
        );
        for (count, what) in [
            (self.duplicates, "duplicates"),
            (self.unwanted, "events of other types"),
            (self.invalid, "messages that are no events: see the log"),
        ] {
            if count > 0 {
                // Writing into memory cannot fail.
                let _ = writeln!(text, "left out {} {what}", HumanCount(count));
            }
        }
        if self.joined > 0 {
            let joined = HumanCount(self.joined);
            let _ = writeln!(text, "{joined} events had line breaks, which are spaces in the file");
        }
        if let Some(last) = self.last.filter(|last| last.end() > now) {
            let _ = writeln!(text, "hour {} is not over: a later export adds the rest", HourName(last));
        }
        text
    }

    /// False if events that were asked for are missing.
    pub(super) fn is_whole(&self) -> bool {
        self.removed == 0 && self.lack.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_is_there_and_what_is_not() {
        let now = Utc::now();
        let mut totals = Totals::default();
        let hour = Hour::of(now);
        totals.add(hour, Added { is_new: true, events: 1234, duplicates: 2, size: 9 });
        for _ in 0..2 {
            totals.add(hour, Added { is_new: false, events: 3, duplicates: 0, size: 9 });
        }
        totals.add(hour.plus(1), Added { is_new: false, events: 0, duplicates: 1, size: 9 });
        let name = HourName(hour);
        assert_eq!(
            totals.summary(now),
            format!(
                "wrote 1,240 events: 1 new files, 1 files with events added\nleft out 3 duplicates\nhour {name} is not over: a later export adds the rest\n"
            )
        );
        assert!(totals.is_whole() && totals.summary(hour.end()).lines().count() == 2);
        totals.lack(&Lack::of_one(now));
        assert!(!totals.is_whole());
    }
}
