//! The activity of a feed: its rate, how many events it shows, and when it last showed something new. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::coverage::FeedGap;
use super::moment::Moment;
use super::schedule::{Demand, Rate};
use super::walk::EVENTS_MAX;

/// A feed that seems to show fewer events than this is taken to show so many.
const VISIBLE_MIN: usize = 10;

/// What is known of a feed's activity.
pub(super) struct Activity {
    rate: Rate,
    /// How many events the feed shows at once.
    visible: usize,
    /// How many elements it showed when it was last read to its end.
    shown: Option<usize>,
    /// When the rate last learned. None before the first poll.
    learned_at: Option<DateTime<Utc>>,
    /// When the feed last showed something new, or was first polled.
    news_at: Instant,
}

impl Activity {
    /// Nothing is known.
    pub(super) fn unknown(now: Instant) -> Self {
        Self { rate: Rate::default(), visible: EVENTS_MAX, shown: None, learned_at: None, news_at: now }
    }

    /// Continues from the rate that another process knew at that time.
    pub(super) fn resume(&mut self, rate: Option<Rate>, learned_at: Option<DateTime<Utc>>) {
        self.rate = rate.unwrap_or(self.rate);
        self.learned_at = learned_at.or(self.learned_at);
    }

    /// The rate, and when it was last learned.
    pub(super) fn saved(&self) -> (Option<Rate>, Option<DateTime<Utc>>) {
        (self.learned_at.map(|_| self.rate), self.learned_at)
    }

    /// When the last poll ended that told something. None before the first.
    pub(super) fn learned_at(&self) -> Option<DateTime<Utc>> {
        self.learned_at
    }

    /// Events an hour.
    pub(super) fn per_hour(&self) -> f64 {
        self.rate.per_hour_of_a_day()
    }

    /// Learns from the poll that was answered at `answered`.
    pub(super) fn learn(&mut self, seen: &Seen, gaps: &[FeedGap], answered: Moment) {
        let hours = |duration: TimeDelta| duration.as_seconds_f64() / 3600.0;
        let elapsed_h = self.learned_at.map(|before| hours(answered.utc - before));
        self.rate.learn(elapsed_h, seen.fresh.iter().map(|created| hours(answered.utc - *created)));
        if !seen.fresh.is_empty() || self.learned_at.is_none() {
            self.news_at = answered.instant;
        }
        self.learn_visible(seen, gaps);
        self.learned_at = Some(answered.utc);
    }

    /// Learns how many events the feed shows: fewer than usual if it lost some, or if new ones do not make it longer.
    fn learn_visible(&mut self, seen: &Seen, gaps: &[FeedGap]) {
        let in_poll = gaps.iter().map(|gap| gap.events_in_poll).max();
        let is_full = !seen.fresh.is_empty() && self.learned_at.is_some() && seen.shown <= self.shown;
        self.visible = match (in_poll, seen.shown) {
            (Some(in_poll), _) => in_poll.clamp(VISIBLE_MIN, EVENTS_MAX),
            (None, Some(shown)) if is_full => shown.clamp(VISIBLE_MIN, EVENTS_MAX),
            (None, Some(shown)) if shown > self.visible => EVENTS_MAX,
            _ => self.visible,
        };
        self.shown = seen.shown.or(self.shown);
    }

    /// What the plan is to know. `shortest` is the shortest interval allowed, `before` the one in the plan before.
    pub(super) fn demand(&self, weight: f64, shortest: Duration, before: Duration, now: Instant) -> Demand {
        #[expect(clippy::cast_precision_loss, reason = "300 at most")]
        let visible = self.visible as f64;
        Demand {
            per_hour: self.rate.per_hour(),
            weight,
            visible,
            shortest_h: in_hours(shortest),
            silent_h: in_hours(now.saturating_duration_since(self.news_at)),
            before_h: in_hours(before),
        }
    }
}

/// What a poll saw.
#[derive(Default)]
pub(super) struct Seen {
    /// When its new events were created.
    pub fresh: Vec<DateTime<Utc>>,
    /// How many elements the feed shows, if it was read to its end.
    pub shown: Option<usize>,
}

/// A duration in hours.
pub(super) fn in_hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible_after(polls: &[(usize, Option<usize>, Option<usize>)]) -> usize {
        let mut activity = Activity::unknown(Instant::now());
        for (fresh, shown, in_lossy_poll) in polls {
            let now = Moment::now();
            let gap = |events_in_poll| FeedGap { from: now.utc, to: now.utc, events_in_poll };
            let seen = Seen { fresh: vec![now.utc; *fresh], shown: *shown };
            activity.learn(&seen, &in_lossy_poll.map(gap).into_iter().collect::<Vec<_>>(), now);
        }
        activity.visible
    }

    #[test]
    fn a_feed_shows_300_events_unless_polls_show_less() {
        for (polls, visible) in [
            (&[(300, None, None)][..], 300),
            (&[(40, Some(40), None)], 300),
            (&[(40, Some(40), None), (5, Some(45), None)], 300),
            (&[(40, Some(40), None), (5, Some(40), None)], 40),
            (&[(40, Some(40), None), (0, Some(40), None)], 300),
            (&[(40, Some(40), None), (5, Some(40), None), (9, Some(49), None)], 300),
            (&[(90, Some(90), None), (90, Some(90), Some(90))], 90),
            (&[(3, Some(3), None), (1, Some(3), None)], VISIBLE_MIN),
        ] {
            assert_eq!(visible_after(polls), visible, "{polls:?}");
        }
    }
}
