//! How much of a feed we saw, and records of what we did not. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::Source;

/// A stretch of a feed that polling missed: between two polls more happened than GitHub shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// When the newest event known before was created.
    pub from: DateTime<Utc>,
    /// When the oldest event of the poll that found the gap was created; never before `from`.
    pub to: DateTime<Utc>,
    /// Events that this poll brought, whether new or not.
    pub events_in_poll: usize,
}

/// The message in the queue of gaps: the contract with `replay gaps`. Fields are only ever added.
///
/// ```json
/// {"source":"events","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,
///  "detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}
/// ```
///
/// Events created from `from` to `to`, both included (a second holds many events), may be missing. `from` ≤ `to`, and
/// `seconds` is their difference, which may be 0. The same gap may be recorded twice; its `message_id` is then the same.
#[derive(Serialize)]
struct GapRecord<'a> {
    source: &'a str,
    from: String,
    to: String,
    seconds: u64,
    detected_at: String,
    events_in_poll: usize,
}

impl Gap {
    /// Seconds of the feed that were missed.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.to - self.from).num_seconds()).unwrap_or(0)
    }

    /// The record's JSON.
    pub(super) fn record(&self, source: &Source, detected_at: DateTime<Utc>) -> Vec<u8> {
        let record = GapRecord {
            source: &source.to_string(),
            from: text(self.from),
            to: text(self.to),
            seconds: self.seconds(),
            detected_at: text(detected_at),
            events_in_poll: self.events_in_poll,
        };
        // Strings and numbers into memory: this cannot fail.
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// What tells this gap from all others.
    pub(super) fn id(&self, source: &Source) -> String {
        format!("gap {source} {} {}", text(self.from), text(self.to))
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Seconds of a feed seen / elapsed, since its first whole poll.
#[derive(Clone, Copy, Default)]
pub(super) struct Coverage {
    since: Option<Instant>,
    missed: Duration,
}

impl Coverage {
    /// Counts a whole poll and what was missed before it.
    pub(super) fn add(&mut self, now: Instant, gap: Option<&Gap>) {
        self.since.get_or_insert(now);
        self.missed += gap.map_or(Duration::ZERO, |gap| Duration::from_secs(gap.seconds()));
    }

    /// From 0 to 1; 1 where nothing has elapsed yet.
    pub(super) fn ratio(&self, now: Instant) -> f64 {
        Self::ratio_of_all([*self], now)
    }

    /// The ratio over several feeds, each weighed by the time it was polled.
    pub(super) fn ratio_of_all(all: impl IntoIterator<Item = Self>, now: Instant) -> f64 {
        let (mut elapsed_s, mut missed_s) = (0.0, 0.0);
        for one in all {
            let elapsed = one.since.map_or(Duration::ZERO, |since| now - since);
            elapsed_s += elapsed.as_secs_f64();
            // Gaps are told by events' clocks: recorded events can have gaps longer than we run.
            missed_s += one.missed.min(elapsed).as_secs_f64();
        }
        if elapsed_s > 0.0 { (elapsed_s - missed_s) / elapsed_s } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: &str, to: &str) -> Gap {
        Gap { from: from.parse().unwrap(), to: to.parse().unwrap(), events_in_poll: 300 }
    }

    #[test]
    fn a_record_is_the_documented_json() {
        let source = "repos/a/b".parse().unwrap();
        let gap = gap("2026-01-01T12:00:09Z", "2026-01-01T12:01:40Z");
        let record = gap.record(&source, "2026-01-01T12:02:00.123Z".parse().unwrap());
        assert_eq!(
            String::from_utf8(record).unwrap(),
            r#"{"source":"repos/a/b","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#
        );
        assert_eq!(gap.id(&source), "gap repos/a/b 2026-01-01T12:00:09Z 2026-01-01T12:01:40Z");
    }

    #[test]
    fn coverage_is_what_was_seen_of_what_elapsed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let lossy = gap("2026-01-01T12:00:00Z", "2026-01-01T12:00:25Z");
        let (mut one, mut two, never) = (Coverage::default(), Coverage::default(), Coverage::default());
        assert_eq!(one.ratio(start), 1.0);
        one.add(start, None);
        two.add(start, None);
        assert_eq!(one.ratio(start), 1.0);
        one.add(after(100), Some(&lossy));
        assert_eq!(one.ratio(after(100)), 0.75);
        assert_eq!(one.ratio(after(200)), 0.875);
        assert_eq!(Coverage::ratio_of_all([one, two, never], after(100)), 0.875);
        two.add(after(100), Some(&gap("2015-01-01T00:00:00Z", "2026-01-01T00:00:00Z")));
        assert_eq!(two.ratio(after(100)), 0.0);
    }
}
