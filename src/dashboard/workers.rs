//! The programs that tell about themselves. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::history::{History, Progress, Step};
use crate::status::{FetcherStatus, LoaderStatus, Status, TYPES_MAX};

/// More are not remembered; whoever may publish to the exchange could invent any number.
const WORKERS_MAX: usize = 200;
/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 500;
/// Who has not told for so long is not at work.
const SILENT_MAX: TimeDelta = TimeDelta::seconds(10);
/// … and after this is forgotten.
const FORGET_AFTER: TimeDelta = TimeDelta::seconds(120);
/// What a program did before it told for the first time counts as just now if it has only just started.
const YOUNG: TimeDelta = TimeDelta::seconds(10);

/// All that programs have told.
#[derive(Default)]
pub(super) struct Workers {
    known: BTreeMap<String, Worker>,
    history: History,
    /// Of those forgotten.
    past: Totals,
    heard_at: Option<DateTime<Utc>>,
}

/// A program at work.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Worker {
    #[serde(flatten)]
    status: Status,
    seen_at: DateTime<Utc>,
    /// Changes per second between the last two times that it told.
    rates: BTreeMap<&'static str, f64>,
}

/// Sums over all programs since they started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) loaded: u64,
    pub(super) duplicates: u64,
    pub(super) retried: u64,
    pub(super) dead: u64,
}

/// What the programs together say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) totals: Totals,
    pub(super) loaded_per_second: f64,
    pub(super) duplicates_per_second: f64,
    /// Of the loader that is the latest.
    pub(super) lag: (Option<f64>, Option<f64>),
    /// Of the fetcher that sees least, and that of the one with the smallest quota left.
    pub(super) coverage: Option<f64>,
    pub(super) quota: Option<FetcherStatus>,
    pub(super) problems: Vec<String>,
    pub(super) heard_at: Option<DateTime<Utc>>,
}

impl Workers {
    /// Takes what a program told at `now`; nonsense is ignored.
    pub(super) fn hear(&mut self, body: &[u8], now: DateTime<Utc>) {
        let Ok(mut status) = serde_json::from_slice::<Status>(body) else { return };
        let has_room = self.known.len() < WORKERS_MAX || self.known.contains_key(&status.instance);
        let is_sound = status.loader.as_ref().is_none_or(|loader| loader.types.len() <= TYPES_MAX + 1);
        if !has_room || !is_sound {
            return;
        }
        cut(&mut status);
        self.heard_at = Some(now);
        let before = self.known.get(&status.instance).map(|worker| &worker.status);
        // What came late must not count twice.
        if before.is_some_and(|before| before.sent_at >= status.sent_at) {
            return;
        }
        let rates = before.map(|before| rates(before, &status)).unwrap_or_default();
        let is_young = status.sent_at - status.started_at < YOUNG;
        let progress = match (before, &status.loader) {
            (Some(before), Some(loader)) => since(before.loader.as_ref(), loader),
            (None, Some(loader)) if is_young => since(None, loader),
            _ => Progress::default(),
        };
        self.history.add(progress, now);
        self.known.insert(status.instance.clone(), Worker { status, seen_at: now, rates });
    }

    /// Time passes while we listen.
    pub(super) fn tick(&mut self, now: DateTime<Utc>) {
        self.heard_at = Some(now);
        self.history.advance(now);
        let forgotten = |worker: &Worker| now - worker.seen_at > FORGET_AFTER;
        for worker in self.known.values().filter(|worker| forgotten(worker)) {
            self.past.add(&worker.status);
        }
        self.known.retain(|_, worker| !forgotten(worker));
    }

    /// The programs, by name and machine.
    pub(super) fn list(&self) -> Vec<Worker> {
        let mut all: Vec<Worker> = self.known.values().cloned().collect();
        let key = |worker: &Worker| {
            let status = &worker.status;
            (status.program.clone(), status.host.clone(), status.started_at, status.instance.clone())
        };
        all.sort_by_cached_key(key);
        all
    }

    /// When we heard, or listened in vain, the last time.
    pub(super) fn heard_at(&self) -> Option<DateTime<Utc>> {
        self.heard_at
    }

    /// The steps of the last ten minutes, oldest first.
    pub(super) fn history(&self) -> Vec<Step> {
        self.history.steps()
    }

    /// What they say together at `now`.
    pub(super) fn summary(&self, now: DateTime<Utc>) -> Summary {
        // When we do not hear anybody it is not they who are silent.
        let now = self.heard_at.unwrap_or(now);
        let mut summary = Summary { totals: self.past, heard_at: self.heard_at, ..Summary::default() };
        (summary.loaded_per_second, summary.duplicates_per_second) = self.history.rates();
        for worker in self.known.values() {
            summary.totals.add(&worker.status);
        }
        for Worker { status, .. } in self.known.values().filter(|worker| now - worker.seen_at <= SILENT_MAX) {
            summary.take(status);
        }
        let is_at_work = |has: fn(&Status) -> bool| {
            let mut awake = self.known.values().filter(|worker| now - worker.seen_at <= SILENT_MAX);
            awake.any(|worker| has(&worker.status))
        };
        if self.heard_at.is_some() && !is_at_work(|status| status.loader.is_some()) {
            summary.problems.push("no loader is at work".into());
        }
        summary
    }
}

impl Totals {
    fn add(&mut self, status: &Status) {
        if let Some(loader) = &status.loader {
            self.loaded += loader.loaded;
            self.duplicates += loader.duplicates;
            self.retried += loader.retried;
            self.dead += loader.dead;
        }
    }
}

impl Summary {
    fn take(&mut self, status: &Status) {
        let who = format!("{} on {} (process {})", status.program, status.host, status.pid);
        self.problems.extend(status.problems.iter().map(|problem| format!("{who}: {problem}")));
        if let Some(loader) = &status.loader {
            self.lag = (
                worst(self.lag.0, loader.lag_p50_s, f64::max),
                worst(self.lag.1, loader.lag_p95_s, f64::max),
            );
        }
        if let Some(fetcher) = &status.fetcher {
            self.coverage = worst(self.coverage, fetcher.coverage, f64::min);
            let left = |fetcher: &FetcherStatus| fetcher.quota_remaining.unwrap_or(u64::MAX);
            if self.quota.as_ref().is_none_or(|known| left(fetcher) < left(known)) {
                self.quota = Some(fetcher.clone());
            }
        }
    }
}

fn worst(one: Option<f64>, other: Option<f64>, pick: fn(f64, f64) -> f64) -> Option<f64> {
    one.zip(other).map(|(one, other)| pick(one, other)).or(one).or(other)
}

fn since(before: Option<&LoaderStatus>, now: &LoaderStatus) -> Progress {
    let of = |total: fn(&LoaderStatus) -> u64| total(now).saturating_sub(before.map_or(0, total));
    let types = now.types.iter().filter_map(|(kind, count)| {
        let known = before.and_then(|before| before.types.get(kind)).copied().unwrap_or(0);
        Some((kind.clone(), count.checked_sub(known).filter(|more| *more > 0)?))
    });
    Progress { loaded: of(|l| l.loaded), duplicates: of(|l| l.duplicates), types: types.collect() }
}

fn rates(before: &Status, now: &Status) -> BTreeMap<&'static str, f64> {
    let seconds = (now.sent_at - before.sent_at).as_seconds_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |before: u64, now: u64| (now.saturating_sub(before) as f64 / seconds * 100.0).round() / 100.0;
    let mut rates = BTreeMap::new();
    if let (Some(before), Some(now)) = (&before.loader, &now.loader) {
        rates.insert("loaded_per_second", rate(before.loaded, now.loaded));
        rates.insert("duplicates_per_second", rate(before.duplicates, now.duplicates));
        rates.insert("retried_per_second", rate(before.retried, now.retried));
        rates.insert("dead_per_second", rate(before.dead, now.dead));
    }
    if let (Some(before), Some(now)) = (&before.fetcher, &now.fetcher) {
        rates.insert("events_new_per_second", rate(before.events_new, now.events_new));
        rates.insert("polls_per_second", rate(before.polls, now.polls));
    }
    rates
}

/// Texts of others, to a length that does not matter.
fn cut(status: &mut Status) {
    const PROBLEMS_MAX: usize = 20;
    let cut = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
        }
    };
    status.problems.truncate(PROBLEMS_MAX);
    let texts = [&mut status.program, &mut status.instance, &mut status.host, &mut status.version];
    texts.into_iter().chain(&mut status.problems).chain(&mut status.last_error).for_each(cut);
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
