//! How many requests a client has left: GitHub's primary rate limit
//! (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).

use chrono::{DateTime, TimeDelta, Utc};

/// Requests an hour without and with a token, as GitHub grants them.
const ANONYMOUS: u64 = 60;
const AUTHORISED: u64 = 5_000;

/// The quotas of all clients without a token, and of all with one (whichever it is: the simulator knows no users).
pub(super) struct Quotas {
    anonymous: Quota,
    authorised: Quota,
}

/// The remaining requests of one quota.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    pub limit: u64,
    pub used: u64,
    pub resets_at: DateTime<Utc>,
    window: TimeDelta,
}

impl Quotas {
    /// GitHub's limits, or `limit` for everyone, each over `window`.
    pub(super) fn new(limit: Option<u64>, window: TimeDelta) -> Self {
        let quota = |limit| Quota { limit, used: 0, resets_at: DateTime::UNIX_EPOCH, window };
        Self { anonymous: quota(limit.unwrap_or(ANONYMOUS)), authorised: quota(limit.unwrap_or(AUTHORISED)) }
    }

    /// The quota that a request counts against, started afresh when its time is over.
    pub(super) fn of(&mut self, authorised: bool, now: DateTime<Utc>) -> &mut Quota {
        let quota = if authorised { &mut self.authorised } else { &mut self.anonymous };
        if now >= quota.resets_at {
            quota.used = 0;
            quota.resets_at = now + quota.window;
        }
        quota
    }
}

impl Quota {
    /// Spends one request, or answers false when none is left.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.used < self.limit;
        if left {
            self.used += 1;
        }
        left
    }

    /// Takes the request back: a 304 to an authorised client is free.
    pub(super) fn refund(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    pub(super) fn remaining(&self) -> u64 {
        self.limit - self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_ends_and_starts_afresh_after_its_window() {
        let mut quotas = Quotas::new(Some(2), TimeDelta::seconds(10));
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert!(quotas.of(false, now).spend() && quotas.of(false, now).spend());
        assert!(!quotas.of(false, now).spend());
        assert_eq!(quotas.of(false, now).remaining(), 0);
        assert!(quotas.of(true, now).spend(), "a token has a quota of its own");
        assert!(quotas.of(false, now + TimeDelta::seconds(10)).spend());
    }

    #[test]
    fn limits_are_githubs_unless_given() {
        let mut quotas = Quotas::new(None, TimeDelta::hours(1));
        let now = Utc::now();
        assert_eq!((quotas.of(false, now).limit, quotas.of(true, now).limit), (60, 5_000));
    }
}
