//! What requests cost, learned from GitHub's answers. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How much one answer tells about the next.
const LEARN: f64 = 0.1;
const LEARN_SLOWLY: f64 = 0.02;
/// Polls that one estimate of the correction rests on, and its bounds.
const CORRECTION_POLLS: f64 = 500.0;
const CORRECTION_MIN: f64 = 0.2;
const CORRECTION_MAX: f64 = 3.0;
/// Two answers of one quota give the same time of reset. GitHub gives it in whole seconds.
const RESET_DIFFERS_MAX: Duration = Duration::from_secs(3);
/// Taken for the time of a request before any was made.
const REQUEST_S_FIRST: f64 = 0.1;
/// A slower request counts as this slow. An outage must not put off the polls that would show its end.
const REQUEST_S_MAX: f64 = 2.0;

/// What the answers to one token's requests have taught.
#[derive(Debug)]
pub(super) struct Learned {
    /// The quota of the last answer, and when it will be reset.
    quota: Option<(u64, Instant)>,
    /// The part of the answers 304 that count against the quota. GitHub counts them only without a token.
    not_modified_counts: f64,
    /// Requests that counted, and that were expected to, of the last polls.
    counted: f64,
    expected: f64,
    /// Seconds that a request takes.
    request_s: f64,
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            quota: None,
            not_modified_counts: 1.0,
            counted: CORRECTION_POLLS / 10.0,
            expected: CORRECTION_POLLS / 10.0,
            request_s: REQUEST_S_FIRST,
        }
    }
}

impl Learned {
    /// Learns from the quota after a poll that ended at `now`: requests left, and the time until it is reset.
    pub(super) fn left(&mut self, quota: Option<(u64, Duration)>, is_not_modified: bool, now: Instant) {
        let before = self.quota;
        self.quota = quota.map(|(left, resets_in)| (left, now + resets_in));
        let (Some((left_before, reset_before)), Some((left, reset))) = (before, self.quota) else { return };
        let is_same_quota = reset.max(reset_before) - reset.min(reset_before) <= RESET_DIFFERS_MAX;
        if is_not_modified && is_same_quota {
            let counts = f64::from(u8::from(left < left_before));
            self.not_modified_counts += LEARN * (counts - self.not_modified_counts);
        }
    }

    /// Learns from a whole poll: the requests that counted, and those that were expected to.
    pub(super) fn polled(&mut self, counted: f64, expected: f64) {
        let keep = 1.0 - 1.0 / CORRECTION_POLLS;
        self.counted = self.counted * keep + counted;
        self.expected = self.expected * keep + expected;
    }

    /// Learns from the time that so many requests took.
    pub(super) fn took(&mut self, took: Duration, requests: u32) {
        let request_s = (took.as_secs_f64() / f64::from(requests.max(1))).min(REQUEST_S_MAX);
        self.request_s += LEARN_SLOWLY * (request_s - self.request_s);
    }

    /// The part of the answers 304 that count, from 0 to 1.
    pub(super) fn not_modified_counts(&self) -> f64 {
        // A few others may use the same token at the same time.
        if self.not_modified_counts < 0.2 { 0.0 } else { self.not_modified_counts }
    }

    /// Requests that counted, for each that was expected to.
    pub(super) fn correction(&self) -> f64 {
        (self.counted / self.expected.max(1e-9)).clamp(CORRECTION_MIN, CORRECTION_MAX)
    }

    /// Seconds that a request takes.
    pub(super) fn request_s(&self) -> f64 {
        self.request_s.max(0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(left: u64, resets_in_s: u64) -> Option<(u64, Duration)> {
        Some((left, Duration::from_secs(resets_in_s)))
    }

    #[test]
    fn whether_a_304_counts_is_seen_in_the_quota() {
        let start = Instant::now();
        let after = |counts: bool| {
            let mut learned = Learned::default();
            for n in 0..40_u32 {
                let left = 4000 - if counts { u64::from(n) } else { 0 };
                let now = start + Duration::from_secs(n.into());
                learned.left(quota(left, 3000 - u64::from(n)), true, now);
            }
            learned.not_modified_counts()
        };
        assert_eq!((after(true), after(false)), (1.0, 0.0));
    }

    #[test]
    fn a_request_that_took_hours_counts_as_a_slow_one() {
        let mut learned = Learned::default();
        learned.took(Duration::from_secs(3 * 3600), 1);
        assert!(learned.request_s() < 0.15, "{learned:?}");
    }

    #[test]
    fn a_new_quota_and_a_page_tell_nothing_about_304s() {
        let now = Instant::now();
        let mut learned = Learned::default();
        learned.left(quota(10, 10), true, now);
        learned.left(quota(5000, 3600), true, now + Duration::from_secs(11));
        learned.left(quota(5000, 3600), false, now + Duration::from_secs(11));
        learned.left(None, true, now);
        learned.left(quota(5000, 3600), true, now);
        assert_eq!(learned.not_modified_counts(), 1.0);
    }

    #[test]
    fn expectations_that_are_too_high_are_corrected() {
        let mut learned = Learned::default();
        (0..5000).for_each(|_| learned.polled(0.5, 1.0));
        assert!((learned.correction() - 0.5).abs() < 0.01);
        (0..5000).for_each(|_| learned.polled(0.0, 1.0));
        assert_eq!(learned.correction(), CORRECTION_MIN);
    }
}
