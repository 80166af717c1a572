//! The figures that stages write to the board: cheap to write, from any task.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::lag::Window;
use super::source_figures::SourceFigures;
use super::{Counters, FetcherStatus, LoaderStatus, TYPE_OTHER, TYPES_MAX, Totals};

/// The figures of all loaders of a process.
#[derive(Default)]
pub struct LoaderFigures {
    queue: String,
    outcomes: Counters,
    // Locked once a batch, never across an await.
    events: Mutex<Events>,
}

#[derive(Default)]
struct Events {
    types: BTreeMap<String, u64>,
    lag: Window,
}

impl LoaderFigures {
    /// Figures of loaders that consume the load queue `queue`.
    pub(super) fn of_queue(queue: &str) -> Self {
        Self { queue: queue.to_owned(), ..Self::default() }
    }

    /// Adds the outcomes of deliveries that were settled just now.
    pub fn settled(&self, outcomes: &Totals) {
        self.outcomes.add(outcomes);
    }

    /// Events that were loaded just now, each by its type and when it was created.
    pub fn loaded<'a>(&self, events: impl Iterator<Item = (&'a str, DateTime<Utc>)>) {
        let now = Utc::now();
        let mut figures = self.events.lock();
        for (kind, created) in events {
            count(&mut figures.types, kind);
            figures.lag.add((now - created).to_std().unwrap_or_default());
        }
    }

    /// The figures for the next status. The window of the lag moves on.
    pub(super) fn take(&self) -> LoaderStatus {
        let mut events = self.events.lock();
        events.lag.close_part();
        LoaderStatus {
            queue: Some(self.queue.clone()),
            totals: self.outcomes.totals(),
            types: events.types.clone(),
            lag_p50_s: events.lag.percentile(0.5),
            lag_p95_s: events.lag.percentile(0.95),
        }
    }
}

fn count(types: &mut BTreeMap<String, u64>, kind: &str) {
    // GitHub's types have some thirty letters at most. Longer ones are counted together, to keep the message small.
    const KIND_BYTES_MAX: usize = 64;
    if let Some(count) = types.get_mut(kind) {
        *count += 1;
    } else {
        let has_place = types.len() < TYPES_MAX && kind.len() <= KIND_BYTES_MAX;
        *types.entry(if has_place { kind } else { TYPE_OTHER }.to_owned()).or_default() += 1;
    }
}

/// The figures of one poll.
#[derive(Clone, Copy, Debug, Default)]
pub struct PollFigures {
    pub events_new: u64,
    pub gaps: u64,
    pub gap_seconds: u64,
    /// Over all feeds.
    pub coverage: f64,
    /// The part of the events that will be missed. None if nothing is planned.
    pub expected_loss: Option<f64>,
    pub quota_remaining: Option<u64>,
    pub quota_limit: Option<u64>,
    pub quota_resets_at: Option<DateTime<Utc>>,
}

/// The figures of the fetcher of a process.
#[derive(Default)]
pub struct FetcherFigures {
    status: Mutex<FetcherStatus>,
    sources: SourceFigures,
}

impl FetcherFigures {
    /// This fetcher polls, or waits for another one to end.
    pub fn on_duty(&self, is_on_duty: bool) {
        self.status.lock().on_duty = is_on_duty;
        if !is_on_duty {
            self.sources.retire();
        }
        metrics::gauge!("github_etl_fetcher_on_duty").set(f64::from(u8::from(is_on_duty)));
    }

    /// A poll is over.
    pub fn polled(&self, poll: PollFigures) {
        let mut status = self.status.lock();
        status.polls += 1;
        status.events_new += poll.events_new;
        status.gaps += poll.gaps;
        status.gap_seconds += poll.gap_seconds;
        status.coverage = Some(poll.coverage);
        status.expected_loss = poll.expected_loss;
        status.quota_remaining = poll.quota_remaining;
        status.quota_limit = poll.quota_limit;
        status.quota_resets_at = poll.quota_resets_at;
        status.last_poll_at = Some(Utc::now());
    }

    /// The figures of each source.
    pub fn sources(&self) -> &SourceFigures {
        &self.sources
    }

    pub(super) fn status(&self) -> FetcherStatus {
        self.status.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_without_end_are_counted_together() {
        let figures = LoaderFigures::default();
        let kinds: Vec<String> = (0..500).map(|n| format!("Type{n}")).chain(["x".repeat(65)]).collect();
        figures.loaded(kinds.iter().map(|kind| (kind.as_str(), Utc::now())));
        figures.loaded([("Type0", Utc::now())].into_iter());
        let types = figures.take().types;
        assert_eq!(
            (types.len(), types["Type0"], types[TYPE_OTHER]),
            (TYPES_MAX + 1, 2, 501 - TYPES_MAX as u64)
        );
    }

    #[test]
    fn an_event_from_the_future_has_no_lag() {
        let figures = LoaderFigures::default();
        figures.loaded([("x", Utc::now() + chrono::TimeDelta::hours(1))].into_iter());
        assert_eq!(figures.take().lag_p95_s, Some(0.001));
    }

    #[test]
    fn polls_add_up() {
        let figures = FetcherFigures::default();
        let poll =
            PollFigures { events_new: 3, coverage: 0.5, quota_remaining: Some(7), ..PollFigures::default() };
        figures.polled(poll);
        figures.polled(poll);
        let status = figures.status();
        assert_eq!(
            (status.polls, status.events_new, status.coverage, status.quota_remaining),
            (2, 6, Some(0.5), Some(7))
        );
        assert!(status.last_poll_at.is_some());
    }
}
