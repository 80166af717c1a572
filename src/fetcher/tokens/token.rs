//! One token: its budget, and whether it is set aside. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::fetcher::budget::Budget;
use crate::github::TokenNumber;

/// Requests an hour that a token has, until GitHub says so
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#primary-rate-limit-for-authenticated-users>).
const HOURLY_USUAL: u64 = 5000;

/// A token.
#[derive(Default)]
pub(super) struct Token {
    pub(super) budget: Budget,
    aside: Option<Aside>,
}

/// The token is set aside.
struct Aside {
    since: Instant,
    /// When one request may try it.
    trial_at: Instant,
}

/// How a token stands. Its labels are those of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fetcher) enum Standing {
    /// It may ask.
    Good,
    /// Its quota is used up, and starts afresh by itself.
    UsedUp,
    /// GitHub refuses it.
    Refused,
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::fetcher) struct TokenReport {
    pub number: TokenNumber,
    pub standing: Standing,
    /// Requests left, and that the quota has in all. None if GitHub does not send it.
    pub remaining: Option<u64>,
    pub limit: Option<u64>,
    /// Until the quota starts afresh.
    pub resets_in: Option<Duration>,
    /// How long it must not be used. Limits of all tokens are not in it.
    pub wait: Duration,
    /// Sources that it asks for, and what their polls cost.
    pub sources: usize,
    pub cost: f64,
}

impl Token {
    /// How long it must not be used, by its own limits.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let aside = self.aside.as_ref().map(|aside| aside.trial_at.saturating_duration_since(now));
        aside.unwrap_or_default().max(self.budget.closed_for(now).unwrap_or_default())
    }

    /// It is refused, until a request with it succeeds.
    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// It is set aside and may be tried with one request.
    pub(super) fn is_due_for_trial(&self, now: Instant) -> bool {
        self.is_aside() && self.wait(now).is_zero()
    }

    /// One request tries it. The next one may at `next`, unless this one succeeds.
    pub(super) fn begin_trial(&mut self, next: Instant) {
        if let Some(aside) = &mut self.aside {
            aside.trial_at = next;
        }
    }

    /// Sets it aside, or leaves it there, until a trial at `trial_at`.
    pub(super) fn set_aside(&mut self, now: Instant, trial_at: Instant) {
        let since = self.aside.as_ref().map_or(now, |aside| aside.since);
        self.aside = Some(Aside { since, trial_at });
    }

    /// Takes it back. Returns how long it was set aside, if it was.
    pub(super) fn take_back(&mut self, now: Instant) -> Option<Duration> {
        self.aside.take().map(|aside| now - aside.since)
    }

    /// Requests that it has an hour.
    #[expect(clippy::cast_precision_loss, reason = "quotas are thousands")]
    pub(super) fn hourly(&self) -> f64 {
        self.budget.limit().unwrap_or(HOURLY_USUAL).max(1) as f64
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        if self.is_aside() {
            Standing::Refused
        } else if self.budget.closed_for(now).is_some() {
            Standing::UsedUp
        } else {
            Standing::Good
        }
    }
}

impl Standing {
    /// All of them, for a metric that has a sample for each.
    pub(in crate::fetcher) const ALL: [Self; 3] = [Self::Good, Self::UsedUp, Self::Refused];

    /// A metric's label.
    pub(in crate::fetcher) fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::UsedUp => "used-up",
            Self::Refused => "refused",
        }
    }
}
