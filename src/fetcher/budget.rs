//! The budget of requests of one token, or of this address without a token: GitHub's primary limit.
//!
//! Without a token GitHub takes 60 requests an hour. Three pages a minute would use these up in twenty minutes, and nothing
//! would be polled for the other forty. So the rest of the quota is spread over the rest of its hour.

use std::time::Duration;

use tokio::time::Instant;

use crate::github::{Answer, Quota};

/// Added to the reset time, which GitHub gives in whole seconds.
const RESET_MARGIN: Duration = Duration::from_secs(1);

/// The quota of a token, by GitHub's last answer.
#[derive(Default)]
pub(super) struct Budget {
    quota: Option<(Quota, Instant)>,
    closed_until: Option<Instant>,
}

impl Budget {
    /// Learns from an answer to the token that came at `now`.
    pub(super) fn learn(&mut self, answer: &Answer, now: Instant) {
        if let Some(quota) = answer.hints.quota {
            self.quota = Some((quota, now));
            if quota.remaining == 0 {
                self.close_until(now + quota.resets_in + RESET_MARGIN);
            }
        }
    }

    /// How long the quota is used up. None if there are requests left.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.closed_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// How far apart a source's polls must be, so that the quota lasts until its reset when one round over all sources
    /// takes `round_requests`. Zero if GitHub sends no quota.
    pub(super) fn pace(&self, round_requests: u32, now: Instant) -> Duration {
        let Some((quota, told)) = self.quota else { return Duration::ZERO };
        let resets_in = (told + quota.resets_in).saturating_duration_since(now);
        spread(quota.remaining, resets_in, round_requests)
    }

    /// True if more than half of the quota is left, or GitHub sends none: there are requests for less urgent work.
    pub(super) fn is_ample(&self) -> bool {
        self.quota.is_none_or(|(quota, _)| quota.limit.is_some_and(|limit| quota.remaining > limit / 2))
    }

    /// Requests left of the quota, if GitHub sends it.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.quota.map(|(quota, _)| quota.remaining)
    }

    /// Requests that the quota has in all, if GitHub sends it.
    pub(super) fn limit(&self) -> Option<u64> {
        self.quota.and_then(|(quota, _)| quota.limit)
    }

    /// How long until the quota starts afresh, if GitHub sends it.
    pub(super) fn resets_in(&self, now: Instant) -> Option<Duration> {
        self.quota.map(|(quota, told)| (told + quota.resets_in).saturating_duration_since(now))
    }

    fn close_until(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(Some(until));
    }
}

/// The interval at which rounds of `round_requests` use up `remaining` just as the quota is reset.
fn spread(remaining: u64, resets_in: Duration, round_requests: u32) -> Duration {
    let whole_rounds = remaining / u64::from(round_requests.max(1));
    match u32::try_from(whole_rounds).unwrap_or(u32::MAX) {
        // Not enough for a round: wait for the next hour's.
        0 if resets_in.is_zero() => Duration::ZERO,
        0 => resets_in + RESET_MARGIN,
        rounds => resets_in / rounds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::{Hints, Outcome};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn not_modified(remaining: u64, limit: Option<u64>, resets_in: Duration) -> Answer {
        let quota = Some(Quota { remaining, limit, resets_in });
        Answer { outcome: Outcome::NotModified, hints: Hints { quota, ..Hints::default() } }
    }

    #[test]
    fn the_rest_of_the_quota_is_spread_over_the_rest_of_its_hour() {
        for (remaining, resets_in, round_requests, interval) in [
            (60, 3600, 1, 60),
            (57, 3600, 3, 189),
            (60, 3600, 6, 360),
            (4997, 3600, 3, 2),
            (2, 30, 3, 31),
            (0, 900, 1, 901),
            (3, 170, 3, 170),
            (0, 0, 3, 0),
            (5, 3600, 0, 720),
        ] {
            let spread = spread(remaining, s(resets_in), round_requests).as_secs();
            assert_eq!(spread, interval, "{remaining} {resets_in} {round_requests}");
        }
        assert!(spread(u64::MAX, s(3600), 1) < s(1));
    }

    #[test]
    fn a_pace_is_none_without_a_quota_and_ends_with_its_hour() {
        let now = Instant::now();
        let mut budget = Budget::default();
        assert_eq!(budget.pace(3, now), s(0));
        budget.learn(&not_modified(10, None, s(100)), now);
        assert_eq!((budget.pace(1, now), budget.pace(1, now + s(50))), (s(10), s(5)));
        assert_eq!(budget.pace(1, now + s(101)), s(0));
        assert_eq!((budget.remaining(), budget.closed_for(now)), (Some(10), None));
    }

    #[test]
    fn the_quota_is_ample_while_more_than_half_is_left_and_where_there_is_none() {
        let told = |remaining, limit| {
            let mut budget = Budget::default();
            budget.learn(&not_modified(remaining, limit, s(900)), Instant::now());
            budget.is_ample()
        };
        assert!(Budget::default().is_ample() && told(2501, Some(5000)) && told(31, Some(60)));
        assert!(!told(2500, Some(5000)) && !told(30, Some(60)) && !told(0, Some(0)) && !told(9000, None));
    }

    #[test]
    fn nothing_is_asked_from_the_last_request_of_a_quota_until_its_reset() {
        let now = Instant::now();
        let mut budget = Budget::default();
        budget.learn(&not_modified(0, None, s(900)), now);
        assert_eq!((budget.closed_for(now), budget.closed_for(now + s(901))), (Some(s(901)), None));
    }
}
