//! How much of a feed we saw, and records of what we did not. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::config::Source;
use crate::gap::GapRecord;

/// A stretch of a feed that polling missed: between two polls, or two requests of one, more happened than GitHub shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// When the newest event known before was created.
    pub from: DateTime<Utc>,
    /// When the oldest event of the poll that found the gap was created; never before `from`.
    pub to: DateTime<Utc>,
    /// Events that this poll brought, whether new or not.
    pub events_in_poll: usize,
}

impl Gap {
    /// Seconds of the feed that were missed.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.to - self.from).num_seconds()).unwrap_or(0)
    }

    /// The record for the queue of gaps.
    pub(super) fn record(&self, source: &Source, detected_at: DateTime<Utc>) -> GapRecord {
        GapRecord {
            source: source.to_string(),
            from: self.from,
            to: self.to,
            seconds: self.seconds(),
            detected_at,
            events_in_poll: self.events_in_poll,
        }
    }
}

/// Seconds of a feed seen / elapsed, since its first whole poll.
#[derive(Clone, Copy, Default)]
pub(super) struct Coverage {
    since: Option<Instant>,
    missed: Duration,
}

impl Coverage {
    /// Counts a whole poll and what was missed before and in it.
    pub(super) fn add(&mut self, now: Instant, gaps: &[Gap]) {
        self.since.get_or_insert(now);
        self.missed += Duration::from_secs(gaps.iter().map(Gap::seconds).sum());
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
    fn coverage_is_what_was_seen_of_what_elapsed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let lossy = gap("2026-01-01T12:00:00Z", "2026-01-01T12:00:25Z");
        let (mut one, mut two, never) = (Coverage::default(), Coverage::default(), Coverage::default());
        assert_eq!(one.ratio(start), 1.0);
        one.add(start, &[]);
        two.add(start, &[]);
        assert_eq!(one.ratio(start), 1.0);
        one.add(after(100), &[lossy]);
        assert_eq!(one.ratio(after(100)), 0.75);
        assert_eq!(one.ratio(after(200)), 0.875);
        assert_eq!(Coverage::ratio_of_all([one, two, never], after(100)), 0.875);
        two.add(after(100), &[gap("2015-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]);
        assert_eq!(two.ratio(after(100)), 0.0);
    }
}
