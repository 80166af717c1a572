//! The budget of requests over all sources: GitHub counts them per token, or per address without a token.
//!
//! Without a token GitHub takes 60 requests an hour. Three pages a minute would use these up in twenty minutes, and nothing
//! would be polled for the other forty. So the rest of the quota is spread over the rest of its hour.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Source;
use crate::duration::Rounded;
use crate::github::{Answer, Outcome, Quota};
use crate::retry::doubled;

/// Added to the reset time, which GitHub gives in whole seconds.
const RESET_MARGIN: Duration = Duration::from_secs(1);
/// The first wait when GitHub limits us without saying for how long, as its documentation asks; doubled each time, up to the hour
/// that its limits last.
const LIMITED_WAIT_FIRST: Duration = Duration::from_secs(60);
const LIMITED_WAIT_MAX: Duration = Duration::from_secs(3600);
/// If so many different sources that answered before are refused in a row, this is taken for a limit of all requests. GitHub's
/// secondary limit may answer a plain 403, as a blocked repository does. Further requests would prolong the limit.
const REFUSED_IN_A_ROW_MAX: usize = 3;
/// The same for sources that never answered, as long as no source has. They may just as well be refused for good.
const REFUSED_AT_FIRST_MAX: usize = 10;
/// How soon a refused token is tried again. Many refusals in a row make GitHub refuse everything for a while.
const DENIED_WAIT: Duration = Duration::from_secs(300);

/// GitHub's limits, by its last answer.
#[derive(Default)]
pub(super) struct Budget {
    quota: Option<(Quota, Instant)>,
    closed_until: Option<Instant>,
    limited_in_a_row: u32,
    /// The sources whose last answer was good.
    good: HashSet<Source>,
    /// Some source has given a good answer.
    has_answered: bool,
    /// The different sources that were refused since the last good answer, or since that closed us, and that count.
    refused: Vec<Source>,
}

impl Budget {
    /// Learns from an answer about `source` that came at `now`.
    pub(super) fn learn(&mut self, source: &Source, answer: &Answer, now: Instant) {
        if let Some(quota) = answer.hints.quota {
            self.quota = Some((quota, now));
            if quota.remaining == 0 {
                self.close_until(now + quota.resets_in + RESET_MARGIN);
            }
        }
        match &answer.outcome {
            Outcome::Limited { wait, .. } => self.close_for_limit(*wait, now),
            Outcome::Refused { .. } => self.refuse(source, now),
            Outcome::Denied => self.close_until(now + DENIED_WAIT),
            Outcome::NotModified | Outcome::Page(_) => self.take_good_answer(source),
            Outcome::Missing { .. } | Outcome::Failed { .. } => {}
        }
    }

    /// Closes for the time that GitHub asks for. If it asks for none: a minute, and twice as long each further time.
    fn close_for_limit(&mut self, asked: Option<Duration>, now: Instant) {
        self.limited_in_a_row = self.limited_in_a_row.saturating_add(1);
        let growing = || doubled(LIMITED_WAIT_FIRST, self.limited_in_a_row, LIMITED_WAIT_MAX);
        let wait = asked.unwrap_or_else(growing);
        self.close_until(now + wait);
    }

    fn take_good_answer(&mut self, source: &Source) {
        self.limited_in_a_row = 0;
        self.refused.clear();
        self.has_answered = true;
        if !self.good.contains(source) {
            self.good.insert(source.clone());
        }
    }

    /// A single refused source concerns only that source. Several in a row that answered before close all.
    fn refuse(&mut self, source: &Source, now: Instant) {
        let was_good = self.good.remove(source);
        if (self.has_answered && !was_good) || self.refused.contains(source) {
            return;
        }
        self.refused.push(source.clone());
        let enough = if self.has_answered { REFUSED_IN_A_ROW_MAX } else { REFUSED_AT_FIRST_MAX };
        if self.refused.len() < enough {
            return;
        }
        if self.has_answered {
            self.close_for_limit(None, now);
        } else {
            // The wait does not grow: the sources that were not asked yet may be well.
            self.close_until(now + LIMITED_WAIT_FIRST);
        }
        let refused: Vec<_> = self.refused.drain(..).map(|source| source.to_string()).collect();
        let (refused, wait) = (refused.join(", "), self.closed_for(now).unwrap_or_default());
        tracing::warn!(
            refused,
            wait_s = wait.as_secs(),
            "GitHub refused {refused}, one after the other: this is taken for a limit of all requests; no source is polled \
             for {}",
            Rounded(wait)
        );
    }

    /// How long no source may be polled. None if sources may be polled.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.closed_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// How far apart a source's polls must be, so that the quota lasts until its reset when one round over all sources
    /// takes `round_requests`. Zero if GitHub sends no quota.
    pub(super) fn pace(&self, round_requests: u32, now: Instant) -> Duration {
        let Some((quota, told)) = self.quota else { return Duration::ZERO };
        let resets_in = (told + quota.resets_in).saturating_duration_since(now);
        spread(quota.remaining, resets_in, round_requests)
    }

    /// True if more than half of the quota is left, or GitHub sends none: there are requests for less urgent work.
    pub(super) fn is_ample(&self) -> bool {
        self.quota.is_none_or(|(quota, _)| quota.limit.is_some_and(|limit| quota.remaining > limit / 2))
    }

    /// Requests left of the quota, if GitHub sends it.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.quota.map(|(quota, _)| quota.remaining)
    }

    /// Requests that the quota has in all, if GitHub sends it.
    pub(super) fn limit(&self) -> Option<u64> {
        self.quota.and_then(|(quota, _)| quota.limit)
    }

    /// How long until the quota starts afresh, if GitHub sends it.
    pub(super) fn resets_in(&self, now: Instant) -> Option<Duration> {
        self.quota.map(|(quota, told)| (told + quota.resets_in).saturating_duration_since(now))
    }

    fn close_until(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(Some(until));
    }
}

/// The interval at which rounds of `round_requests` use up `remaining` just as the quota is reset.
fn spread(remaining: u64, resets_in: Duration, round_requests: u32) -> Duration {
    let whole_rounds = remaining / u64::from(round_requests.max(1));
    match u32::try_from(whole_rounds).unwrap_or(u32::MAX) {
        // Not enough for a round: wait for the next hour's.
        0 if resets_in.is_zero() => Duration::ZERO,
        0 => resets_in + RESET_MARGIN,
        rounds => resets_in / rounds,
    }
}

#[cfg(test)]
mod property_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::{Hints, Page};

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn events() -> Source {
        "events".parse().unwrap()
    }

    fn answer(outcome: Outcome, remaining: u64, resets_in: Duration) -> Answer {
        let quota = Some(Quota { remaining, limit: None, resets_in });
        Answer { outcome, hints: Hints { quota, ..Hints::default() } }
    }

    #[test]
    fn the_rest_of_the_quota_is_spread_over_the_rest_of_its_hour() {
        for (remaining, resets_in, round_requests, interval) in [
            (60, 3600, 1, 60),
            (57, 3600, 3, 189),
            (60, 3600, 6, 360),
            (4997, 3600, 3, 2),
            (2, 30, 3, 31),
            (0, 900, 1, 901),
            (3, 170, 3, 170),
            (0, 0, 3, 0),
            (5, 3600, 0, 720),
        ] {
            let spread = spread(remaining, s(resets_in), round_requests).as_secs();
            assert_eq!(spread, interval, "{remaining} {resets_in} {round_requests}");
        }
        assert!(spread(u64::MAX, s(3600), 1) < s(1));
    }

    #[test]
    fn a_pace_is_none_without_a_quota_and_ends_with_its_hour() {
        let now = Instant::now();
        let mut budget = Budget::default();
        assert_eq!(budget.pace(3, now), s(0));
        budget.learn(&events(), &answer(Outcome::NotModified, 10, s(100)), now);
        assert_eq!((budget.pace(1, now), budget.pace(1, now + s(50))), (s(10), s(5)));
        assert_eq!(budget.pace(1, now + s(101)), s(0));
        assert_eq!((budget.remaining(), budget.closed_for(now)), (Some(10), None));
    }

    #[test]
    fn the_quota_is_ample_while_more_than_half_is_left_and_where_there_is_none() {
        let told = |remaining, limit| {
            let quota = Quota { remaining, limit, resets_in: s(900) };
            let mut budget = Budget::default();
            let hints = Hints { quota: Some(quota), ..Hints::default() };
            budget.learn(&events(), &Answer { outcome: Outcome::NotModified, hints }, Instant::now());
            budget.is_ample()
        };
        assert!(Budget::default().is_ample() && told(2501, Some(5000)) && told(31, Some(60)));
        assert!(!told(2500, Some(5000)) && !told(30, Some(60)) && !told(0, Some(0)) && !told(9000, None));
    }

    fn limited(wait: Option<Duration>) -> Outcome {
        Outcome::Limited { status: 429, wait }
    }

    fn refused() -> Outcome {
        Outcome::Refused { status: 403 }
    }

    /// Answers about sources, each when all waits are over; gives the wait after each, in seconds.
    fn waits(budget: &mut Budget, answers: Vec<(&str, Outcome)>) -> Vec<u64> {
        let mut now = Instant::now();
        let waits = answers.into_iter().map(|(source, outcome)| {
            now += s(10_000);
            budget.learn(&source.parse().unwrap(), &answer(outcome, 10, s(900)), now);
            budget.closed_for(now).map_or(0, |wait| wait.as_secs())
        });
        waits.collect()
    }

    #[test]
    fn nothing_is_asked_while_limited_used_up_or_refused() {
        let now = Instant::now();
        for (outcome, remaining, wait) in [
            (limited(Some(s(30))), 10, 30),
            (limited(None), 10, 60),
            (limited(Some(s(30))), 0, 901),
            (Outcome::Page(Page::default()), 0, 901),
            (Outcome::Denied, 10, 300),
        ] {
            let mut budget = Budget::default();
            budget.learn(&events(), &answer(outcome, remaining, s(900)), now);
            assert_eq!(budget.closed_for(now), Some(s(wait)));
            assert_eq!(budget.closed_for(now + s(wait)), None);
        }
    }

    #[test]
    fn a_limit_waits_as_long_as_asked_else_a_minute_and_growing_until_a_success() {
        let answers = [None, None, Some(s(7)), None].map(|wait| ("events", limited(wait)));
        let success = [("events", Outcome::NotModified), ("events", limited(None))];
        let answers = answers.into_iter().chain(success).collect();
        assert_eq!(waits(&mut Budget::default(), answers), [60, 120, 7, 480, 0, 60]);
    }

    #[test]
    fn one_refused_source_closes_nothing_however_often_it_is_refused() {
        let answers = (0..50).map(|n| (["orgs/a", "orgs/b"][n % 2], refused())).collect();
        assert_eq!(waits(&mut Budget::default(), answers), [0; 50]);
    }

    #[test]
    fn three_sources_that_answered_and_are_refused_in_a_row_close_all() {
        let [a, b, c] = ["orgs/a", "orgs/b", "orgs/c"].map(|source| move || (source, refused()));
        let fine = |source: &'static str| (source, Outcome::Page(Page::default()));
        let answered = || {
            let mut budget = Budget::default();
            waits(&mut budget, ["orgs/a", "orgs/b", "orgs/c"].map(fine).into());
            budget
        };
        let again = vec![a(), b(), b(), c(), a(), b(), c()];
        assert_eq!(waits(&mut answered(), again), [0, 0, 0, 60, 0, 0, 0], "they are known to be refused now");
        assert_eq!(waits(&mut answered(), vec![a(), b(), fine("events"), c()]), [0; 4], "GitHub answers");
        let broken = ("events", Outcome::Failed { reason: String::new() });
        assert_eq!(waits(&mut answered(), vec![a(), b(), broken, c()]), [0, 0, 0, 60], "no good answer");
    }

    #[test]
    fn sources_that_never_answered_close_all_only_if_there_are_many_and_for_a_minute() {
        let names: Vec<_> = (0..25).map(|n| format!("orgs/{n}")).collect();
        let refusals = || names.iter().map(|name| (name.as_str(), refused())).collect::<Vec<_>>();
        let mut expected = [0; 25];
        (expected[9], expected[19]) = (60, 60);
        assert_eq!(waits(&mut Budget::default(), refusals()), expected);
        let mut budget = Budget::default();
        waits(&mut budget, vec![("events", Outcome::NotModified)]);
        assert_eq!(waits(&mut budget, refusals()), [0; 25], "another source answers");
    }
}
