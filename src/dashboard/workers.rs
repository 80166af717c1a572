//! The programs that publish their status: who is at work, totals, rates, lag and problems. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::history::{History, Progress, Step};
use super::moment::Moment;
use super::past::Past;
use crate::status::{FetcherStatus, LoaderStatus, Status, TYPES_MAX, Totals};

/// Programs known at most. Anyone who may publish to the exchange could invent any number.
const WORKERS_MAX: usize = 200;
/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 500;
/// After this time without a status, a program is not at work.
const SILENT_MAX: Duration = Duration::from_secs(10);
/// The same after RabbitMQ was away: programs wait up to 45 s before they publish again (see `status::tell`).
const RETURNS_WITHIN: Duration = Duration::from_secs(50);
/// After this time without a status, while the dashboard listened, a program is not listed any more.
const FORGET_AFTER: Duration = Duration::from_secs(120);
/// The totals in a program's first status count as progress of this moment, if the program is not older than this.
const YOUNG: TimeDelta = TimeDelta::seconds(10);

/// The status of all programs of the namespace. Totals, rates and lag are those of the loaders of one load queue.
pub(super) struct Workers {
    /// The load queue that the dashboard shows, by its name below the namespace.
    queue: String,
    known: BTreeMap<String, Worker>,
    history: History,
    /// Programs that are not listed any more.
    past: Past,
    /// Since when the dashboard listens without interruption.
    listening_since: Option<Moment>,
    /// When the last status came, or the dashboard last listened without one.
    heard_at: Option<Moment>,
}

/// A program at work.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Worker {
    #[serde(flatten)]
    status: Status,
    seen_at: DateTime<Utc>,
    #[serde(skip)]
    heard: Moment,
    /// Changes per second between its last two statuses.
    rates: BTreeMap<&'static str, f64>,
}

/// The sum of all programs' statuses.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// Sums over all programs since they started.
    pub(super) totals: Totals,
    pub(super) loaded_per_second: f64,
    pub(super) duplicates_per_second: f64,
    /// The lag of the loader with the largest lag: median and 95th percentile, in seconds.
    pub(super) lag: (Option<f64>, Option<f64>),
    /// The lowest coverage of any fetcher, and the fetcher with the smallest quota left.
    pub(super) coverage: Option<f64>,
    pub(super) quota: Option<FetcherStatus>,
    pub(super) problems: Vec<String>,
    pub(super) heard_at: Option<DateTime<Utc>>,
}

impl Workers {
    /// No programs yet. Figures will count the loaders of the load queue `queue`.
    pub(super) fn of_queue(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            known: BTreeMap::new(),
            history: History::default(),
            past: Past::default(),
            listening_since: None,
            heard_at: None,
        }
    }

    /// The loaders of a program, if they consume the dashboard's load queue. Loaders that do not say their queue (older versions)
    /// count as such.
    fn own<'a>(&self, status: &'a Status) -> Option<&'a LoaderStatus> {
        status.loader.as_ref().filter(|loader| loader.queue.as_ref().is_none_or(|queue| *queue == self.queue))
    }

    /// Begins to listen, also again after RabbitMQ was away. Silence before `now` does not make a program silent.
    pub(super) fn begin_to_listen(&mut self, now: Moment) {
        self.listening_since = Some(now);
    }

    /// Takes a status that came at `now`. A body that is no status is ignored.
    pub(super) fn hear(&mut self, body: &[u8], now: Moment) {
        let Ok(mut status) = serde_json::from_slice::<Status>(body) else { return };
        let has_room = self.known.len() < WORKERS_MAX || self.known.contains_key(&status.instance);
        let is_sound = status.loader.as_ref().is_none_or(|loader| loader.types.len() <= TYPES_MAX + 1);
        if !has_room || !is_sound {
            return;
        }
        cut(&mut status);
        self.heard_at = Some(now);
        let before = self.known.get(&status.instance);
        if before.is_some_and(|before| before.makes_late(&status, now)) {
            return;
        }
        let rates = before.map(|before| rates(before, &status, now)).unwrap_or_default();
        let progress = match (before, self.own(&status)) {
            (Some(before), Some(loader)) => since(before.status.loader.as_ref(), loader),
            (None, Some(loader)) if is_young(&status) => since(None, loader),
            _ => Progress::default(),
        };
        self.history.add(progress, now.at);
        self.past.take_back(&status.instance);
        self.known.insert(status.instance.clone(), Worker { status, seen_at: now.at, heard: now, rates });
    }

    /// Advances the history to `now`, and moves programs that are silent for long to the past.
    pub(super) fn tick(&mut self, now: Moment) {
        self.heard_at = Some(now);
        self.history.advance(now.at);
        let since = self.listening_since;
        let is_forgotten = |worker: &Worker| {
            let silent_since = since.filter(|since| worker.heard.is_before(*since)).unwrap_or(worker.heard);
            now.since(silent_since) > FORGET_AFTER
        };
        let forgotten: Vec<_> = self.known.extract_if(.., |_, worker| is_forgotten(worker)).collect();
        for (instance, worker) in forgotten {
            let totals = self.totals_of(&worker.status);
            self.past.keep(&instance, totals);
        }
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

    /// When the last status came, or the dashboard last listened without one.
    pub(super) fn heard_at(&self) -> Option<DateTime<Utc>> {
        self.heard_at.map(|heard| heard.at)
    }

    /// The steps of the last ten minutes, oldest first.
    pub(super) fn history(&self) -> Vec<Step> {
        self.history.steps()
    }

    /// Summarises the status of all programs.
    pub(super) fn summary(&self) -> Summary {
        let mut summary =
            Summary { totals: self.past.totals(), heard_at: self.heard_at(), ..Summary::default() };
        (summary.loaded_per_second, summary.duplicates_per_second) = self.history.rates();
        for worker in self.known.values() {
            summary.totals += self.totals_of(&worker.status);
        }
        let mut has_loader = false;
        for Worker { status, .. } in self.known.values().filter(|worker| self.is_at_work(worker)) {
            summary.take(status);
            if let Some(loader) = self.own(status) {
                summary.take_lag(loader);
                has_loader = true;
            }
        }
        if !has_loader && self.has_listened_for(SILENT_MAX) {
            summary.problems.push("no loader is at work".into());
        }
        summary
    }

    fn totals_of(&self, status: &Status) -> Totals {
        self.own(status).map(|loader| loader.totals).unwrap_or_default()
    }

    /// True while a program publishes its status. While the dashboard is disconnected from RabbitMQ, no program counts as silent.
    fn is_at_work(&self, worker: &Worker) -> bool {
        let Some(now) = self.heard_at else { return false };
        match self.listening_since {
            Some(since) if worker.heard.is_before(since) => now.since(since) <= RETURNS_WITHIN,
            _ => now.since(worker.heard) <= SILENT_MAX,
        }
    }

    fn has_listened_for(&self, duration: Duration) -> bool {
        self.heard_at.zip(self.listening_since).is_some_and(|(now, since)| now.since(since) > duration)
    }
}

impl Worker {
    /// True if `status` is older than the last one of this program. Taking it would count events twice. Sequence numbers are compared
    /// for a short time only, so that an instance whose numbers begin again (a restored virtual machine) is accepted soon.
    fn makes_late(&self, status: &Status, now: Moment) -> bool {
        // Programs of older versions send 0.
        status.sequence != 0 && status.sequence <= self.status.sequence && now.since(self.heard) <= SILENT_MAX
    }
}

/// True for a program that has only just started.
fn is_young(status: &Status) -> bool {
    (TimeDelta::zero()..YOUNG).contains(&(status.sent_at - status.started_at))
}

impl Summary {
    fn take(&mut self, status: &Status) {
        let who = format!("{} on {} (process {})", status.program, status.host, status.pid);
        self.problems.extend(status.problems.iter().map(|problem| format!("{who}: {problem}")));
        if let Some(fetcher) = &status.fetcher {
            self.coverage = worst(self.coverage, fetcher.coverage, f64::min);
            let left = |fetcher: &FetcherStatus| fetcher.quota_remaining.unwrap_or(u64::MAX);
            if self.quota.as_ref().is_none_or(|known| left(fetcher) < left(known)) {
                self.quota = Some(fetcher.clone());
            }
        }
    }

    fn take_lag(&mut self, loader: &LoaderStatus) {
        self.lag =
            (worst(self.lag.0, loader.lag_p50_s, f64::max), worst(self.lag.1, loader.lag_p95_s, f64::max));
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
    Progress {
        loaded: of(|l| l.totals.loaded),
        duplicates: of(|l| l.totals.duplicates),
        types: types.collect(),
    }
}

fn rates(before: &Worker, now: &Status, heard: Moment) -> BTreeMap<&'static str, f64> {
    let told = (now.sent_at - before.status.sent_at).as_seconds_f64();
    // If the clock was set back, the times in the statuses give no duration.
    let seconds = if told > 0.0 { told } else { heard.since(before.heard).as_secs_f64().max(1.0) };
    let before = &before.status;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |before: u64, now: u64| (now.saturating_sub(before) as f64 / seconds * 100.0).round() / 100.0;
    let mut rates = BTreeMap::new();
    if let (Some(before), Some(now)) = (&before.loader, &now.loader) {
        let (before, now) = (before.totals, now.totals);
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

/// Shortens texts, which come from outside, to a harmless length.
fn cut(status: &mut Status) {
    const PROBLEMS_MAX: usize = 20;
    let cut = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
            text.truncate(end);
        }
    };
    status.problems.truncate(PROBLEMS_MAX);
    let queue = status.loader.as_mut().and_then(|loader| loader.queue.as_mut());
    let texts = [&mut status.program, &mut status.instance, &mut status.host, &mut status.version];
    texts.into_iter().chain(queue).chain(&mut status.problems).chain(&mut status.last_error).for_each(cut);
}

#[cfg(test)]
mod tests;
