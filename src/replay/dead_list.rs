//! Dead letters grouped by reason, as a table or as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::tally::thousands;
use crate::broker::Envelope;
use crate::config::ListFormat;
use crate::terminal::Escaped;

/// Dead letters with the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    reason: String,
    count: u64,
    /// The most attempts that one of them had.
    attempts_max: u32,
    /// The most often that one of them was sent back before.
    redrives_max: u32,
    /// When the first and the last of them failed for the first time.
    first_failed_at: Option<String>,
    last_failed_at: Option<String>,
    /// Message ids of some.
    ids: Vec<String>,
}

/// All groups.
#[derive(Default)]
pub(crate) struct Groups(BTreeMap<String, Group>);

const IDS_MAX: usize = 3;
/// Those of our loaders are no longer.
const REASON_BYTES_MAX: usize = 1024;
/// Reasons without end, which no loader of ours writes, are counted together.
const GROUPS_MAX: usize = 500;

impl Groups {
    /// Counts a dead letter.
    pub(crate) fn add(&mut self, envelope: &Envelope) {
        let mut reason = reason_of(envelope);
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
        if let Some(failed_at) = envelope.first_failed_at() {
            let earlier = group.first_failed_at.get_or_insert_with(|| failed_at.clone());
            *earlier = earlier.clone().min(failed_at.clone());
            let later = group.last_failed_at.get_or_insert_with(|| failed_at.clone());
            *later = later.clone().max(failed_at);
        }
        if group.ids.len() < IDS_MAX && !envelope.message_id().is_empty() {
            group.ids.push(envelope.message_id().to_owned());
        }
    }

    /// The groups, the largest first.
    pub(crate) fn largest_first(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.0.into_values().collect();
        groups.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason)));
        groups
    }

    /// What to print.
    pub(super) fn show(self, format: ListFormat) -> String {
        let groups = self.largest_first();
        match format {
            ListFormat::Json => super::table::json(&groups),
            ListFormat::Table if groups.is_empty() => "no dead letters\n".to_owned(),
            ListFormat::Table => table(&groups),
        }
    }
}

/// Why it is a dead letter, as `--match` sees it.
pub(super) fn reason_of(envelope: &Envelope) -> String {
    envelope.reason().unwrap_or_else(|| "(no reason given)".into())
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

fn table(groups: &[Group]) -> String {
    const REASON_CHARS_MAX: usize = 70;
    let dash = || "-".to_owned();
    let rows = groups.iter().map(|group| {
        let reason: String = group.reason.chars().take(REASON_CHARS_MAX).collect();
        [
            Escaped(&reason).to_string(),
            thousands(group.count),
            group.attempts_max.to_string(),
            group.redrives_max.to_string(),
            Escaped(&group.first_failed_at.clone().unwrap_or_else(dash)).to_string(),
            Escaped(&group.last_failed_at.clone().unwrap_or_else(dash)).to_string(),
            Escaped(&group.ids.join(" ")).to_string(),
        ]
    });
    let head =
        ["REASON", "COUNT", "ATTEMPTS", "REDRIVES", "FIRST FAILED", "LAST FAILED", "IDS"].map(str::to_owned);
    super::table::aligned(std::iter::once(head).chain(rows).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Failure;

    fn dead(id: &str, reason: &str, failed_at: &str, attempts: u32) -> Envelope {
        Envelope::json("test").with_message_id(id).with_failure(&Failure {
            reason: reason.into(),
            attempts,
            first_failed_at: failed_at.into(),
            original_routing_key: "PushEvent".into(),
        })
    }

    fn groups() -> Groups {
        let mut groups = Groups::default();
        groups.add(&dead("1", "not-json: at column 17", "2026-01-02", 1));
        groups.add(&dead("2", "wrong\u{1b}[2J", "2026-01-01", 5));
        groups.add(&dead("3", "not-json: at column 5", "2026-01-01", 1));
        groups
    }

    #[test]
    fn letters_are_grouped_by_reason_whatever_the_place_and_shown_escaped() {
        assert_eq!(
            groups().show(ListFormat::Table),
            "REASON                  COUNT  ATTEMPTS  REDRIVES  FIRST FAILED  LAST FAILED  IDS\n\
             not-json: at column 17  2      1         0         2026-01-01    2026-01-02   1 3\n\
             wrong\\u{1b}[2J          1      5         0         2026-01-01    2026-01-01   2\n"
        );
        assert_eq!(Groups::default().show(ListFormat::Table), "no dead letters\n");
    }

    #[test]
    fn json_is_an_array_of_groups() {
        let json: serde_json::Value = serde_json::from_str(&groups().show(ListFormat::Json)).unwrap();
        assert_eq!(json[0]["count"], 2);
        assert_eq!(json[0]["ids"], serde_json::json!(["1", "3"]));
        assert_eq!(json[1]["reason"], "wrong\u{1b}[2J");
        assert_eq!(Groups::default().show(ListFormat::Json), "[]\n");
    }

    #[test]
    fn reasons_without_end_are_counted_together() {
        let mut groups = Groups::default();
        let letters = |n: u32| char::from_u32(0x4e00 + n).unwrap().to_string();
        (0..2000).for_each(|n| groups.add(&dead("x", &letters(n), "2026", 1)));
        assert_eq!(groups.0.len(), GROUPS_MAX + 1);
        assert_eq!(groups.0["(other reasons)"].count, 1500);
    }
}
