//! A batch of deliveries: what becomes of each.

use super::Loader;
use super::patience::Patience;
use crate::broker::Delivery;
use crate::event::Event;
use crate::retry::Backoff;
use crate::store::{Fault, LoadCall, Verdict};
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
                events.push(event);
                None
            }
        });
    }
    let calls = events.iter().map(|event| LoadCall { event, score: loader.rules.score(event) }).collect();
    let loaded = load_patiently(loader, calls, &spans, patience).await;
    let pairs = events.iter().zip(&loaded);
    loader.counts.loaded(pairs.filter(|(_, outcome)| **outcome == Outcome::Loaded).map(|(event, _)| event));
    if let Some(newest) = events.iter().map(Event::created).max() {
        loader.counts.saw_event_created_at(newest);
    }
    let mut loaded = loaded.into_iter();
    // Every `None` above stands for one call, in the same order.
    outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| loaded.next())).collect()
}

/// Runs the calls until each has an outcome. Redis being away is not a message's fault: no attempt is spent, what has no
/// verdict yet is repeated with backoff, while there is patience.
async fn load_patiently(
    loader: &Loader,
    calls: Vec<LoadCall<'_>>,
    spans: &Processing,
    patience: &Patience,
) -> Vec<Outcome> {
    let mut open = Open::new(calls);
    let mut backoff = Backoff::for_server();
    let mut has_waited = false;
    while !open.calls.is_empty() {
        let mut script = spans.script(open.calls.len());
        let asked = loader.store.load(loader.policy, &open.calls);
        let Ok(verdicts) = patience.answer(asked).await else { break };
        let Some(fault) = open.settle(verdicts) else {
            // A batch that Redis never refused anything may hold duplicates only, which even a full Redis answers: it does
            // not show that another one's trouble is over.
            if has_waited || !loader.redis.is_away() {
                loader.redis.up();
            }
            break;
        };
        has_waited = true;
        script.fail(&fault);
        drop(script);
        loader.redis.away(fault);
        if patience.pause(&mut backoff).await.is_err() {
            break;
        }
    }
    open.outcomes
}

/// The calls of a batch that have no verdict yet, and the outcomes of all.
struct Open<'a> {
    calls: Vec<LoadCall<'a>>,
    /// The calls' places among the outcomes.
    places: Vec<usize>,
    outcomes: Vec<Outcome>,
}

impl<'a> Open<'a> {
    fn new(calls: Vec<LoadCall<'a>>) -> Self {
        let outcomes = calls.iter().map(|_| Outcome::NotLoaded).collect();
        Self { places: (0..calls.len()).collect(), calls, outcomes }
    }

    /// Takes the verdicts on all calls. Keeps the calls that Redis could not serve, and gives the reason if there are any.
    fn settle(&mut self, verdicts: Vec<Verdict>) -> Option<Fault> {
        let (calls, places) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.places));
        let mut reason = None;
        for ((call, place), verdict) in calls.into_iter().zip(places).zip(verdicts) {
            self.outcomes[place] = match verdict {
                Verdict::Loaded => Outcome::Loaded,
                Verdict::Duplicate => Outcome::Duplicate,
                Verdict::Failed(Fault::ThisMessage(reason)) => Outcome::Failed(reason),
                Verdict::Failed(fault) => {
                    self.calls.push(call);
                    self.places.push(place);
                    reason = Some(fault);
                    continue;
                }
            };
        }
        reason
    }
}
