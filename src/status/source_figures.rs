//! The figures of each source that a fetcher polls: written after polls, sent in parts, counted for metrics.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use metrics::gauge;
use parking_lot::Mutex;

use super::sources::{PART_SOURCES_MAX, SourceState, SourceStatus, SourcesPart};
use crate::telemetry;

/// A source is blind if no poll of it was complete for so long, although one failed or was due. If the budget of requests is tight, quiet
/// sources are polled once a day.
pub const BLIND_AFTER: Duration = Duration::from_secs(7200);
/// All sources are repeated with so many sends, one every two seconds.
const SENDS_OF_ALL: usize = 5;
/// A send has so many sources at least.
const SEND_SOURCES_MIN: usize = 50;
/// A poll is overdue so long after its time.
const OVERDUE_AFTER: TimeDelta = TimeDelta::minutes(10);
/// The figures of all sources are collected this often at most, after a poll. Between, those of the polled source are.
const COLLECT_ALL_EVERY: Duration = Duration::from_secs(10);

const STATES: &str = "github_etl_fetcher_sources";
const BLIND: &str = "github_etl_fetcher_sources_blind";
const COVERAGE: &str = "github_etl_fetcher_source_coverage";
/// The bounds of its buckets: close together where good and nearly good part.
const COVERAGE_BOUNDS: [f64; 11] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0];

/// The sources of the fetcher of a process. They are neither sent nor counted while another fetcher polls.
#[derive(Default)]
pub struct SourceFigures(Mutex<Figures>);

#[derive(Default)]
struct Figures {
    // Locked after each poll and every two seconds, never across an await.
    sources: BTreeMap<String, Entry>,
    /// When the figures of all sources were given the last time. None while another fetcher polls.
    collected_at: Option<Instant>,
    budget_covers_all: Option<bool>,
    /// The source that was sent last.
    sent: Option<String>,
}

struct Entry {
    status: SourceStatus,
    /// When this process began to poll the source.
    listed_at: DateTime<Utc>,
}

impl SourceFigures {
    /// True if it is time to give the figures of all sources, because the duty has begun or the last time is long ago.
    pub fn wants_all(&self) -> bool {
        self.0.lock().collected_at.is_none_or(|at| at.elapsed() >= COLLECT_ALL_EVERY)
    }

    /// Gives the figures of all sources that are polled. `events` and `blind` in them do not count.
    pub fn replace(&self, all: impl Iterator<Item = SourceStatus>) {
        let now = Utc::now();
        let mut figures = self.0.lock();
        let mut before = std::mem::take(&mut figures.sources);
        figures.sources = all
            .map(|mut status| {
                let known = before.remove(&status.source);
                status.events = known.as_ref().map_or(0, |known| known.status.events);
                let listed_at = known.map_or(now, |known| known.listed_at);
                (status.source.clone(), Entry { status, listed_at })
            })
            .collect();
        figures.collected_at = Some(Instant::now());
        drop(figures);
        self.measure(now);
    }

    /// Gives the figures of one source after a poll, which has published so many events.
    pub fn polled(&self, mut status: SourceStatus, events: u64) {
        let mut figures = self.0.lock();
        let known = figures.sources.get(&status.source);
        status.events = known.map_or(0, |known| known.status.events) + events;
        let listed_at = known.map_or_else(Utc::now, |known| known.listed_at);
        figures.sources.insert(status.source.clone(), Entry { status, listed_at });
    }

    /// Tells whether the budget of requests suffices for the rates of all sources.
    pub fn budget_covers_all(&self, covers: bool) {
        self.0.lock().budget_covers_all = Some(covers);
    }

    /// How many sources there are, how many of them are well, and their mean coverage. None without sources.
    #[expect(clippy::cast_precision_loss, reason = "numbers of sources are small")]
    pub fn summary(&self) -> Option<(usize, usize, f64)> {
        let (figures, now) = (self.0.lock(), Utc::now());
        let is_well = |entry: &&Entry| entry.status.is_well() && !entry.is_blind(now);
        let well = figures.current().filter(is_well).count();
        let shares: Vec<f64> = figures.current().filter_map(|entry| entry.status.coverage).collect();
        (!shares.is_empty())
            .then(|| (figures.sources.len(), well, shares.iter().sum::<f64>() / shares.len() as f64))
    }

    /// Another fetcher polls from now on. What is known of the sources stays until this one polls them again.
    pub(super) fn retire(&self) {
        self.0.lock().collected_at = None;
        self.measure(Utc::now());
    }

    /// The next sources to send, in parts. All are sent with [`SENDS_OF_ALL`] calls.
    pub(super) fn parts(&self, instance: &str, now: DateTime<Utc>) -> Vec<SourcesPart> {
        let mut figures = self.0.lock();
        let sources = figures.next_to_send(now);
        let part = |sources: &[SourceStatus]| SourcesPart {
            instance: instance.to_owned(),
            sent_at: now,
            total: figures.sources.len() as u64,
            budget_covers_all: figures.budget_covers_all,
            sources: sources.to_vec(),
        };
        sources.chunks(PART_SOURCES_MAX).map(part).collect()
    }

    /// Sets the metrics: how many sources are in each state, how many are blind, and how coverage is distributed over them.
    #[expect(clippy::cast_precision_loss, reason = "numbers of sources are small")]
    pub(super) fn measure(&self, now: DateTime<Utc>) {
        let figures = self.0.lock();
        for state in SourceState::KNOWN {
            let of_state = figures.current().filter(|entry| entry.status.state == state).count();
            gauge!(STATES, "state" => state.label()).set(of_state as f64);
        }
        let blind = figures.current().filter(|entry| entry.is_blind(now)).count();
        gauge!(BLIND).set(blind as f64);
        let coverage = figures.current().filter_map(|entry| entry.status.coverage);
        telemetry::set_distribution(COVERAGE, &COVERAGE_BOUNDS, coverage);
    }
}

impl Figures {
    /// The sources that this fetcher polls now.
    fn current(&self) -> impl Iterator<Item = &Entry> {
        self.sources.values().filter(|_| self.collected_at.is_some())
    }

    fn next_to_send(&mut self, now: DateTime<Utc>) -> Vec<SourceStatus> {
        if self.collected_at.is_none() {
            return Vec::new();
        }
        let all = self.sources.len();
        let share = all.div_ceil(SENDS_OF_ALL).max(SEND_SOURCES_MIN);
        let start = self.sent.take().map_or(Unbounded, Excluded);
        let next = self.sources.range::<String, _>((start, Unbounded)).take(share);
        let next: Vec<_> = next.map(|(_, entry)| entry.status_at(now)).collect();
        // Behind the last source, the next send begins again.
        let is_last = |source: &String| self.sources.last_key_value().is_none_or(|(last, _)| last == source);
        self.sent = next.last().map(|status| status.source.clone()).filter(|source| !is_last(source));
        next
    }
}

impl Entry {
    fn is_blind(&self, now: DateTime<Utc>) -> bool {
        let since = self.status.last_poll_at.unwrap_or(self.listed_at);
        TimeDelta::from_std(BLIND_AFTER).is_ok_and(|after| now - since > after) && !self.waits(now)
    }

    /// Its last poll was good, and the next one is not due yet.
    fn waits(&self, now: DateTime<Utc>) -> bool {
        let is_good =
            matches!(self.status.state, SourceState::Polled | SourceState::Moved | SourceState::Stale);
        is_good && self.status.next_poll_at.is_some_and(|at| now < at + OVERDUE_AFTER)
    }

    fn status_at(&self, now: DateTime<Utc>) -> SourceStatus {
        SourceStatus { blind: self.is_blind(now), ..self.status.clone() }
    }
}

/// Describes the metrics, once at the start.
pub fn describe_sources() {
    metrics::describe_gauge!(STATES, "Sources by state");
    metrics::describe_gauge!(
        BLIND,
        "Sources without a complete poll for two hours, although one failed or was due"
    );
    telemetry::describe_distribution(
        COVERAGE,
        "Sources by coverage now: a state, not a sum over time; use it without rate()",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: &str) -> SourceStatus {
        SourceStatus { source: source.into(), state: SourceState::Polled, ..SourceStatus::default() }
    }

    fn of(count: usize) -> SourceFigures {
        let figures = SourceFigures::default();
        figures.replace((0..count).map(|n| status(&format!("repos/o/{n:05}"))));
        figures
    }

    fn sent(figures: &SourceFigures) -> Vec<String> {
        let parts = figures.parts("i", Utc::now());
        assert!(parts.iter().all(|part| part.sources.len() <= PART_SOURCES_MAX));
        parts.into_iter().flat_map(|part| part.sources).map(|status| status.source).collect()
    }

    #[test]
    fn all_sources_are_sent_once_in_five_sends_and_few_with_every_send() {
        let many = of(5003);
        let mut all: Vec<_> = (0..5).flat_map(|_| sent(&many)).collect();
        assert_eq!(all.len(), 5003);
        all.dedup();
        assert_eq!((all.len(), sent(&many)[0].as_str()), (5003, "repos/o/00000"));
        let few = of(50);
        assert_eq!((sent(&few).len(), sent(&few).len()), (50, 50));
        assert!(sent(&of(0)).is_empty());
    }

    #[test]
    fn a_source_that_goes_while_it_was_sent_last_does_not_stop_the_sending() {
        let figures = of(100);
        assert_eq!(sent(&figures).len(), 50);
        figures.replace((60..70).map(|n| status(&format!("repos/o/{n:05}"))));
        assert_eq!(sent(&figures).len(), 10);
        figures.retire();
        assert!(sent(&figures).is_empty());
    }

    #[test]
    fn events_are_counted_over_polls_and_collections() {
        let figures = of(2);
        figures.polled(status("repos/o/00001"), 3);
        figures.replace([status("repos/o/00001")].into_iter());
        figures.polled(status("repos/o/00001"), 4);
        let parts = figures.parts("i", Utc::now());
        assert_eq!((parts[0].total, parts[0].sources[0].events), (1, 7));
    }

    #[test]
    fn the_summary_has_the_sources_that_are_well_and_the_mean_of_known_coverage() {
        let figures = of(3);
        assert_eq!(figures.summary(), None);
        figures.polled(SourceStatus { coverage: Some(0.5), ..status("repos/o/00000") }, 0);
        let failing = SourceStatus { state: SourceState::Failing, ..status("repos/o/00001") };
        figures.polled(SourceStatus { coverage: Some(1.0), ..failing }, 0);
        assert_eq!(figures.summary(), Some((3, 2, 0.75)));
    }

    #[test]
    fn all_are_wanted_at_first_and_after_the_duty_was_lost() {
        let figures = SourceFigures::default();
        assert!(figures.wants_all());
        figures.replace(std::iter::empty());
        assert!(!figures.wants_all());
        figures.polled(SourceStatus { coverage: Some(1.0), ..status("repos/o/r") }, 5);
        assert!(figures.summary().is_some());
        figures.retire();
        assert!(figures.wants_all() && figures.summary().is_none());
        figures.replace([status("repos/o/r")].into_iter());
        assert_eq!(figures.parts("i", Utc::now())[0].sources[0].events, 5, "what it knew is not forgotten");
    }

    #[test]
    fn a_source_is_blind_two_hours_after_its_last_complete_poll_or_after_it_was_listed() {
        let figures = of(1);
        let after = |seconds| Utc::now() + TimeDelta::seconds(seconds);
        let is_blind = |at| figures.parts("i", at)[0].sources[0].blind;
        assert!(!is_blind(after(7190)) && is_blind(after(7210)));
        figures.polled(SourceStatus { last_poll_at: Some(after(3600)), ..status("repos/o/00000") }, 0);
        assert!(!is_blind(after(7210)) && is_blind(after(3600 + 7210)));
        let waits =
            |state| SourceStatus { state, next_poll_at: Some(after(86_400)), ..status("repos/o/00000") };
        figures.polled(waits(SourceState::Polled), 0);
        assert!(
            !is_blind(after(86_400)) && is_blind(after(86_400 + 900)),
            "it waits for its poll of the day"
        );
        figures.polled(waits(SourceState::Failing), 0);
        assert!(is_blind(after(7210)));
    }

    #[test]
    fn a_part_of_the_longest_texts_is_accepted_by_a_dashboard() {
        let name = |first: &str| format!("{first}/{}/{}", "x".repeat(100), "y".repeat(100));
        let longest = SourceStatus {
            source: name("networks"),
            trouble: Some(SourceStatus::one_line(&"\u{1F600}".repeat(300))),
            moved_to: Some(name("networks")),
            last_poll_at: Some(Utc::now()),
            next_poll_at: Some(Utc::now()),
            newest_event_at: Some(Utc::now()),
            coverage: Some(0.12345),
            token: Some(u32::MAX),
            ..SourceStatus::default()
        };
        let figures = SourceFigures::default();
        let with_number = |n| SourceStatus { source: format!("{}{n}", longest.source), ..longest.clone() };
        figures.replace((0..500).map(with_number));
        for part in figures.parts("i", Utc::now()) {
            let bytes = serde_json::to_vec(&part).unwrap().len();
            assert!((100_000..256 * 1024).contains(&bytes), "{bytes}");
        }
    }
}
