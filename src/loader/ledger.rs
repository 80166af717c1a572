//! The ledger of a loader: the one place that counts outcomes, for metrics, the status and the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

use crate::event::{Event, KINDS, place_of_kind};
use crate::status::{Counters, LoadOutcome, LoaderFigures, TYPE_OTHER, Totals};

const EVENTS: &str = "github_etl_loader_events_total";
const LOADED: &str = "github_etl_loader_events_loaded_total";
const REDELIVERIES: &str = "github_etl_loader_redeliveries_total";
const LAG: &str = "github_etl_loader_lag_seconds";
/// Types that are counted apart, and the rest.
const KINDS_COUNTED: usize = KINDS.len() + 1;

/// The outcomes of one loader since its start. Only this loader's tasks write to it.
pub(super) struct Ledger {
    /// The status of the process: a sum over all its loaders.
    figures: Arc<LoaderFigures>,
    counters: Counters,
    /// Milliseconds between the newest event's creation and its load, in the last batch.
    lag_ms: AtomicI64,
}

impl Ledger {
    /// An empty ledger. `/metrics` shows its zeros from the start.
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
        for outcome in LoadOutcome::ALL {
            metrics::counter!(EVENTS, "outcome" => outcome.label()).increment(0);
        }
        for place in 0..KINDS_COUNTED {
            metrics::counter!(LOADED, "type" => kind_at(place)).increment(0);
        }
        metrics::counter!(REDELIVERIES).increment(0);
        // Without a record it is not shown at all.
        let _ = metrics::histogram!(LAG);
        Self { figures, counters: Counters::default(), lag_ms: AtomicI64::new(0) }
    }

    /// Enters the outcomes of deliveries that were settled just now.
    pub(super) fn enter(&self, outcomes: &Totals) {
        self.counters.add(outcomes);
        self.figures.settled(outcomes);
        for outcome in LoadOutcome::ALL {
            let count = outcomes.of(outcome);
            if count > 0 {
                metrics::counter!(EVENTS, "outcome" => outcome.label()).increment(count);
            }
        }
    }

    /// Enters the outcome of one delivery.
    pub(super) fn enter_one(&self, outcome: LoadOutcome) {
        let mut outcomes = Totals::default();
        *outcomes.of_mut(outcome) = 1;
        self.enter(&outcomes);
    }

    /// Enters the lag of a batch whose newest event was created at this time.
    pub(super) fn saw_event_created_at(&self, created: DateTime<Utc>) {
        let lag = Utc::now().signed_duration_since(created);
        self.lag_ms.store(lag.num_milliseconds(), Ordering::Relaxed);
    }

    /// Enters types and lags of events that were loaded just now.
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

    /// Counts a redelivery.
    pub(super) fn redelivered(&self) {
        metrics::counter!(REDELIVERIES).increment(1);
    }

    /// The totals of this loader now.
    pub(super) fn totals(&self) -> Totals {
        self.counters.totals()
    }

    /// The lag of the newest event in the last batch, in milliseconds.
    pub(super) fn lag_ms(&self) -> i64 {
        self.lag_ms.load(Ordering::Relaxed)
    }
}

/// The label of a type. Unknown types share one label, because feeds may invent any number of types.
fn kind_at(place: usize) -> &'static str {
    KINDS.get(place).copied().unwrap_or(TYPE_OTHER)
}
