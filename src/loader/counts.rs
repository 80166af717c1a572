//! What a loader has done, for its summary and for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::event::{Event, KINDS, place_of_kind};
use crate::status::{LoaderFigures, TYPE_OTHER};

const EVENTS: &str = "github_etl_loader_events_total";
const LOADED: &str = "github_etl_loader_events_loaded_total";
const REDELIVERIES: &str = "github_etl_loader_redeliveries_total";
const LAG: &str = "github_etl_loader_lag_seconds";
/// Types that are counted apart, and the rest.
const KINDS_COUNTED: usize = KINDS.len() + 1;

/// Counters since the start. Only this loader's tasks write them; exactness across counters does not matter.
#[derive(Default)]
pub(super) struct Counts {
    /// Of all loaders in the process, for its status.
    figures: Arc<LoaderFigures>,
    loaded: AtomicU64,
    duplicates: AtomicU64,
    unwanted: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    /// Milliseconds between the newest event's creation and its load, in the last batch.
    lag_ms: AtomicI64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) loaded: u64,
    pub(super) duplicates: u64,
    pub(super) unwanted: u64,
    pub(super) retried: u64,
    pub(super) dead: u64,
    pub(super) lag_ms: i64,
}

impl Totals {
    /// Deliveries that are done with.
    pub(super) fn settled(&self) -> u64 {
        self.loaded + self.duplicates + self.unwanted + self.retried + self.dead
    }
}

impl Counts {
    /// Counters at 0, which `/metrics` shows from the start.
    pub(super) fn new(figures: Arc<LoaderFigures>) -> Self {
        metrics::describe_counter!(EVENTS, "Deliveries settled, by outcome");
        metrics::describe_counter!(LOADED, "Events loaded, by their type");
        metrics::describe_counter!(
            REDELIVERIES,
            "Deliveries that RabbitMQ had sent before without getting an ack"
        );
        metrics::describe_histogram!(
            LAG,
            metrics::Unit::Seconds,
            "From an event's creation to its load, of each event loaded"
        );
        for outcome in ["loaded", "duplicate", "unwanted", "retried", "dead"] {
            metrics::counter!(EVENTS, "outcome" => outcome).increment(0);
        }
        for place in 0..KINDS_COUNTED {
            metrics::counter!(LOADED, "type" => kind_at(place)).increment(0);
        }
        metrics::counter!(REDELIVERIES).increment(0);
        // Without a record it is not shown at all.
        let _ = metrics::histogram!(LAG);
        Self { figures, ..Self::default() }
    }

    pub(super) fn settled_in_batch(&self, loaded: u64, duplicates: u64, unwanted: u64) {
        self.figures.settled(loaded, duplicates, unwanted);
        self.loaded.fetch_add(loaded, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        self.unwanted.fetch_add(unwanted, Ordering::Relaxed);
        for (outcome, count) in [("loaded", loaded), ("duplicate", duplicates), ("unwanted", unwanted)] {
            if count > 0 {
                metrics::counter!(EVENTS, "outcome" => outcome).increment(count);
            }
        }
    }

    pub(super) fn failure_stored(&self, is_dead: bool) {
        self.figures.failed(is_dead);
        let (counter, outcome) = if is_dead { (&self.dead, "dead") } else { (&self.retried, "retried") };
        counter.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(EVENTS, "outcome" => outcome).increment(1);
    }

    pub(super) fn saw_event_created_at(&self, created: DateTime<Utc>) {
        let lag = Utc::now().signed_duration_since(created);
        self.lag_ms.store(lag.num_milliseconds(), Ordering::Relaxed);
    }

    /// Events that were loaded just now.
    pub(super) fn loaded<'a>(&self, events: impl Iterator<Item = &'a Event<'a>> + Clone) {
        let now = Utc::now();
        // Metrics are looked up by name and labels: once a batch, not once an event.
        let lag = metrics::histogram!(LAG);
        let mut counts = [0; KINDS_COUNTED];
        for event in events.clone() {
            counts[place_of_kind(&event.kind).unwrap_or(KINDS.len())] += 1;
            lag.record((now - event.created()).to_std().unwrap_or_default());
        }
        for (place, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            metrics::counter!(LOADED, "type" => kind_at(place)).increment(count);
        }
        self.figures.loaded(events.map(|event| (event.kind.as_ref(), event.created())));
    }

    /// A delivery came that had been sent before.
    pub(super) fn redelivered(&self) {
        metrics::counter!(REDELIVERIES).increment(1);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            loaded: self.loaded.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            unwanted: self.unwanted.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
            dead: self.dead.load(Ordering::Relaxed),
            lag_ms: self.lag_ms.load(Ordering::Relaxed),
        }
    }
}

/// The label of a type: of a closed set, because what feeds invent must not become a time series each.
fn kind_at(place: usize) -> &'static str {
    KINDS.get(place).copied().unwrap_or(TYPE_OTHER)
}
