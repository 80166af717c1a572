//! The pool of tokens: which token asks for a source, and when.
//!
//! - Each token has a `budget` of its own. GitHub's secondary limits hold for all tokens (`secondary`).
//! - A source has a seat at a token and stays there, because GitHub's ETags belong to the token that got them. Sources are spread
//!   so that each token has about the same part of its quota to spend (`seats`).
//! - A token that GitHub refuses is set aside. Its sources move to the others. From time to time one request tries the token
//!   again. If that succeeds, sources move back, one by one, as they are polled.
//! - A token that gets older answers than another one is set aside, too (`freshness` finds them). It comes back when it gets an
//!   event that was created since.
//! - A source whose token has used up its quota moves, unless the quota starts afresh soon.
//!
//! Pure but for the log: outside `github` a token is a number. Without any token there is one that stands for none.

mod seats;
mod token;

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::budget::Budget;
use super::moment::Moment;
use super::secondary::SecondaryLimit;
use crate::config::Source;
use crate::duration::Rounded;
use crate::github::{Answer, Outcome, TokenNumber};
use seats::Seats;
use token::{Reason, TRIAL_WAIT_MAX, Token};

pub(super) use token::{Standing, TokenReport};

/// A source waits so long for its own token before it moves to another. A move costs an answer 200 in place of a free 304.
const MOVE_AFTER: Duration = Duration::from_secs(60);

/// All tokens, with the sources at each.
pub(super) struct TokenPool {
    /// At least one.
    tokens: Vec<Token>,
    seats: Seats,
    secondary: SecondaryLimit,
}

/// The sums over the tokens that are not set aside. A value is None if GitHub has not sent it for any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QuotaSum {
    pub remaining: Option<u64>,
    pub limit: Option<u64>,
    /// Until the first of the quotas starts afresh.
    pub resets_in: Option<Duration>,
}

impl TokenPool {
    /// A pool of so many tokens. With none, requests are made without a token.
    pub(super) fn new(tokens: usize) -> Self {
        let tokens: Vec<_> = (0..tokens.max(1)).map(|_| Token::default()).collect();
        Self { seats: Seats::new(tokens.len()), tokens, secondary: SecondaryLimit::default() }
    }

    /// The token for the next request about `source`. `known` is the token of the source's saved ETag.
    ///
    /// The source keeps its seat, unless its token is set aside or used up, or has much more to do than another one. A token that
    /// is due for a trial is tried first.
    pub(super) fn choose(
        &mut self,
        source: &Source,
        known: Option<TokenNumber>,
        now: Instant,
    ) -> TokenNumber {
        if let Some(trial) = self.numbers().find(|token| self.of(*token).is_due_for_trial(now)) {
            self.of_mut(trial).begin_trial(now);
            return trial;
        }
        let seat = self.token_of(source).or(known.filter(|known| known.index() < self.tokens.len()));
        let token = match seat {
            Some(own) if self.of(own).wait(now).is_zero() => {
                self.better_than(own, source, now).unwrap_or(own)
            }
            seat => self.soonest(now).or(seat).unwrap_or_default(),
        };
        self.seats.put(source, token);
        token
    }

    /// Learns from an answer about `source` to a request with `token`, which came at `now`.
    pub(super) fn learn(&mut self, source: &Source, token: TokenNumber, answer: &Answer, now: Instant) {
        let was_good = self.of(token).standing(now) == Standing::Good;
        self.of_mut(token).budget.learn(answer, now);
        if was_good && self.of(token).standing(now) == Standing::UsedUp {
            self.tell_used_up(token, now);
        }
        match &answer.outcome {
            Outcome::Limited { wait, .. } if !is_primary(answer) => self.secondary.limit(*wait, now),
            // The budget knows when the quota starts afresh.
            Outcome::Limited { .. } => {}
            Outcome::Refused { .. } => self.secondary.refuse(source, now),
            Outcome::Denied => self.refuse(token, now),
            Outcome::NotModified | Outcome::Page(_) => {
                self.secondary.answer(source);
                self.take_back(token, Reason::Refused, source, now);
            }
            Outcome::Missing { .. } | Outcome::Failed { .. } => {}
        }
    }

    /// True if there is more than one token.
    pub(super) fn are_several(&self) -> bool {
        self.tokens.len() > 1
    }

    /// How many tokens ask for sources now. One at least.
    pub(super) fn at_work(&self) -> usize {
        let is_at_work = |token: &TokenNumber| !self.of(*token).is_aside() && self.seats.count(*token) > 0;
        self.numbers().filter(is_at_work).count().max(1)
    }

    /// The token at which `source` has its seat. None before its first request.
    pub(super) fn token_of(&self, source: &Source) -> Option<TokenNumber> {
        self.seats.of(source)
    }

    /// Sets what the polls of `source` cost: requests an hour, or any unit that is the same for all sources.
    pub(super) fn set_cost(&mut self, source: &Source, cost: f64) {
        self.seats.set_cost(source, cost);
    }

    /// Forgets a source that is no longer polled.
    pub(super) fn forget(&mut self, source: &Source) {
        self.seats.forget(source);
        self.secondary.forget(source);
    }

    /// The quota of a token.
    pub(super) fn budget(&self, token: TokenNumber) -> &Budget {
        &self.of(token).budget
    }

    /// How long `source` must not be asked for, by the limits of all tokens and by those of the tokens that could ask. None if it
    /// may be.
    pub(super) fn closed_for(&self, source: &Source, now: Instant) -> Option<Duration> {
        let own = self.token_of(source).map(|own| self.of(own)).filter(|own| !own.is_aside());
        let own = own.map(|own| own.wait(now)).filter(|wait| *wait <= MOVE_AFTER);
        let wait = own.or_else(|| self.tokens.iter().map(|token| token.wait(now)).min()).unwrap_or_default();
        let wait = wait.max(self.secondary.closed_for(now).unwrap_or_default());
        Some(wait).filter(|wait| !wait.is_zero())
    }

    /// How long no source may be asked for. None if some may be.
    pub(super) fn all_closed_for(&self, now: Instant) -> Option<Duration> {
        let wait = self.tokens.iter().map(|token| token.wait(now)).min().unwrap_or_default();
        let wait = wait.max(self.secondary.closed_for(now).unwrap_or_default());
        Some(wait).filter(|wait| !wait.is_zero())
    }

    /// How far apart polls must be, so that the quota of `source`'s token lasts until its reset when one round over all sources of
    /// that token takes `round_requests`. Zero if GitHub sends no quota.
    pub(super) fn pace(&self, source: &Source, round_requests: u32, now: Instant) -> Duration {
        self.of(self.token_of(source).unwrap_or_default()).budget.pace(round_requests, now)
    }

    /// True if more than half of the quota of `source`'s token is left: there are requests for less urgent work.
    pub(super) fn is_ample(&self, source: &Source) -> bool {
        self.of(self.token_of(source).unwrap_or_default()).budget.is_ample()
    }

    /// The sums over the tokens that are not set aside.
    pub(super) fn quota(&self, now: Instant) -> QuotaSum {
        let good = || self.tokens.iter().filter(|token| !token.is_aside()).map(|token| &token.budget);
        let sum = |values: &mut dyn Iterator<Item = u64>| {
            values.fold(None, |sum: Option<u64>, value| Some(sum.unwrap_or_default().saturating_add(value)))
        };
        QuotaSum {
            remaining: sum(&mut good().filter_map(|budget| budget.remaining())),
            limit: sum(&mut good().filter_map(|budget| budget.limit())),
            resets_in: good().filter_map(|budget| budget.resets_in(now)).min(),
        }
    }

    /// Each token, in the order of its numbers.
    pub(super) fn reports(&self, now: Instant) -> impl Iterator<Item = TokenReport> {
        self.numbers().map(move |number| TokenReport {
            number,
            standing: self.of(number).standing(now),
            remaining: self.of(number).budget.remaining(),
            limit: self.of(number).budget.limit(),
            resets_in: self.of(number).budget.resets_in(now),
            wait: self.of(number).wait(now),
            sources: self.seats.count(number),
            cost: self.seats.load(number),
        })
    }

    /// The open token that has the smallest part of its quota to spend, if `source` should move there from `own`.
    fn better_than(&self, own: TokenNumber, source: &Source, now: Instant) -> Option<TokenNumber> {
        if self.tokens.len() == 1 {
            return None;
        }
        let best = self.open(now).min_by(|one, other| self.burden(*one).total_cmp(&self.burden(*other)))?;
        let (own_hourly, best_hourly) = (self.of(own).hourly(), self.of(best).hourly());
        self.seats.should_move(source, (own, own_hourly), (best, best_hourly)).then_some(best)
    }

    /// The token that may ask first; of several, the one that has the smallest part of its quota to spend.
    fn soonest(&self, now: Instant) -> Option<TokenNumber> {
        let order = |token: &TokenNumber| (self.of(*token).wait(now), self.burden(*token));
        self.numbers().min_by(|one, other| {
            let ((wait, burden), (other_wait, other_burden)) = (order(one), order(other));
            wait.cmp(&other_wait).then(burden.total_cmp(&other_burden))
        })
    }

    /// The tokens that may ask now.
    fn open(&self, now: Instant) -> impl Iterator<Item = TokenNumber> {
        self.numbers().filter(move |token| self.of(*token).wait(now).is_zero())
    }

    /// The cost of its sources as a part of its quota.
    fn burden(&self, token: TokenNumber) -> f64 {
        self.seats.load(token) / self.of(token).hourly()
    }

    /// Moves `source` away from `token`, which seems to get old answers, if another token may ask.
    pub(super) fn leave(&mut self, source: &Source, token: TokenNumber, now: Instant) {
        let others = self.open(now).filter(|other| *other != token && !self.of(*other).is_aside());
        if let Some(other) = others.min_by(|one, other| self.burden(*one).total_cmp(&self.burden(*other))) {
            self.seats.put(source, other);
        }
    }

    /// Sets aside a token that gets old answers: another token got a newer one.
    pub(super) fn distrust(&mut self, token: TokenNumber, now: Moment) {
        let is_news = !self.of(token).is_aside();
        self.of_mut(token).distrust(now);
        if is_news {
            let (count, sources) = (self.tokens.len(), self.seats.count(token));
            tracing::warn!(
                token = %token, sources,
                "GitHub gives old answers to token {token} of {count}, and newer ones to another: its {sources} sources move. It is \
                 tried again from time to time"
            );
        }
    }

    /// Notes that an answer to `token` about `source` was as new as it should be. It ends with an event of `newest`.
    pub(super) fn trust(&mut self, source: &Source, token: TokenNumber, newest: DateTime<Utc>, now: Instant) {
        if self.of(token).is_cleared_by(newest) {
            self.take_back(token, Reason::Old, source, now);
        }
    }

    fn refuse(&mut self, token: TokenNumber, now: Instant) {
        let is_news = self.of(token).standing(now) != Standing::Refused;
        self.of_mut(token).set_aside(Reason::Refused, now);
        let (count, sources) = (self.tokens.len(), self.seats.count(token));
        if !is_news {
            return;
        }
        if count == 1 {
            tracing::warn!(
                "GitHub refuses access (401), so no source is polled: check that GITHUB_TOKEN holds a token that has not expired. It \
                 is tried again soon, then every {}",
                Rounded(TRIAL_WAIT_MAX)
            );
            return;
        }
        let rest = match self.tokens.iter().filter(|token| !token.is_aside()).count() {
            0 => "no other token is left".to_owned(),
            rest => format!("its {sources} sources move to the other {rest}"),
        };
        tracing::warn!(
            token = %token, sources,
            "GitHub refuses token {token} of {count} (401): {rest}. It is tried again soon, then every {}. Check that it has not \
             expired; the tokens of GITHUB_TOKENS are counted after that of GITHUB_TOKEN",
            Rounded(TRIAL_WAIT_MAX)
        );
    }

    fn tell_used_up(&self, token: TokenNumber, now: Instant) {
        let count = self.tokens.len();
        if count > 1 {
            let (wait, sources) = (self.of(token).wait(now), self.seats.count(token));
            tracing::warn!(
                token = %token, sources, wait_s = wait.as_secs(),
                "token {token} of {count} has used up its quota, which starts afresh in {}; its {sources} sources {}",
                Rounded(wait),
                if wait > MOVE_AFTER { "move to the others" } else { "wait" }
            );
        }
    }

    /// A good answer ends a trial. The source that tried the token stays with it.
    fn take_back(&mut self, token: TokenNumber, reason: Reason, source: &Source, now: Instant) {
        let Some(aside_for) = self.of_mut(token).take_back(reason, now) else { return };
        self.seats.put(source, token);
        let count = self.tokens.len();
        let aside_for = Rounded(aside_for);
        if count == 1 {
            tracing::info!("GitHub gives access again after {aside_for}");
        } else {
            tracing::info!(token = %token, "GitHub takes token {token} of {count} again after {aside_for}: sources move to it");
        }
    }

    fn numbers(&self) -> impl Iterator<Item = TokenNumber> + use<> {
        (0..self.tokens.len()).map(TokenNumber::at)
    }

    fn of(&self, token: TokenNumber) -> &Token {
        &self.tokens[token.index()]
    }

    fn of_mut(&mut self, token: TokenNumber) -> &mut Token {
        &mut self.tokens[token.index()]
    }
}

/// The limit is the token's own: its quota is used up, GitHub says when that starts afresh, and asks for no other wait.
fn is_primary(answer: &Answer) -> bool {
    let is_used_up = |quota: crate::github::Quota| quota.remaining == 0 && !quota.resets_in.is_zero();
    answer.hints.retry_after.is_none() && answer.hints.quota.is_some_and(is_used_up)
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
