//! The schedule: when each source is polled, so that one budget of requests is spent well. Pure.
//!
//! - `rate` learns how active a source is.
//! - `learned` learns what requests cost.
//! - `plan` finds the interval of each source. It says how, and why.
//!
//! A [`Schedule`] keeps these together for one budget. It plans again every few seconds, because quota, rates and silence change.

mod learned;
mod plan;
mod rate;

use std::time::Duration;

use tokio::time::Instant;

use learned::Learned;
use plan::Supply;

pub(super) use plan::{Demand, Plan};
pub(super) use rate::Rate;

/// How often intervals are planned again.
pub(super) const PLAN_EVERY: Duration = Duration::from_secs(10);
/// The part of the quota that the plan spends. The rest is for sweeps, failures and bursts.
const SPENT: f64 = 0.97;
/// The part of the time in which requests may be under way. There is one at a time.
const BUSY: f64 = 0.7;
/// Requests an hour, free ones included: below GitHub's secondary limit of 900 a minute
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>).
const ALL_MAX: f64 = 600.0 * 60.0;
/// Of a quota that is about to be reset, the rest is not spent in less than this.
const RESET_MIN: Duration = Duration::from_secs(30);
/// Up to so many sources are few. All are polled at the start at once, and with all their pages.
pub(super) const FEW_SOURCES: usize = 100;
/// The part of the budget that goes to sources that were never polled.
const DISCOVERY: f64 = 0.5;
const HOUR: Duration = Duration::from_secs(3600);

/// The plan for the sources of one budget, and the knowledge that it rests on.
#[derive(Default)]
pub(super) struct Schedule {
    learned: Learned,
    planned: Option<Planned>,
}

struct Planned {
    at: Instant,
    supply: Supply,
    plan: Plan,
}

/// The state of a quota. None of it if GitHub sends no quota.
#[derive(Clone, Copy, Default)]
pub(super) struct QuotaLeft {
    pub remaining: Option<u64>,
    pub limit: Option<u64>,
    pub resets_in: Option<Duration>,
}

impl Schedule {
    /// Learns from a poll that ended at `now` and left this quota.
    pub(super) fn polled(&mut self, poll: Polled, quota: QuotaLeft, now: Instant) {
        self.learned.took(poll.requests_took, poll.requests);
        self.learned.left(quota.remaining.zip(quota.resets_in), poll.is_not_modified, now);
        let (Some((demand, after_h)), Some(planned)) = (poll.planned, &self.planned) else { return };
        let supply = Supply { correction: 1.0, ..planned.supply };
        let counted =
            if poll.is_not_modified { self.learned.not_modified_counts() } else { f64::from(poll.requests) };
        self.learned.polled(counted, demand.cost(after_h, &supply).counted);
    }

    /// True if it is time to plan again.
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.planned.as_ref().is_none_or(|planned| now >= planned.at + PLAN_EVERY)
    }

    /// Plans the sources with these demands, beside `undiscovered` ones that were never polled. `budgets` budgets share these, the
    /// time for requests, and GitHub's limit on requests a minute.
    pub(super) fn plan(
        &mut self,
        demands: &[Demand],
        undiscovered: usize,
        quota: QuotaLeft,
        budgets: usize,
        now: Instant,
    ) {
        let share = count(budgets.max(1));
        let busy = BUSY * HOUR.as_secs_f64() / self.learned.request_s();
        let all = busy.min(ALL_MAX) / share;
        let counted = counted_per_hour(quota);
        let reserved = discovery(count(undiscovered) / share, counted);
        let supply = Supply {
            counted: (counted - reserved).max(1.0),
            all: all - reserved.min(all / 2.0),
            not_modified_counts: self.learned.not_modified_counts(),
            correction: self.learned.correction(),
        };
        self.planned = Some(Planned { at: now, supply, plan: Plan::of(demands, &supply) });
    }

    /// Plan again as soon as possible.
    pub(super) fn outdate(&mut self) {
        self.planned = None;
    }

    /// The interval of a source in the plan. None before the first plan.
    pub(super) fn interval(&self, demand: &Demand) -> Option<Duration> {
        let planned = self.planned.as_ref()?;
        Some(Duration::from_secs_f64(
            demand.interval_h(planned.plan.level, &planned.supply) * HOUR.as_secs_f64(),
        ))
    }

    /// Requests an hour that the polls of a source take in the plan. None before the first plan.
    pub(super) fn requests(&self, demand: &Demand) -> Option<f64> {
        let planned = self.planned.as_ref()?;
        let interval_h = demand.interval_h(planned.plan.level, &planned.supply);
        Some(demand.cost(interval_h, &planned.supply).counted / interval_h)
    }

    /// The plan, once there is one.
    pub(super) fn current(&self) -> Option<&Plan> {
        self.planned.as_ref().map(|planned| &planned.plan)
    }
}

/// The pause between first polls of so many sources. If they would use up much of the quota, they are spread over time.
pub(super) fn discovery_pause(undiscovered: usize, quota: QuotaLeft) -> Duration {
    let is_many = undiscovered > FEW_SOURCES
        && quota.remaining.is_some_and(|left| count_u64(left) < 4.0 * count(undiscovered));
    let per_hour = discovery(count(undiscovered), counted_per_hour(quota)).max(1.0);
    if is_many { HOUR.div_f64(per_hour) } else { Duration::ZERO }
}

/// A poll, as the schedule sees it.
pub(super) struct Polled {
    /// How long its requests took, without publishing.
    pub requests_took: Duration,
    pub requests: u32,
    pub is_not_modified: bool,
    /// What it was planned by, and the hours since the poll before. None if it was not planned, or broke off.
    pub planned: Option<(Demand, f64)>,
}

/// True if first polls of so many sources may read all pages of each.
pub(super) fn may_read_all_pages(undiscovered: usize, quota: QuotaLeft) -> bool {
    quota.remaining.map_or(undiscovered <= FEW_SOURCES, |left| count_u64(left) >= 6.0 * count(undiscovered))
}

/// What sweeps are further apart, so that those of so many sources take a twentieth of the quota at most.
pub(super) fn sweep_pause(sources: usize, limit: Option<u64>) -> Duration {
    let (others, limit) = (count(sources.saturating_sub(1)), limit.map_or(f64::INFINITY, count_u64));
    HOUR.mul_f64((others * 2.0 / (0.05 * limit.max(1.0))).min(24.0 * 7.0))
}

/// Requests an hour that count, until the quota is reset.
fn counted_per_hour(quota: QuotaLeft) -> f64 {
    let (Some(remaining), Some(resets_in)) = (quota.remaining, quota.resets_in) else { return f64::INFINITY };
    let (left, left_s) = match quota.limit {
        // It was reset meanwhile.
        Some(limit) if resets_in.is_zero() => (limit, HOUR),
        None if resets_in.is_zero() => return f64::INFINITY,
        _ => (remaining, resets_in.max(RESET_MIN)),
    };
    SPENT * count_u64(left) * HOUR.as_secs_f64() / left_s.as_secs_f64()
}

/// Requests an hour for sources that were never polled.
fn discovery(undiscovered: f64, counted: f64) -> f64 {
    (DISCOVERY * counted).min(undiscovered)
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn count_u64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
