//! A batch of deliveries: what becomes of each.

use tokio_util::sync::CancellationToken;

use super::Loader;
use crate::broker::Delivery;
use crate::event::Event;
use crate::retry::{Backoff, Interrupted};
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
}

/// Loads a batch and tells what became of each delivery, in order; waits for Redis as long as it takes.
///
/// # Errors
/// [`Interrupted`] when the program is to stop while Redis is away; nothing of the batch may be acked then.
pub(super) async fn load(
    loader: &Loader,
    deliveries: &[Delivery],
    shutdown: &CancellationToken,
) -> Result<Vec<Outcome>, Interrupted> {
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
    let loaded = load_patiently(loader, calls, &spans, shutdown).await?;
    let pairs = events.iter().zip(&loaded);
    loader.counts.loaded(pairs.filter(|(_, outcome)| **outcome == Outcome::Loaded).map(|(event, _)| event));
    if let Some(newest) = events.iter().map(Event::created).max() {
        loader.counts.saw_event_created_at(newest);
    }
    let mut loaded = loaded.into_iter();
    // Every `None` above stands for one call, in the same order.
    Ok(outcomes.into_iter().filter_map(|outcome| outcome.or_else(|| loaded.next())).collect())
}

/// Runs the calls until each has an outcome. Redis being away is not a message's fault: no attempt is spent, what has no
/// verdict yet is repeated with backoff and without end.
async fn load_patiently(
    loader: &Loader,
    mut calls: Vec<LoadCall<'_>>,
    spans: &Processing,
    shutdown: &CancellationToken,
) -> Result<Vec<Outcome>, Interrupted> {
    let mut outcomes: Vec<Option<Outcome>> = calls.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..calls.len()).collect();
    let mut backoff = Backoff::for_server();
    let mut has_waited = false;
    while !calls.is_empty() {
        let mut script = spans.script(calls.len());
        let verdicts = loader.store.load(loader.policy, &calls).await;
        let mut waiting = None;
        let mut again = Vec::new();
        for ((call, place), verdict) in calls.drain(..).zip(std::mem::take(&mut open)).zip(verdicts) {
            match verdict {
                Verdict::Loaded => outcomes[place] = Some(Outcome::Loaded),
                Verdict::Duplicate => outcomes[place] = Some(Outcome::Duplicate),
                Verdict::Failed(Fault::ThisMessage(reason)) => {
                    outcomes[place] = Some(Outcome::Failed(reason))
                }
                Verdict::Failed(fault) => {
                    again.push(call);
                    open.push(place);
                    waiting = Some(fault);
                }
            }
        }
        calls = again;
        match waiting {
            // A batch that Redis never refused anything may hold duplicates only, which even a full Redis answers: it does
            // not show that another one's trouble is over.
            None if has_waited || !loader.redis.is_away() => loader.redis.up(),
            None => {}
            Some(fault) => {
                has_waited = true;
                script.fail(&fault);
                drop(script);
                loader.redis.away(fault);
                backoff.pause(shutdown).await?;
            }
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}
