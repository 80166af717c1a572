//! How many requests a client has left: GitHub's primary rate limit
//! (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, TimeDelta, Utc};

/// Requests an hour without and with a token, as GitHub grants them.
const ANONYMOUS: u64 = 60;
const AUTHORISED: u64 = 5_000;
/// How many tokens are known at a time; then the one whose quota ends first is forgotten.
const TOKENS_MAX: usize = 1_000;

/// The quotas of all clients without a token, and of each token.
pub(super) struct Quotas {
    anonymous: Quota,
    fresh: Quota,
    /// By the token's hash, as nobody needs the token.
    tokens: HashMap<u64, Token>,
    /// How many tokens were seen.
    seen: usize,
}

struct Token {
    number: usize,
    quota: Quota,
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
        Self {
            anonymous: quota(limit.unwrap_or(ANONYMOUS)),
            fresh: quota(limit.unwrap_or(AUTHORISED)),
            tokens: HashMap::new(),
            seen: 0,
        }
    }

    /// The quota that a request with this token counts against, started afresh when its time is over.
    pub(super) fn of(&mut self, token: Option<&[u8]>, now: DateTime<Utc>) -> &mut Quota {
        let quota = match token {
            Some(token) => &mut self.token(token).quota,
            None => &mut self.anonymous,
        };
        if now >= quota.resets_at {
            quota.used = 0;
            quota.resets_at = now + quota.window;
        }
        quota
    }

    /// The token's number: 1 for the first that was seen.
    pub(super) fn number_of(&mut self, token: &[u8]) -> usize {
        self.token(token).number
    }

    fn token(&mut self, token: &[u8]) -> &mut Token {
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        let key = hasher.finish();
        if self.tokens.len() == TOKENS_MAX
            && !self.tokens.contains_key(&key)
            && let Some(&first) =
                self.tokens.iter().min_by_key(|(_, held)| held.quota.resets_at).map(|one| one.0)
        {
            self.tokens.remove(&first);
        }
        self.tokens.entry(key).or_insert_with(|| {
            self.seen += 1;
            Token { number: self.seen, quota: self.fresh }
        })
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

    const A: Option<&[u8]> = Some(b"a");

    #[test]
    fn a_quota_ends_and_starts_afresh_after_its_window() {
        let mut quotas = Quotas::new(Some(2), TimeDelta::seconds(10));
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert!(quotas.of(None, now).spend() && quotas.of(None, now).spend());
        assert!(!quotas.of(None, now).spend());
        assert_eq!(quotas.of(None, now).remaining(), 0);
        assert!(quotas.of(A, now).spend() && quotas.of(A, now).spend(), "a token has a quota of its own");
        assert!(!quotas.of(A, now).spend());
        assert!(quotas.of(Some(b"b"), now).spend(), "and so has another token");
        assert!(quotas.of(None, now + TimeDelta::seconds(10)).spend());
    }

    #[test]
    fn tokens_have_numbers_and_their_memory_an_end() {
        let mut quotas = Quotas::new(Some(2), TimeDelta::seconds(10));
        assert_eq!([b"x", b"y", b"x"].map(|token| quotas.number_of(token)), [1, 2, 1]);
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        quotas.of(Some(b"x"), now).spend();
        for number in 0..TOKENS_MAX as u32 {
            quotas.number_of(&number.to_le_bytes());
        }
        assert_eq!(quotas.tokens.len(), TOKENS_MAX);
        assert_eq!(quotas.of(Some(b"x"), now).used, 1, "one in use is not forgotten");
    }

    #[test]
    fn limits_are_githubs_unless_given() {
        let mut quotas = Quotas::new(None, TimeDelta::hours(1));
        let now = Utc::now();
        assert_eq!((quotas.of(None, now).limit, quotas.of(A, now).limit), (60, 5_000));
    }
}
