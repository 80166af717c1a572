//! A batch of deliveries: what becomes of each.

use super::Loader;
use super::attempts;
use super::patience::Patience;
use crate::broker::Delivery;
use crate::event::Event;
use crate::store::LoadCall;
use crate::telemetry::traces::Processing;

/// What became of a delivery. Matched in one place, where the session settles it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its effects stand in Redis: ack.
    Loaded,
    /// They stood already: ack.
    Duplicate,
    /// The user wants no events of its type: ack.
    Unwanted,
    /// It is not an event, or cannot be read, for this reason: to the dead letters at once.
    NotAnEvent(String),
    /// Loader after loader died with it, for this reason: to the dead letters without another try.
    CrashSuspect(String),
    /// The script fails for it, for this reason: to a retry queue, in the end to the dead letters.
    Failed(String),
    /// Redis has not taken it, and the session ends: back to the queue.
    NotLoaded,
}

/// Loads a batch and tells what became of each delivery, in order; waits for Redis as long as `patience` lasts.
pub(super) async fn load(loader: &Loader, deliveries: &[Delivery], patience: &Patience) -> Vec<Outcome> {
    let carried = deliveries.iter().map(|delivery| delivery.envelope.traceparent());
    let spans = Processing::begin(loader.broker.names().load(), carried);
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(deliveries.len());
    let mut events = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if let Some(reason) = delivery.envelope.unreadable() {
            outcomes.push(Some(Outcome::NotAnEvent(reason)));
            continue;
        }
        outcomes.push(match Event::parse(&delivery.body) {
            Err(reason) => Some(Outcome::NotAnEvent(reason.to_string())),
            Ok(event) if !loader.rules.wants(&event) => Some(Outcome::Unwanted),
            Ok(event) => {
                events.push((event, delivery));
                None
            }
        });
    }
    let calls =
        events.iter().map(|(event, _)| LoadCall { event, score: loader.rules.score(event) }).collect();
    let is_new = |place: usize| events[place].1.envelope.attempts() == 0;
    let loaded = attempts::load_patiently(loader, calls, is_new, &spans, patience).await;
    let pairs = events.iter().map(|(event, _)| event).zip(&loaded);
    loader.counts.loaded(pairs.filter(|(_, outcome)| **outcome == Outcome::Loaded).map(|(event, _)| event));
    if let Some(newest) = events.iter().map(|(event, _)| event.created()).max() {
        loader.counts.saw_event_created_at(newest);
    }
    let mut loaded = loaded.into_iter();
    // Every `None` above stands for one call, in the same order.
    outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| loaded.next())).collect()
}
