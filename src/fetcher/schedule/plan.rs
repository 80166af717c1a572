//! The plan: how far apart the polls of each source are, so that a budget of requests is spent well. Pure.
//!
//! **What completeness needs.** A source shows its newest `visible` events (300 at most). If its polls are `visible / 3` events
//! apart, they overlap though the rate triples in between.
//!
//! **What freshness would like.** With polls an interval `T` apart, an event waits `T / 2` on average. So a source of rate `r`
//! and weight `w` has a weighted delay of `w r T / 2` an hour. If a poll costs `c`, its polls cost `c / T` an hour. For a
//! given sum of costs, the sum of delays is smallest where both change alike for every source. That gives `T = m sqrt(c / (w r))`
//! with one `m` for all. (This is Lagrange's method. Cho and Garcia-Molina used it for crawlers of web pages in 2003.)
//! An answer 304 is free with a token, so `c` grows with `T`. Then `c` is to be replaced by `c - T c'`: the *price* below. For a
//! source that is mostly without news, the price is small: polling it more often costs next to nothing.
//!
//! **The order.** `m` is made as small as the budget allows, but no interval is longer than completeness needs, nor than an hour.
//! If the budget does not suffice even so, intervals grow in three steps, and each step goes as far as it must:
//! [`Level::Late`], [`Level::Lossy`], [`Level::Scarce`].

/// Polls so many visible windows apart overlap with margin.
const NEEDED_WINDOWS: f64 = 1.0 / 3.0;
/// Quiet sources are polled this often as long as the budget allows.
const QUIET_H: f64 = 1.0;
/// Every source is polled this often, unless the budget does not allow even that.
const LONGEST_H: f64 = 24.0;
/// A source without news for so many hours is polled once in a `1 / SILENT_POLLS` of that time, at most.
const SILENT_POLLS: f64 = 60.0;
/// Events on a page.
const PAGE: f64 = 100.0;
/// The price of a free answer, as a part of a request that counts. It keeps the number of free ones finite.
const FREE_PRICE: f64 = 0.05;
/// Steps of the search for a level: enough for a thousandth.
const SEARCH_STEPS: u32 = 16;

/// What the plan knows of a source.
#[derive(Clone, Copy, Debug)]
pub(in crate::fetcher) struct Demand {
    /// Events an hour.
    pub per_hour: f64,
    /// How much its events matter, beside those of others.
    pub weight: f64,
    /// How many events the source shows.
    pub visible: f64,
    /// The shortest interval allowed, in hours.
    pub shortest_h: f64,
    /// How long it has shown nothing new, in hours.
    pub silent_h: f64,
    /// The interval in the plan before this one, in hours. The cost of a poll depends on it.
    pub before_h: f64,
}

/// Requests that may be made, an hour.
#[derive(Clone, Copy, Debug)]
pub(in crate::fetcher) struct Supply {
    /// Requests that count against the quota.
    pub counted: f64,
    /// All requests, free ones included.
    pub all: f64,
    /// The part of the answers 304 that count: 0 with a token, 1 without.
    pub not_modified_counts: f64,
    /// Requests counted so far, for each that was expected.
    pub correction: f64,
}

/// How tight the budget is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::fetcher) enum Level {
    /// All that completeness needs, and `m` for freshness.
    Fresh(f64),
    /// Quiet sources wait longer than an hour, by this factor. Nothing is lost yet.
    Late(f64),
    /// Pages overlap less than they should, or not at all: intervals are this factor / weight of what is needed. Events are lost.
    Lossy(f64),
    /// The same, and even one poll a day of each source is too much: all intervals are longer by this factor.
    Scarce(f64),
}

/// A level and what it leads to.
#[derive(Clone, Copy, Debug)]
pub(in crate::fetcher) struct Plan {
    pub level: Level,
    /// Requests an hour that count against the quota.
    pub counted: f64,
    /// All requests an hour.
    pub all: f64,
    /// Events an hour, and those that will be missed, at the present rates.
    pub per_hour: f64,
    pub lost_per_hour: f64,
}

impl Plan {
    /// The plan that spends `supply` on `demands`.
    pub(in crate::fetcher) fn of(demands: &[Demand], supply: &Supply) -> Self {
        let level = level_for(demands, supply);
        let (counted, all) = usage(demands, supply, level);
        let per_hour = demands.iter().map(|demand| demand.per_hour).sum();
        let lost = |demand: &Demand| demand.lost_per_hour(demand.interval_h(level, supply));
        Self { level, counted, all, per_hour, lost_per_hour: demands.iter().map(lost).sum() }
    }
}

fn level_for(demands: &[Demand], supply: &Supply) -> Level {
    let fits = |level| {
        let (counted, all) = usage(demands, supply, level);
        counted <= supply.counted && all <= supply.all
    };
    // Intervals grow from one step to the next, so the first step that fits at its end has the level.
    let steps = [(Level::Fresh as fn(f64) -> Level, 1e4), (Level::Late, 1e4), (Level::Lossy, 1e5)];
    let first = steps.into_iter().find(|(step, most)| fits(step(*most)));
    let (step, most) = first.unwrap_or((Level::Scarce, 1e4));
    smallest(step, most, fits)
}

/// The smallest factor that fits, by bisection of its logarithm.
fn smallest(step: fn(f64) -> Level, most: f64, fits: impl Fn(Level) -> bool) -> Level {
    let (mut low, mut high) = (1e-6_f64.ln(), most.ln());
    if fits(step(low.exp())) {
        return step(low.exp());
    }
    for _ in 0..SEARCH_STEPS {
        let middle = f64::midpoint(low, high);
        if fits(step(middle.exp())) { high = middle } else { low = middle }
    }
    step(high.exp())
}

/// Requests an hour at this level: those that count, and all.
fn usage(demands: &[Demand], supply: &Supply, level: Level) -> (f64, f64) {
    demands.iter().fold((0.0, 0.0), |(counted, all), demand| {
        let interval_h = demand.interval_h(level, supply);
        let poll = demand.cost(interval_h, supply);
        (counted + poll.counted / interval_h, all + poll.all / interval_h)
    })
}

/// Requests that a poll takes, on average.
#[derive(Clone, Copy, Debug)]
pub(in crate::fetcher) struct Cost {
    pub counted: f64,
    pub all: f64,
}

impl Demand {
    /// The interval at this level, in hours.
    pub(in crate::fetcher) fn interval_h(&self, level: Level, supply: &Supply) -> f64 {
        let needed_h = (NEEDED_WINDOWS * self.visible / self.per_hour).min(LONGEST_H);
        // Where even the shortest interval is too long, that is all that can be had.
        let needed_h = needed_h.max(self.shortest_h);
        let weight = self.weight;
        let interval_h = match level {
            Level::Fresh(m) => {
                let wanted_h = m * (self.price(supply) / (weight * self.per_hour)).sqrt();
                let silence_h = (self.silent_h / SILENT_POLLS).min(QUIET_H);
                wanted_h.max(silence_h).min(needed_h.min(QUIET_H))
            }
            Level::Late(factor) => needed_h.min(QUIET_H * (factor / weight).max(1.0)),
            Level::Lossy(factor) => (needed_h * (factor / weight).max(1.0)).min(LONGEST_H.max(needed_h)),
            Level::Scarce(factor) => factor.max(1.0) * LONGEST_H.max(needed_h),
        };
        interval_h.max(self.shortest_h)
    }

    /// The requests of a poll after this interval.
    pub(in crate::fetcher) fn cost(&self, interval_h: f64, supply: &Supply) -> Cost {
        let news = self.per_hour * interval_h;
        let pages = pages(news, self.visible);
        let without_news = (-news).exp();
        let counted = pages * (1.0 - without_news) + supply.not_modified_counts * without_news;
        Cost { counted: counted * supply.correction, all: pages }
    }

    /// The price of a poll at the present interval: `c - T c'`, plus a little for a free answer.
    fn price(&self, supply: &Supply) -> f64 {
        let news = self.per_hour * self.before_h;
        let with_news = 1.0 - (-news).exp() * (1.0 + news);
        FREE_PRICE + supply.not_modified_counts + (1.0 - supply.not_modified_counts) * with_news
    }

    /// Events an hour that polls so far apart miss, at a constant rate, and polls at the shortest interval would not.
    fn lost_per_hour(&self, interval_h: f64) -> f64 {
        (self.per_hour.min(self.visible / self.shortest_h) - self.visible / interval_h).max(0.0)
    }
}

/// Pages that a poll reads, down to the first known event. A mean between whole pages, because the number of new events varies.
fn pages(news: f64, visible: f64) -> f64 {
    let most = (visible / PAGE).ceil().clamp(1.0, 3.0);
    (0.5 + news / PAGE).clamp(1.0, most)
}

#[cfg(test)]
mod tests;
