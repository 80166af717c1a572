//! The number of events loaded in the last ten minutes, in steps of two seconds. Pure.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Seconds of a step: each program publishes its status once in a step.
const STEP_S: i64 = 2;
/// Ten minutes.
const STEPS_MAX: usize = 300;
/// Missing steps up to this number are filled with zeros. After a longer silence the history has a hole: nobody listened.
const SILENT_STEPS_MAX: i64 = 15;
/// Steps over which a rate is computed.
const RATE_STEPS: usize = 5;

/// The events loaded in a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Step {
    /// When it began.
    pub(super) at: DateTime<Utc>,
    seconds: f64,
    pub(super) loaded: u64,
    duplicates: u64,
    pub(super) types: BTreeMap<String, u64>,
}

/// The events that one program loaded since its last status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) loaded: u64,
    pub(super) duplicates: u64,
    pub(super) types: BTreeMap<String, u64>,
}

/// The steps, oldest first.
#[derive(Default)]
pub(super) struct History(VecDeque<Step>);

impl History {
    /// Begins steps until one holds `now`.
    pub(super) fn advance(&mut self, now: DateTime<Utc>) {
        let wanted = now.timestamp().div_euclid(STEP_S);
        let last = self.0.back().map(|step| step.at.timestamp().div_euclid(STEP_S));
        let first = match last {
            // The clock was set back: continue in the last step.
            Some(last) if wanted <= last => return,
            Some(last) if wanted - last <= SILENT_STEPS_MAX => last + 1,
            _ => wanted,
        };
        for number in first..=wanted {
            let at = DateTime::from_timestamp(number * STEP_S, 0).unwrap_or(now);
            #[expect(clippy::cast_precision_loss, reason = "a small constant")]
            let seconds = STEP_S as f64;
            self.0.push_back(Step { at, seconds, loaded: 0, duplicates: 0, types: BTreeMap::new() });
        }
        let too_many = self.0.len().saturating_sub(STEPS_MAX);
        self.0.drain(..too_many);
    }

    /// Adds to the step of now.
    pub(super) fn add(&mut self, progress: Progress, now: DateTime<Utc>) {
        self.advance(now);
        let Some(step) = self.0.back_mut() else { return };
        step.loaded += progress.loaded;
        step.duplicates += progress.duplicates;
        for (kind, count) in progress.types {
            *step.types.entry(kind).or_default() += count;
        }
    }

    /// Loaded and duplicates per second, over the last ten seconds that are complete.
    pub(super) fn rates(&self) -> (f64, f64) {
        // Some programs have not published their status in the last step yet.
        let complete: Vec<&Step> = self.0.iter().rev().skip(1).take(RATE_STEPS).collect();
        let seconds: f64 = complete.iter().map(|step| step.seconds).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |of: fn(&Step) -> u64| {
            let sum: u64 = complete.iter().map(|step| of(step)).sum();
            if seconds > 0.0 { (sum as f64 / seconds * 100.0).round() / 100.0 } else { 0.0 }
        };
        (rate(|step| step.loaded), rate(|step| step.duplicates))
    }

    /// The steps, oldest first.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    fn loaded(loaded: u64) -> Progress {
        Progress { loaded, duplicates: 1, types: [("PushEvent".to_owned(), loaded)].into() }
    }

    #[test]
    fn steps_are_filled_and_a_rate_is_of_complete_ones() {
        let mut history = History::default();
        assert_eq!(history.rates(), (0.0, 0.0));
        for second in 0..20 {
            history.add(loaded(5), at(second));
        }
        assert_eq!(history.steps().len(), 10);
        assert_eq!(history.steps()[3].types["PushEvent"], 10);
        assert_eq!(history.rates(), (5.0, 1.0));
        history.advance(at(29));
        assert_eq!(history.rates(), (1.0, 0.2), "silence counts");
    }

    #[test]
    fn the_history_is_bounded_and_has_a_hole_where_nobody_listened() {
        let mut history = History::default();
        (0..2000).for_each(|second| history.add(loaded(1), at(second)));
        assert_eq!(history.steps().len(), STEPS_MAX);
        history.add(loaded(1), at(10_000));
        assert_eq!(history.steps().len(), STEPS_MAX);
        history.add(loaded(1), at(0));
        assert_eq!(history.steps().last().unwrap().loaded, 2, "a clock set back");
    }
}
