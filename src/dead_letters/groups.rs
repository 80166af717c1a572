//! Dead letters grouped by reason.

use std::collections::BTreeMap;

use serde::Serialize;

use super::letter;
use crate::broker::Taken;

/// Dead letters with the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    pub(crate) reason: String,
    pub(crate) count: u64,
    /// The most attempts that one of them had.
    pub(crate) attempts_max: u32,
    /// The most often that one of them was sent back before.
    pub(crate) redrives_max: u32,
    /// When the first and the last of them failed for the first time.
    pub(crate) first_failed_at: Option<String>,
    pub(crate) last_failed_at: Option<String>,
    /// Ids of some.
    pub(crate) ids: Vec<String>,
}

/// All groups.
#[derive(Default)]
pub(crate) struct Groups(BTreeMap<String, Group>);

const IDS_MAX: usize = 3;
/// Those of our loaders are no longer.
const REASON_BYTES_MAX: usize = 1024;
const TIME_BYTES_MAX: usize = 64;
/// Reasons without end, which no loader of ours writes, are counted together.
const GROUPS_MAX: usize = 500;

impl Groups {
    /// Counts a dead letter under `reason`.
    pub(crate) fn add(&mut self, mut reason: String, letter: &Taken) {
        let envelope = &letter.envelope;
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        let key = without_numbers(&reason);
        let key = if self.0.len() < GROUPS_MAX || self.0.contains_key(&key) {
            key
        } else {
            "(other reasons)".into()
        };
        let group = self.0.entry(key).or_insert_with_key(|key| Group {
            reason: if key.starts_with('(') { key.clone() } else { reason },
            ..Group::default()
        });
        group.count += 1;
        group.attempts_max = group.attempts_max.max(envelope.attempts());
        group.redrives_max = group.redrives_max.max(envelope.redrives());
        if let Some(mut failed_at) = envelope.first_failed_at() {
            failed_at.truncate(failed_at.floor_char_boundary(TIME_BYTES_MAX));
            let earlier = group.first_failed_at.get_or_insert_with(|| failed_at.clone());
            *earlier = earlier.clone().min(failed_at.clone());
            let later = group.last_failed_at.get_or_insert_with(|| failed_at.clone());
            *later = later.clone().max(failed_at);
        }
        if group.ids.len() < IDS_MAX {
            group.ids.extend(letter::id(letter));
        }
    }

    /// The groups, the largest first.
    pub(crate) fn largest_first(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.0.into_values().collect();
        groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
        groups
    }
}

/// Places in a text and sizes differ from letter to letter; the reason is the same.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Envelope, Failure};

    fn add(groups: &mut Groups, id: &str, reason: &str, failed_at: &str, attempts: u32) {
        let envelope = Envelope::json("test").with_message_id(id).with_failure(&Failure {
            reason: reason.into(),
            attempts,
            first_failed_at: failed_at.into(),
            original_routing_key: "PushEvent".into(),
        });
        let letter = Taken { tag: 1, body: Vec::new(), routing_key: String::new(), envelope };
        groups.add(letter::reason(&letter), &letter);
    }

    #[test]
    fn letters_are_grouped_by_reason_whatever_the_place_the_largest_group_first() {
        let mut groups = Groups::default();
        add(&mut groups, "2", "wrong", "2026-01-01", 5);
        add(&mut groups, "1", "not-json: at column 17", "2026-01-02", 1);
        add(&mut groups, "3", "not-json: at column 5", "2026-01-01", 2);
        let groups = groups.largest_first();
        assert_eq!(groups.len(), 2);
        let Group { reason, count, attempts_max, first_failed_at, last_failed_at, ids, .. } = &groups[0];
        assert_eq!((reason.as_str(), *count, *attempts_max), ("not-json: at column 17", 2, 2));
        assert_eq!(first_failed_at.as_deref(), Some("2026-01-01"));
        assert_eq!(last_failed_at.as_deref(), Some("2026-01-02"));
        assert_eq!(*ids, ["1", "3"]);
    }

    #[test]
    fn reasons_without_end_are_counted_together() {
        let mut groups = Groups::default();
        let letters = |n: u32| char::from_u32(0x4e00 + n).unwrap().to_string();
        (0..2000).for_each(|n| add(&mut groups, "x", &letters(n), "2026", 1));
        assert_eq!(groups.0.len(), GROUPS_MAX + 1);
        assert_eq!(groups.0["(other reasons)"].count, 1500);
    }
}
