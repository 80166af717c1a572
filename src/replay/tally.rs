//! Counts the events and bytes of a replay, over all its runs.

use std::collections::BTreeMap;
use std::fmt;

use indicatif::HumanCount;
use serde::{Deserialize, Serialize};

/// Counts of events by type, and of everything else that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Events published, or in a dry run events that would be.
    pub(super) events: u64,
    /// Bytes of their bodies.
    pub(super) bytes: u64,
    /// Not of the types that were asked for, or outside of the gaps.
    pub(super) unwanted: u64,
    /// Parts of files that are no events, could not be read, or are missing.
    pub(super) rejected: u64,
    kinds: BTreeMap<String, u64>,
}

/// GitHub has about 20 types; a hostile file must not make this grow without end.
const KINDS_MAX: usize = 100;
const OTHER: &str = "(other types)";

impl Tally {
    /// Counts an event.
    pub(super) fn event(&mut self, kind: &str, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
        let is_new = !self.kinds.contains_key(kind);
        let kind = if is_new && self.kinds.len() >= KINDS_MAX { OTHER } else { kind };
        match self.kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(kind.to_owned(), 1)),
        }
    }

    /// A table of the types, the most frequent first.
    pub(super) fn table(&self) -> String {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(**count), kind.as_str()));
        let line = |(kind, count): &(&String, &u64)| {
            format!("{:>12}  {}\n", HumanCount(**count).to_string(), crate::terminal::Escaped(kind))
        };
        kinds.iter().map(line).collect()
    }
}

/// Bytes as people read them.
pub(super) struct Size(pub(super) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        indicatif::BinaryBytes(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_counted_and_shown_the_most_frequent_first() {
        let mut tally = Tally::default();
        for kind in ["ForkEvent", "PushEvent", "PushEvent", "Evil\u{1b}[2J"] {
            tally.event(kind, 10);
        }
        assert_eq!((tally.events, tally.bytes), (4, 40));
        assert_eq!(
            tally.table(),
            "           2  PushEvent\n           1  Evil\\u{1b}[2J\n           1  ForkEvent\n"
        );
    }

    #[test]
    fn types_without_end_are_counted_together() {
        let mut tally = Tally::default();
        (0..500).for_each(|n| tally.event(&format!("Type{n}"), 1));
        assert!(tally.table().contains(" 400  (other types)"), "{}", tally.table());
    }
}
