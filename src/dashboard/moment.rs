//! A point in time, by the clock of day and by the monotonic clock.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// When something happened: the time of day is shown, and the monotonic time is used to measure. Setting the clock changes only the
/// first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: DateTime<Utc>,
    monotonic: Instant,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { at: Utc::now(), monotonic: Instant::now() }
    }

    /// The time from `earlier` to this; zero when `earlier` is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        self.monotonic.saturating_duration_since(earlier.monotonic)
    }

    /// True when this is before `other`.
    pub(super) fn is_before(self, other: Self) -> bool {
        self.monotonic < other.monotonic
    }

    /// The moment `seconds` after `self`, by both clocks, with the clock of day set by `off_s` more.
    #[cfg(test)]
    pub(super) fn plus(self, seconds: u64, off_s: i64) -> Self {
        let day = i64::try_from(seconds).unwrap() + off_s;
        Self {
            at: self.at + chrono::TimeDelta::seconds(day),
            monotonic: self.monotonic + Duration::from_secs(seconds),
        }
    }
}
