//! What a loader has done, for its summary and for metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::event::Event;
use crate::status::LoaderFigures;

const EVENTS: &str = "github_etl_loader_events_total";
const LAG: &str = "github_etl_loader_lag_seconds";

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
        metrics::describe_gauge!(
            LAG,
            metrics::Unit::Seconds,
            "From creation to load, of the newest event loaded last"
        );
        for outcome in ["loaded", "duplicate", "unwanted", "retried", "dead"] {
            metrics::counter!(EVENTS, "outcome" => outcome).increment(0);
        }
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
        #[allow(clippy::cast_precision_loss)]
        metrics::gauge!(LAG).set(lag.num_milliseconds() as f64 / 1000.0);
    }

    pub(super) fn loaded<'a>(&self, events: impl Iterator<Item = &'a Event<'a>>) {
        self.figures.loaded(events.map(|event| (event.kind.as_ref(), event.created())));
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
