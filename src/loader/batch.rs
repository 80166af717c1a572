//! Loading a batch: parses its deliveries, runs the script for the events, and decides about each delivery.

use super::Loader;
use super::attempts;
use super::patience::Patience;
use super::republish::Republish;
use crate::broker::Delivery;
use crate::event::Event;
use crate::status::LoadOutcome;
use crate::store::LoadCall;
use crate::telemetry::traces::Processing;

/// The decision about a delivery. It is matched in one place, `Session::settle_batch`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// The delivery is done with: ack, and count this outcome.
    Ack(LoadOutcome),
    /// The delivery cannot be loaded: publish a copy elsewhere, then ack.
    Republish(Republish),
    /// Redis has not taken the event, and the session ends.
    NotLoaded,
}

/// Loads a batch and decides about each delivery, in order. Waits for Redis as long as `patience` lasts.
pub(super) async fn load(loader: &Loader, deliveries: &[Delivery], patience: &Patience) -> Vec<Disposition> {
    let carried = deliveries.iter().map(|delivery| delivery.envelope.traceparent());
    let spans = Processing::begin(loader.broker.names().load(), carried);
    // A delivery without a decision is an event to load. Its place is its index here.
    let mut dispositions = Vec::with_capacity(deliveries.len());
    let mut events = Vec::with_capacity(deliveries.len());
    for (place, delivery) in deliveries.iter().enumerate() {
        dispositions.push(match parse(loader, delivery) {
            Ok(event) => {
                events.push((place, event));
                Disposition::NotLoaded
            }
            Err(decided) => decided,
        });
    }
    let calls = events.iter().map(|(place, event)| attempts::Call {
        place: *place,
        load: LoadCall { event, score: loader.rules.score(event) },
        is_new: deliveries[*place].envelope.attempts() == 0,
    });
    let calls = calls.collect();
    for (place, disposition) in attempts::load_until_answered(loader, calls, &spans, patience).await {
        dispositions[place] = disposition;
    }
    let is_loaded = |place: usize| dispositions[place] == Disposition::Ack(LoadOutcome::Loaded);
    loader.ledger.loaded(events.iter().filter(|(place, _)| is_loaded(*place)).map(|(_, event)| event));
    if let Some(newest) = events.iter().map(|(_, event)| event.created()).max() {
        loader.ledger.saw_event_created_at(newest);
    }
    dispositions
}

/// The event of a delivery.
///
/// # Errors
/// The decision about a delivery that the script is not run for.
fn parse<'a>(loader: &Loader, delivery: &'a Delivery) -> Result<Event<'a>, Disposition> {
    let not_an_event = |reason| Disposition::Republish(Republish::DeadLetter(reason));
    if let Some(reason) = delivery.envelope.unreadable() {
        return Err(not_an_event(reason));
    }
    let event = Event::parse(&delivery.body).map_err(|reason| not_an_event(reason.to_string()))?;
    if loader.rules.wants(&event) { Ok(event) } else { Err(Disposition::Ack(LoadOutcome::Unwanted)) }
}
