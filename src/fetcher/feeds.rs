//! All feeds that are polled, and which one is next. Pure.
//!
//! A feed alone is polled at GitHub's interval, or at the pace of the quota. Of several, the `schedule` decides. With
//! `--poll-interval`, all are polled at that interval, and nothing is planned.

use std::time::Duration;

use tokio::time::Instant;

use super::activity::{Seen, in_hours};
use super::coverage::FeedGap;
use super::feed::{Feed, PollEnd};
use super::freshness::{Freshness, KindFreshness};
use super::moment::Moment;
use super::schedule::{self, FEW_SOURCES, Plan, Polled, QuotaLeft, Schedule};
use super::tokens::TokenPool;
use crate::github::TokenNumber;

/// Events that all feeds remember together, and the least of one feed: twice what it shows.
const REMEMBERED_OF_ALL_MAX: usize = 1_000_000;
const REMEMBERED_MIN: usize = 600;

/// The feeds, with the tokens that they share.
pub(super) struct Feeds {
    pub all: Vec<Feed>,
    pub tokens: TokenPool,
    /// One for each token.
    schedules: Vec<Schedule>,
    freshness: Freshness,
    /// When the next feed that was never polled may be polled.
    discover_at: Option<Instant>,
    /// Until then, feeds that are due again go before those that were never polled: each have half of the time.
    known_first_until: Instant,
    /// The user's own interval, in place of GitHub's and of a plan.
    poll_interval: Option<Duration>,
    sweep_every: Duration,
}

/// A poll that is over.
pub(super) struct Done<'a> {
    pub end: &'a PollEnd,
    pub seen: &'a Seen,
    pub gaps: &'a [FeedGap],
    /// When the last good poll before it was answered.
    pub answered_before: Instant,
    /// It read more pages than it needed.
    pub swept: bool,
    /// How long its requests took, without publishing.
    pub requests_took: Duration,
}

/// What the plans lead to, at the present rates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    /// The part of the events that will be missed, because the quota does not suffice.
    pub lost: f64,
    /// Requests an hour that count against the quotas, and all requests.
    pub counted_per_hour: f64,
    pub requests_per_hour: f64,
}

impl Feeds {
    /// No feeds yet, and so many tokens.
    pub(super) fn new(tokens: usize, poll_interval: Option<Duration>, sweep_every: Duration) -> Self {
        Self {
            all: Vec::new(),
            tokens: TokenPool::new(tokens),
            schedules: (0..tokens.max(1)).map(|_| Schedule::default()).collect(),
            freshness: Freshness::default(),
            discover_at: None,
            known_first_until: Instant::now(),
            poll_interval,
            sweep_every,
        }
    }

    /// The feeds have changed: some are new, or gone.
    pub(super) fn changed(&mut self) {
        let marks_max = (REMEMBERED_OF_ALL_MAX / self.all.len().max(1)).max(REMEMBERED_MIN);
        for feed in &mut self.all {
            feed.memory.limit(marks_max);
            feed.saved = None;
        }
        self.schedules.iter_mut().for_each(Schedule::outdate);
    }

    /// The feeds continue from what an earlier process saved. Few are polled at once. Many wait for as long as the plan wants.
    pub(super) fn resumed(&mut self, now: Moment) {
        if self.all.len() > FEW_SOURCES {
            self.all.iter_mut().for_each(|feed| feed.wait_since_last_process(now));
        }
        self.schedules.iter_mut().for_each(Schedule::outdate);
    }

    /// The feed to poll next, and when. None if there is no feed.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Instant)> {
        self.plan_if_old(now);
        let all = || self.all.iter().enumerate().map(|(index, feed)| (index, self.due(feed)));
        let (mut index, mut due) = all().min_by_key(|(_, due)| *due)?;
        if now < self.known_first_until && !self.all[index].is_discovered() {
            let known = all().filter(|(index, due)| *due <= now && self.all[*index].is_discovered());
            (index, due) = known.min_by_key(|(_, due)| *due).unwrap_or((index, due));
        }
        if self.tokens.closed_for(&self.all[index].source, now).is_none() {
            return Some((index, due));
        }
        // Of several that may be polled at the same time, the one that has been due longest.
        let open =
            |index: usize| now + self.tokens.closed_for(&self.all[index].source, now).unwrap_or_default();
        let (index, at, _) = all()
            .map(|(index, due)| (index, due.max(open(index)), due))
            .min_by_key(|(_, at, due)| (*at, *due))?;
        Some((index, at))
    }

    /// When a feed is due. Those that were never polled may be spread over time.
    fn due(&self, feed: &Feed) -> Instant {
        let later = self.discover_at.filter(|_| !feed.is_discovered());
        later.map_or(feed.due, |later| feed.due.max(later))
    }

    /// How long until this feed is polled, by the current limits.
    pub(super) fn until_polled(&self, index: usize, now: Instant) -> Duration {
        let feed = &self.all[index];
        let closed = self.tokens.closed_for(&feed.source, now).unwrap_or_default();
        feed.due.saturating_duration_since(now).max(closed)
    }

    /// Learns from a poll of this feed, and sets when it is polled next.
    pub(super) fn polled(&mut self, index: usize, done: &Done, now: Moment) {
        let was_discovered = self.all[index].is_discovered();
        let planned = self.poll_as_planned(index, done, now.instant);
        let token = self.token_of(&self.all[index]);
        let quota = self.quota(token, now.instant);
        let feed = &mut self.all[index];
        let polled = Polled {
            requests_took: done.requests_took,
            requests: feed.requests(),
            is_not_modified: *done.end == PollEnd::NotModified,
            planned,
        };
        feed.learn_activity(done.seen, done.end, done.gaps);
        if matches!(done.end, PollEnd::Whole | PollEnd::NotModified) {
            // What a failing GitHub takes says nothing of the time that polls take otherwise.
            self.schedules[token].polled(polled, quota, now.instant);
        }
        let mut others = self.all.iter().enumerate().filter(|(other, _)| *other != index);
        let others_answer = others.any(|(_, feed)| feed.trouble.is_over());
        let interval = self.interval(index, now.instant);
        self.all[index].planned = interval;
        self.all[index].schedule(done.end, interval, others_answer, now.instant);
        if !was_discovered {
            let undiscovered = self.undiscovered();
            let pause = schedule::discovery_pause(undiscovered, self.quota_of_all(now.instant));
            // Without a pause they keep their place, before feeds that are polled again.
            self.discover_at = Some(now.instant + pause).filter(|_| !pause.is_zero());
            if undiscovered > FEW_SOURCES {
                self.known_first_until = now.instant + done.requests_took;
            }
        }
        if self.all.len() > FEW_SOURCES && matches!(done.end, PollEnd::Failed { .. }) {
            // While GitHub is away, thousands of feeds must not all be asked for every minute.
            let feed = &mut self.all[index];
            feed.due = feed.due.max(now.instant + feed.planned / 2);
        }
    }

    /// Judges by a good poll with new events of these types whether the feed, and all feeds of its kind, have gone stale or thin.
    pub(super) fn judge_freshness(&mut self, index: usize, types: &[&str], now: Instant) -> KindFreshness {
        let feed = &mut self.all[index];
        if feed.freshness.note(&feed.source, types.len(), now) {
            feed.forget_etag();
        }
        let source = &self.all[index].source;
        let of_kind = self.all.iter().filter(|feed| feed.source.kind() == source.kind());
        let stale = of_kind.filter(|feed| feed.freshness.is_stale()).count();
        self.freshness.note(source, types, stale, now)
    }

    /// The index of a feed's token. A feed that was never polled has none yet, and gets any.
    fn token_of(&self, feed: &Feed) -> usize {
        if self.schedules.len() == 1 {
            return 0;
        }
        self.tokens.token_of(&feed.source).unwrap_or_default().index()
    }

    /// Feeds that were never polled.
    fn undiscovered(&self) -> usize {
        self.all.iter().filter(|feed| !feed.is_discovered()).count()
    }

    fn schedule_of(&self, feed: &Feed) -> &Schedule {
        &self.schedules[self.token_of(feed)]
    }

    /// The sum of all tokens' quotas.
    fn quota_of_all(&self, now: Instant) -> QuotaLeft {
        let sum = self.tokens.quota(now);
        QuotaLeft { remaining: sum.remaining, limit: sum.limit, resets_in: sum.resets_in }
    }

    /// The state of a token's quota.
    fn quota(&self, token: usize, now: Instant) -> QuotaLeft {
        let budget = self.tokens.budget(TokenNumber::at(token));
        QuotaLeft { remaining: budget.remaining(), limit: budget.limit(), resets_in: budget.resets_in(now) }
    }

    /// What the plan expected of a poll, if it tells something about the costs of polls.
    fn poll_as_planned(&self, index: usize, done: &Done, now: Instant) -> Option<(schedule::Demand, f64)> {
        let feed = &self.all[index];
        let is_whole = matches!(done.end, PollEnd::Whole | PollEnd::NotModified);
        let is_usual = self.plans() && is_whole && feed.follows_plan && !done.swept;
        let after_h = in_hours(feed.answered().saturating_duration_since(done.answered_before));
        is_usual.then(|| (feed.demand(feed.interval, now), after_h))
    }

    /// The interval of a feed that was just polled.
    fn interval(&self, index: usize, now: Instant) -> Duration {
        let feed = &self.all[index];
        if let Some(own) = self.poll_interval {
            return own;
        }
        if self.all.len() == 1 {
            return feed.interval.max(self.tokens.pace(&feed.source, feed.requests(), now));
        }
        self.schedule_of(feed).interval(&feed.demand(feed.interval, now)).unwrap_or(feed.interval)
    }

    /// True if a schedule decides.
    fn plans(&self) -> bool {
        self.poll_interval.is_none() && self.all.len() > 1
    }

    /// What all plans together lead to. None without a plan.
    pub(super) fn forecast(&self) -> Option<Forecast> {
        if !self.plans() {
            return None;
        }
        let plans = || self.schedules.iter().filter_map(Schedule::current);
        let sum = |of: fn(&Plan) -> f64| plans().map(of).sum::<f64>();
        let events = sum(|plan| plan.per_hour);
        let lost = if events > 0.0 { sum(|plan| plan.lost_per_hour) / events } else { 0.0 };
        Some(Forecast {
            lost,
            counted_per_hour: sum(|plan| plan.counted),
            requests_per_hour: sum(|plan| plan.all),
        })
    }

    /// Plans again if the plan is old.
    pub(super) fn plan_if_old(&mut self, now: Instant) {
        for token in 0..self.schedules.len() {
            if self.schedules[token].is_old(now) {
                self.plan(token, now);
            }
        }
    }

    fn plan(&mut self, token: usize, now: Instant) {
        let quota = self.quota(token, now);
        let undiscovered = self.undiscovered();
        let (mut demands, mut members) = (Vec::new(), Vec::new());
        for (index, feed) in self.all.iter().enumerate().filter(|(_, feed)| self.token_of(feed) == token) {
            members.push(index);
            demands.extend(feed.follows_plan.then(|| feed.demand(feed.interval, now)));
        }
        let is_brief = !schedule::may_read_all_pages(undiscovered, self.quota_of_all(now));
        let sweep_every = self.sweep_every + schedule::sweep_pause(members.len(), quota.limit);
        let (budgets, plans) = (self.tokens.at_work(), self.plans());
        let schedule = &mut self.schedules[token];
        schedule.plan(&demands, undiscovered, quota, budgets, now);
        for index in members {
            let feed = &mut self.all[index];
            (feed.is_brief_at_first, feed.sweep_every) = (is_brief, sweep_every);
            let demand = feed.demand(feed.interval, now);
            if let Some((interval, per_hour)) =
                schedule.interval(&demand).zip(schedule.requests(&demand)).filter(|_| plans)
            {
                feed.plan(interval);
                self.tokens.set_cost(&feed.source, per_hour);
            }
        }
    }
}

#[cfg(test)]
mod freshness_tests;
#[cfg(test)]
mod simulation_tests;
#[cfg(test)]
mod tests;
