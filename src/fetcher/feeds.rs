//! All feeds that are polled, and which one is next. Pure.
//!
//! A feed alone is polled at GitHub's interval, or at the pace of the quota. Of several, the `schedule` decides. With
//! `--poll-interval`, all are polled at that interval, and nothing is planned.

use std::time::Duration;

use tokio::time::Instant;

use super::activity::{Seen, in_hours};
use super::budget::Budget;
use super::coverage::FeedGap;
use super::feed::{Feed, PollEnd};
use super::moment::Moment;
use super::schedule::{self, FEW_SOURCES, Plan, Polled, QuotaLeft, Schedule};

/// Events that all feeds remember together, and the least of one feed: twice what it shows.
const REMEMBERED_OF_ALL_MAX: usize = 1_000_000;
const REMEMBERED_MIN: usize = 600;

/// The feeds, with the budget that they share.
pub(super) struct Feeds {
    pub all: Vec<Feed>,
    pub budget: Budget,
    schedule: Schedule,
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
    /// How long it took, publishing included.
    pub took: Duration,
}

impl Feeds {
    /// No feeds yet.
    pub(super) fn new(poll_interval: Option<Duration>, sweep_every: Duration) -> Self {
        Self {
            all: Vec::new(),
            budget: Budget::default(),
            schedule: Schedule::default(),
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
        self.schedule.outdate();
    }

    /// The feeds continue from what an earlier process saved. Few are polled at once. Many wait for as long as the plan wants.
    pub(super) fn resumed(&mut self, now: Moment) {
        if self.all.len() > FEW_SOURCES {
            self.all.iter_mut().for_each(|feed| feed.wait_since_last_process(now));
        }
        self.schedule.outdate();
    }

    /// The feed to poll next, and when. None if there is no feed.
    pub(super) fn next(&mut self, now: Instant) -> Option<(usize, Instant)> {
        self.plan_if_old(now);
        let discover_at = self.schedule.discover_at();
        let due = |feed: &Feed| {
            let later = discover_at.filter(|_| !feed.is_discovered());
            later.map_or(feed.due, |later| feed.due.max(later))
        };
        let (index, due) = self
            .all
            .iter()
            .enumerate()
            .map(|(index, feed)| (index, due(feed)))
            .min_by_key(|(_, due)| *due)?;
        Some((index, due.max(now + self.budget.closed_for(now).unwrap_or_default())))
    }

    /// How long until this feed is polled, by the current limits.
    pub(super) fn until_polled(&self, index: usize, now: Instant) -> Duration {
        let closed = self.budget.closed_for(now).unwrap_or_default();
        self.all[index].due.saturating_duration_since(now).max(closed)
    }

    /// Learns from a poll of this feed, and sets when it is polled next.
    pub(super) fn polled(&mut self, index: usize, done: &Done, now: Moment) {
        let was_discovered = self.all[index].is_discovered();
        let planned = self.poll_as_planned(index, done, now.instant);
        let feed = &mut self.all[index];
        let polled = Polled {
            took: done.took,
            requests: feed.requests(),
            is_not_modified: *done.end == PollEnd::NotModified,
            planned,
        };
        feed.learn_activity(done.seen, done.end, done.gaps);
        self.schedule.polled(polled, quota(&self.budget, now.instant), now.instant);
        let mut others = self.all.iter().enumerate().filter(|(other, _)| *other != index);
        let others_answer = others.any(|(_, feed)| feed.trouble.is_over());
        let interval = self.interval(index, now.instant);
        self.all[index].planned = interval;
        self.all[index].schedule(done.end, interval, others_answer, now.instant);
        if !was_discovered {
            let left = self.all.iter().filter(|feed| !feed.is_discovered()).count();
            self.schedule.discovered(left, quota(&self.budget, now.instant), now.instant);
        }
    }

    /// What the plan expected of a poll, if it tells something about the costs of polls.
    fn poll_as_planned(&self, index: usize, done: &Done, now: Instant) -> Option<(schedule::Demand, f64)> {
        let feed = &self.all[index];
        let is_whole = matches!(done.end, PollEnd::Whole | PollEnd::NotModified);
        let is_usual = self.plans() && is_whole && feed.follows_plan && !done.swept;
        let after_h = in_hours(feed.answered().saturating_duration_since(done.answered_before));
        is_usual.then(|| (feed.demand(self.shortest(feed), now), after_h))
    }

    /// The interval of a feed that was just polled.
    fn interval(&self, index: usize, now: Instant) -> Duration {
        let feed = &self.all[index];
        if let Some(own) = self.poll_interval {
            return own;
        }
        if self.all.len() == 1 {
            return feed.interval.max(self.budget.pace(feed.requests(), now));
        }
        self.schedule.interval(&feed.demand(feed.interval, now)).unwrap_or(feed.interval)
    }

    fn shortest(&self, feed: &Feed) -> Duration {
        self.poll_interval.unwrap_or(feed.interval)
    }

    /// True if a schedule decides.
    fn plans(&self) -> bool {
        self.poll_interval.is_none() && self.all.len() > 1
    }

    /// The plan, where there is one.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.schedule.current().filter(|_| self.plans())
    }

    /// Plans again if the plan is old.
    pub(super) fn plan_if_old(&mut self, now: Instant) {
        if !self.schedule.is_old(now) {
            return;
        }
        let quota = quota(&self.budget, now);
        let undiscovered = self.all.iter().filter(|feed| !feed.is_discovered()).count();
        let is_brief = !schedule::may_read_all_pages(undiscovered, quota);
        let sweep_every = self.sweep_every + schedule::sweep_pause(self.all.len(), quota.limit);
        let demand = |feed: &Feed| feed.demand(feed.interval, now);
        let demands: Vec<_> = self.all.iter().filter(|feed| feed.follows_plan).map(demand).collect();
        self.schedule.plan(&demands, undiscovered, quota, 1, now);
        let plans = self.plans();
        for feed in &mut self.all {
            (feed.is_brief_at_first, feed.sweep_every) = (is_brief, sweep_every);
            let interval = self.schedule.interval(&feed.demand(feed.interval, now));
            if let Some(interval) = interval.filter(|_| plans) {
                feed.plan(interval);
            }
        }
    }
}

/// The state of the quota.
fn quota(budget: &Budget, now: Instant) -> QuotaLeft {
    QuotaLeft { remaining: budget.remaining(), limit: budget.limit(), resets_in: budget.resets_in(now) }
}

#[cfg(test)]
mod simulation;
