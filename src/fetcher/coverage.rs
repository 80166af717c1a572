//! The coverage of a feed, and its gaps. Pure.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::config::Source;
use crate::gap::GapRecord;
use crate::status::BLIND_AFTER;

/// A time of a feed that polling missed: between two polls, or two requests of a poll, more events came than GitHub shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FeedGap {
    /// When the newest event known before was created, or six hours before the last complete poll, whichever is later.
    pub from: DateTime<Utc>,
    /// When the oldest event of the poll that found the gap was created; never before `from`.
    pub to: DateTime<Utc>,
    /// Events that this poll brought, whether new or not.
    pub events_in_poll: usize,
    /// The number of the repository of the newest of them, if it has one.
    pub repo_id: Option<u64>,
}

impl FeedGap {
    /// Seconds of the feed that were missed.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.to - self.from).num_seconds()).unwrap_or(0)
    }

    /// The record for the queue of gaps.
    pub(super) fn record(&self, source: &Source, detected_at: DateTime<Utc>) -> GapRecord {
        GapRecord {
            source: source.to_string(),
            from: self.from,
            to: self.to,
            seconds: self.seconds(),
            detected_at,
            events_in_poll: self.events_in_poll,
            repo_id: self.repo_id.filter(|_| matches!(source, Source::Repository(_))),
            lacked_by: Vec::new(),
        }
    }
}

/// Seconds of a feed seen / elapsed, since its first complete poll ever. It is saved, so it counts the time without a process,
/// too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Coverage {
    #[serde(rename = "s", with = "chrono::serde::ts_seconds_option")]
    since: Option<DateTime<Utc>>,
    #[serde(rename = "m")]
    missed_s: u64,
    /// Gaps since then.
    #[serde(rename = "g", skip_serializing_if = "is_zero")]
    gaps: u64,
    /// The last complete poll.
    #[serde(
        rename = "l",
        with = "chrono::serde::ts_seconds_option",
        skip_serializing_if = "Option::is_none"
    )]
    last: Option<DateTime<Utc>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Coverage {
    /// Counts a complete poll and the gaps before and in it.
    pub(super) fn add(&mut self, now: DateTime<Utc>, gaps: &[FeedGap]) {
        if self.since.is_some_and(|since| since > now) {
            // The clock was set back, so the elapsed time is unknown.
            *self = Self::default();
        }
        self.since.get_or_insert(now);
        let missed_s = gaps.iter().map(FeedGap::seconds).fold(0, u64::saturating_add);
        self.missed_s = self.missed_s.saturating_add(missed_s);
        self.gaps = self.gaps.saturating_add(gaps.len() as u64);
        self.last = Some(now.trunc_subsecs(0));
    }

    /// True before the first complete poll.
    pub(super) fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// The last complete poll, also by a process before, in whole seconds.
    pub(super) fn last_poll(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.last.filter(|last| *last <= now)
    }

    /// The number of gaps, and their seconds.
    pub(super) fn gaps(&self) -> (u64, u64) {
        (self.gaps, self.missed_s)
    }

    /// The same, with the time since the last complete poll as missed, if that is long ago: of a source that cannot be polled,
    /// nothing is known of that time.
    pub(super) fn without_answers(mut self, now: DateTime<Utc>) -> Self {
        let silence = self.last.map_or(TimeDelta::zero(), |last| now - last);
        if silence.to_std().is_ok_and(|silence| silence > BLIND_AFTER) {
            self.missed_s = self.missed_s.saturating_add(silence.num_seconds().unsigned_abs());
        }
        self
    }

    /// From 0 to 1; 1 where nothing has elapsed yet.
    pub(super) fn ratio(&self, now: DateTime<Utc>) -> f64 {
        Self::ratio_of_all([*self], now)
    }

    /// The ratio over several feeds, each weighed by the time it was polled.
    pub(super) fn ratio_of_all(all: impl IntoIterator<Item = Self>, now: DateTime<Utc>) -> f64 {
        let (mut elapsed_s, mut missed_s) = (0.0, 0.0);
        for one in all {
            let elapsed = one.since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0));
            elapsed_s += elapsed;
            // Gaps are measured by events' times: recorded events can have gaps longer than this process runs.
            #[expect(clippy::cast_precision_loss, reason = "seconds of a feed are far below 2^52")]
            let missed = (one.missed_s as f64).min(elapsed);
            missed_s += missed;
        }
        if elapsed_s > 0.0 { (elapsed_s - missed_s) / elapsed_s } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gap(from: &str, to: &str) -> FeedGap {
        FeedGap { from: from.parse().unwrap(), to: to.parse().unwrap(), events_in_poll: 300, repo_id: None }
    }

    fn after(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_268_800 + seconds, 0).unwrap()
    }

    #[test]
    fn the_record_of_a_repositorys_gap_has_its_number_and_no_other_has_one() {
        let gap = FeedGap { repo_id: Some(7), ..gap("2026-01-01T12:00:00Z", "2026-01-01T12:00:25Z") };
        let of = |source: &str| gap.record(&source.parse().unwrap(), after(0)).repo_id;
        assert_eq!((of("repos/o/r"), of("orgs/o"), of("events")), (Some(7), None, None));
    }

    #[test]
    fn coverage_is_what_was_seen_of_what_elapsed() {
        let start = after(0);
        let lossy = gap("2026-01-01T12:00:00Z", "2026-01-01T12:00:25Z");
        let (mut one, mut two, never) = (Coverage::default(), Coverage::default(), Coverage::default());
        assert_eq!(one.ratio(start), 1.0);
        one.add(start, &[]);
        two.add(start, &[]);
        assert_eq!(one.ratio(start), 1.0);
        one.add(after(100), &[lossy]);
        assert_eq!(one.ratio(after(100)), 0.75);
        assert_eq!(one.ratio(after(200)), 0.875);
        assert_eq!(Coverage::ratio_of_all([one, two, never], after(100)), 0.875);
        two.add(after(100), &[gap("2015-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]);
        assert_eq!(two.ratio(after(100)), 0.0);
    }

    #[test]
    fn time_without_a_process_counts_as_elapsed_and_the_gap_found_then_as_missed() {
        let mut before = Coverage::default();
        before.add(after(0), &[]);
        let saved = serde_json::to_string(&before).unwrap();
        let mut later: Coverage = serde_json::from_str(&saved).unwrap();
        assert_eq!(later.ratio(after(1000)), 1.0, "nothing is known to be missed yet");
        later.add(after(1000), &[gap("2026-01-01T12:00:00Z", "2026-01-01T12:15:00Z")]);
        assert_eq!(later.ratio(after(1000)), 0.1);
    }

    #[test]
    fn hours_without_an_answer_count_as_missed_until_there_is_one() {
        let mut coverage = Coverage::default();
        coverage.add(after(0), &[]);
        coverage.add(after(10_000), &[]);
        assert_eq!(coverage.without_answers(after(17_000)).ratio(after(17_000)), 1.0, "not long yet");
        assert_eq!(coverage.without_answers(after(40_000)).ratio(after(40_000)), 0.25);
        assert_eq!(coverage.ratio(after(40_000)), 1.0);
        assert_eq!(Coverage::default().without_answers(after(0)), Coverage::default());
    }

    proptest! {
        #[test]
        fn no_clock_and_no_gap_make_a_ratio_outside_0_to_1(
            polls in proptest::collection::vec((-5_000_i64..5_000, any::<u32>()), 1..20),
            asked in -10_000_i64..10_000,
        ) {
            let (mut coverage, mut other) = (Coverage::default(), Coverage::default());
            other.add(after(0), &[]);
            for (at, missed_s) in polls {
                let gap =
                    FeedGap { from: after(0), to: after(missed_s.into()), events_in_poll: 1, repo_id: None };
                coverage.add(after(at), &[gap]);
                for now in [after(at), after(asked)] {
                    prop_assert!((0.0..=1.0).contains(&coverage.ratio(now)));
                    prop_assert!((0.0..=1.0).contains(&Coverage::ratio_of_all([coverage, other], now)));
                }
            }
        }
    }
}
