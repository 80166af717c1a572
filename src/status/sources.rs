//! The status of each source that a fetcher polls. Thousands are sent in parts, as messages of a type of their own, so a dashboard of
//! an older version ignores them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Sources in a part. With the longest texts, a part still is below the 256 KiB that a dashboard accepts.
pub(super) const PART_SOURCES_MAX: usize = 100;
/// Longer texts of `trouble` are cut.
const TROUBLE_CHARS_MAX: usize = 200;

/// A message on the status exchange, as JSON: some of the sources of the fetcher on duty. Fields are only ever added.
///
/// All sources are repeated within ten seconds. A source that is not repeated is not polled any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourcesPart {
    /// The same as in the [`Status`](super::Status) of the process.
    pub instance: String,
    /// When this was sent, by the program's clock.
    pub sent_at: DateTime<Utc>,
    /// How many sources the fetcher polls, over all parts.
    pub total: u64,
    /// False if the budget of requests is too small for the rates of all sources. None if the fetcher does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_covers_all: Option<bool>,
    /// At most 100.
    pub sources: Vec<SourceStatus>,
}

/// One source. Times are in whole seconds. Values that are not known are left out. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceStatus {
    /// As `--source` names it: `repos/o/r`.
    pub source: String,
    pub state: SourceState,
    /// Its share of a budget that does not suffice for all.
    pub weight: f64,
    /// Events that it is expected to show in an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_per_hour: Option<f64>,
    /// When GitHub answered the last complete poll, or said that nothing has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_poll_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_poll_at: Option<DateTime<Utc>>,
    /// When the newest event known was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_event_at: Option<DateTime<Utc>>,
    /// Seconds of the feed seen / elapsed, from 0 to 1. It counts from the first complete poll ever, as do the gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    pub gaps: u64,
    pub gap_seconds: u64,
    /// Events published since the fetcher began to poll the source.
    pub events: u64,
    /// True if no poll was complete for [`BLIND_AFTER`](super::BLIND_AFTER), although one failed or was due.
    #[serde(skip_serializing_if = "is_false")]
    pub blind: bool,
    /// Why the last poll failed, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The source that GitHub redirects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The number of the token that it is polled with, from 1. None if there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
}

impl Default for SourceStatus {
    fn default() -> Self {
        Self {
            source: String::new(),
            state: SourceState::NeverPolled,
            weight: 1.0,
            events_per_hour: None,
            last_poll_at: None,
            next_poll_at: None,
            newest_event_at: None,
            coverage: None,
            gaps: 0,
            gap_seconds: 0,
            events: 0,
            blind: false,
            trouble: None,
            moved_to: None,
            token: None,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

impl SourceStatus {
    /// True if the source is polled, and nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        self.state == SourceState::Polled && !self.blind
    }

    /// The text as one line of a bounded length, for [`Self::trouble`].
    pub fn one_line(text: &str) -> String {
        text.chars().take(TROUBLE_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// What became of a source's last poll. New states come with new versions, and a reader keeps the text of one that it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SourceState {
    /// GitHub answers.
    Polled,
    /// GitHub has not answered a poll yet.
    NeverPolled,
    /// GitHub refuses the source (403), and it is no limit.
    Refused,
    /// There is no such feed, or not for us (404, 451).
    Missing,
    /// Polls fail: no answer, errors of the server, no access (401).
    Failing,
    /// GitHub redirects to another source.
    Moved,
    /// GitHub answers with old events only.
    Stale,
    /// A state of a later version.
    Other(String),
}

impl SourceState {
    /// All states but [`Self::Other`].
    pub const KNOWN: [Self; 7] = [
        Self::Polled,
        Self::NeverPolled,
        Self::Refused,
        Self::Missing,
        Self::Failing,
        Self::Moved,
        Self::Stale,
    ];
    /// The name under which states of later versions are counted.
    pub const OTHER: &str = "other";

    /// Its text in messages.
    pub fn text(&self) -> &str {
        match self {
            Self::Other(text) => text,
            known => known.label(),
        }
    }

    /// Its text as a label: of a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::NeverPolled => "never-polled",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Failing => "failing",
            Self::Moved => "moved",
            Self::Stale => "stale",
            Self::Other(_) => Self::OTHER,
        }
    }
}

impl From<String> for SourceState {
    fn from(text: String) -> Self {
        Self::KNOWN.into_iter().find(|state| state.label() == text).unwrap_or(Self::Other(text))
    }
}

impl From<SourceState> for String {
    fn from(state: SourceState) -> Self {
        state.text().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn part(sources: &str) -> String {
        format!(
            r#"{{"instance":"i","sent_at":"2026-01-01T00:00:00Z","total":1,"later":1,"sources":[{sources}]}}"#
        )
    }

    #[test]
    fn a_part_is_read_as_it_was_written_and_unknown_values_are_left_out() {
        let bare = SourceStatus { source: "repos/o/r".into(), ..SourceStatus::default() };
        let text = serde_json::to_string(&bare).unwrap();
        assert_eq!(
            text,
            r#"{"source":"repos/o/r","state":"never-polled","weight":1.0,"gaps":0,"gap_seconds":0,"events":0}"#
        );
        let read: SourcesPart = serde_json::from_str(&part(&text)).unwrap();
        assert_eq!((read.sources, read.budget_covers_all), (vec![bare], None));
    }

    #[test]
    fn fields_and_states_of_later_versions_do_not_break_a_reader() {
        let later = r#"{"source":"repos/o/r","state":"asleep","later":[1]}"#;
        let read: SourcesPart = serde_json::from_str(&part(later)).unwrap();
        let state = &read.sources[0].state;
        assert_eq!((state.text(), state.label()), ("asleep", "other"));
        assert_eq!(serde_json::to_value(state).unwrap(), "asleep");
        for state in SourceState::KNOWN {
            assert_eq!(SourceState::from(state.text().to_owned()), state);
        }
    }

    #[test]
    fn a_dashboard_of_an_older_version_does_not_take_a_part_for_a_status() {
        assert!(serde_json::from_str::<Status>(&part("{}")).is_err());
    }

    #[test]
    fn a_trouble_is_one_line() {
        assert_eq!(SourceStatus::one_line("a\nb\u{1b}c"), "a b c");
        assert_eq!(SourceStatus::one_line(&"é".repeat(500)).chars().count(), TROUBLE_CHARS_MAX);
    }
}
