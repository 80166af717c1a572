//! One token: its budget, and whether it is set aside. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::fetcher::budget::Budget;
use crate::fetcher::moment::Moment;
use crate::github::TokenNumber;
use crate::retry::doubled;

/// Requests an hour that a token has, until GitHub says so
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#primary-rate-limit-for-authenticated-users>).
const HOURLY_USUAL: u64 = 5000;

/// A token.
#[derive(Default)]
pub(super) struct Token {
    pub(super) budget: Budget,
    aside: Option<Aside>,
}

/// How soon a refused token is tried again: a refusal may be a passing fault of GitHub's. Twice that each further time. Many
/// refusals in a row make GitHub refuse everything for a while, so the wait soon grows to minutes.
const TRIAL_WAIT_FIRST: Duration = Duration::from_secs(15);
pub(super) const TRIAL_WAIT_MAX: Duration = Duration::from_secs(300);

/// A token that got old answers is tried again so much later. Each trial moves a source.
const OLD_TRIAL_WAIT: Duration = Duration::from_secs(900);

/// Why a token is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// GitHub refuses it.
    Refused,
    /// GitHub gives it old answers.
    Old,
}

/// The token is set aside.
struct Aside {
    since: Instant,
    reason: Reason,
    /// Refusals in a row.
    refusals: u32,
    /// When one request may try it.
    trial_at: Instant,
    /// When it was last found to get old answers. Older events do not show that this is over.
    old_at: Option<DateTime<Utc>>,
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
    /// GitHub gives it old answers.
    Old,
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

    /// It is set aside, until a trial succeeds.
    pub(super) fn is_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// It is set aside and may be tried with one request.
    pub(super) fn is_due_for_trial(&self, now: Instant) -> bool {
        self.is_aside() && self.wait(now).is_zero()
    }

    /// One request tries it. The next one may after the longest wait, unless this one has an answer before.
    pub(super) fn begin_trial(&mut self, now: Instant) {
        if let Some(aside) = &mut self.aside {
            aside.trial_at = now + TRIAL_WAIT_MAX;
        }
    }

    /// Sets it aside until the next trial.
    pub(super) fn set_aside(&mut self, reason: Reason, now: Instant) {
        let aside =
            self.aside.get_or_insert(Aside { since: now, reason, refusals: 0, trial_at: now, old_at: None });
        aside.reason = reason;
        let wait = match reason {
            Reason::Old => OLD_TRIAL_WAIT,
            Reason::Refused => {
                aside.refusals = aside.refusals.saturating_add(1);
                doubled(TRIAL_WAIT_FIRST, aside.refusals, TRIAL_WAIT_MAX)
            }
        };
        aside.trial_at = now + wait;
    }

    /// Sets it aside because it gets old answers.
    pub(super) fn distrust(&mut self, now: Moment) {
        self.set_aside(Reason::Old, now.instant);
        if let Some(aside) = &mut self.aside {
            aside.old_at = Some(now.utc);
        }
    }

    /// True if an answer that ends with an event of `newest` is no old one. A source may have had no event since the answers became
    /// old. Then they are as good as new, and show nothing.
    pub(super) fn is_cleared_by(&self, newest: DateTime<Utc>) -> bool {
        self.aside.as_ref().and_then(|aside| aside.old_at).is_none_or(|old_at| newest > old_at)
    }

    /// Takes it back, if it was set aside for this reason. Returns how long it was.
    pub(super) fn take_back(&mut self, reason: Reason, now: Instant) -> Option<Duration> {
        self.aside.take_if(|aside| aside.reason == reason).map(|aside| now - aside.since)
    }

    /// Requests that it has an hour.
    #[expect(clippy::cast_precision_loss, reason = "quotas are thousands")]
    pub(super) fn hourly(&self) -> f64 {
        self.budget.limit().unwrap_or(HOURLY_USUAL).max(1) as f64
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        match self.aside.as_ref().map(|aside| aside.reason) {
            Some(Reason::Refused) => Standing::Refused,
            Some(Reason::Old) => Standing::Old,
            None if self.budget.closed_for(now).is_some() => Standing::UsedUp,
            None => Standing::Good,
        }
    }
}

impl Standing {
    /// All of them, for a metric that has a sample for each.
    pub(in crate::fetcher) const ALL: [Self; 4] = [Self::Good, Self::UsedUp, Self::Refused, Self::Old];

    /// A metric's label.
    pub(in crate::fetcher) fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::UsedUp => "used-up",
            Self::Refused => "refused",
            Self::Old => "old-answers",
        }
    }
}
