//! Publishes copies of deliveries that are not loaded: to a retry queue, to the dead letters, or back to the load queue. The
//! delivery is acked after its copy is confirmed.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Loader;
use crate::broker::{Delivery, Failure, Names, Outgoing, PublishError, Publisher, Route, TooLarge};
use crate::status::LoadOutcome;

/// Where a copy of a delivery is published, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Republish {
    /// To a retry queue, for this reason; to the dead letters after the last attempt.
    Retry(String),
    /// To the dead letters at once, for this reason: no retry can load it.
    DeadLetter(String),
    /// Back to the load queue. RabbitMQ would count the return of the delivery itself as a redelivery, and several redeliveries
    /// make a crash suspect.
    LoadQueue,
}

/// A delivery whose copy is to be published.
pub(super) struct RepublishRequest {
    pub(super) delivery: Delivery,
    pub(super) republish: Republish,
    /// Where the result goes. If the session has ended, it is closed, and RabbitMQ redelivers.
    pub(super) results: mpsc::Sender<Republished>,
}

/// The result of a request, with the tag of its delivery.
#[derive(Clone, Copy, Debug)]
pub(super) enum Republished {
    /// The copy is confirmed in a retry queue or the dead letters: ack.
    Stored(u64),
    /// The copy is confirmed in the load queue: ack.
    HandedBack(u64),
    /// No copy can be stored: the delivery stays unacked, and comes again with the next session.
    Failed,
}

/// A task with its own publisher, so that good events are loaded while RabbitMQ blocks publishers.
pub(super) struct Republisher {
    incoming: mpsc::Sender<RepublishRequest>,
    task: JoinHandle<()>,
}

/// Messages published at once. At the end of a session, all its deliveries may be handed back.
const AT_ONCE: usize = 256;
/// How long the task may take to end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

impl Republisher {
    pub(super) fn start(publisher: Publisher, loader: Arc<Loader>, max_attempts: u32) -> Self {
        // No more than the prefetch can be on the way in one session.
        let (incoming, outgoing) = mpsc::channel(usize::from(loader.prefetch));
        Self { incoming, task: tokio::spawn(publish_all(publisher, outgoing, loader, max_attempts)) }
    }

    /// Room for one request; nothing while the republisher is full. It ends only with the program.
    pub(super) fn place(&self) -> Option<mpsc::Permit<'_, RepublishRequest>> {
        self.incoming.try_reserve().ok()
    }

    /// Ends the task after it has published its messages, or after [`FINISH_TIMEOUT`].
    pub(super) async fn finish(self) {
        let Self { incoming, task } = self;
        drop(incoming);
        let abort = task.abort_handle();
        if tokio::time::timeout(FINISH_TIMEOUT, task).await.is_err() {
            abort.abort();
        }
    }
}

async fn publish_all(
    mut publisher: Publisher,
    mut incoming: mpsc::Receiver<RepublishRequest>,
    loader: Arc<Loader>,
    max_attempts: u32,
) {
    // The end of a session needs the republisher, so a shutdown does not end it: `finish` does.
    let never = CancellationToken::new();
    let mut requests = Vec::with_capacity(AT_ONCE);
    while incoming.recv_many(&mut requests, AT_ONCE).await > 0 {
        // If the session has ended, RabbitMQ redelivers, so the failure would come twice.
        requests.retain(|one| !one.results.is_closed());
        let (mut messages, mut tags) =
            (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
        for RepublishRequest { delivery, republish, results } in requests.drain(..) {
            let tag = delivery.tag;
            match address(loader.broker.names(), delivery, republish, max_attempts) {
                Some(message) => {
                    messages.push(message);
                    tags.push((results, tag));
                }
                None => report(&results, Republished::Failed).await,
            }
        }
        match publisher.publish_all(&messages, &never).await {
            Ok(too_large) => {
                for (message, (results, tag)) in messages.iter().zip(tags) {
                    let too_large = too_large.iter().find(|one| std::ptr::eq(one.message, message));
                    report(&results, settle(&loader, message, tag, too_large)).await;
                }
            }
            Err(PublishError::Interrupted(_)) => break,
            Err(PublishError::Hopeless(error)) => {
                tracing::error!("publishing failed messages: {error}");
                break;
            }
        }
    }
    publisher.close().await;
}

/// The result for a message that was published. Counts it.
fn settle(loader: &Loader, message: &Outgoing, tag: u64, too_large: Option<&TooLarge<'_>>) -> Republished {
    if let Some(error) = too_large {
        // RabbitMQ took it once, so its limit was lowered since. An ack would lose the message.
        tracing::error!("a delivery stays unacked in its queue: {error}");
        return Republished::Failed;
    }
    let names = loader.broker.names();
    if matches!(&message.route, Route::Queue(queue) if queue == names.load()) {
        return Republished::HandedBack(tag);
    }
    let is_dead = message.route == Route::Queue(names.dead());
    loader.ledger.enter_one(if is_dead { LoadOutcome::Dead } else { LoadOutcome::Retried });
    Republished::Stored(tag)
}

async fn report(results: &mpsc::Sender<Republished>, result: Republished) {
    // Fails only when the session has ended. Then RabbitMQ redelivers.
    let _ = results.send(result).await;
}

/// The message to publish. None if there is no room for our headers.
fn address(names: &Names, delivery: Delivery, republish: Republish, max_attempts: u32) -> Option<Outgoing> {
    match republish {
        Republish::Retry(reason) => Some(failed(names, delivery, reason, max_attempts)),
        Republish::DeadLetter(reason) => Some(failed(names, delivery, reason, 0)),
        Republish::LoadQueue => {
            let envelope =
                delivery.envelope.handed_back(&delivery.routing_key, delivery.deliveries_before)?;
            let route = Route::Queue(names.load().to_owned());
            Some(Outgoing { route, body: delivery.body, envelope })
        }
    }
}

/// The message for a failure: the same bytes and properties, and headers with the failure's history.
fn failed(names: &Names, delivery: Delivery, reason: String, max_attempts: u32) -> Outgoing {
    let envelope = delivery.envelope;
    let attempts = envelope.attempts().saturating_add(1);
    let queue = if attempts < max_attempts { names.retry(attempts).0 } else { names.dead() };
    if queue == names.dead() {
        let id = envelope.message_id();
        tracing::warn!(
            id,
            attempts,
            reason,
            "message '{id}' goes to {queue}: {reason} (attempts: {attempts})"
        );
    } else {
        tracing::debug!(attempts, reason, "a message goes to {queue}: {reason}");
    }
    let failure = Failure {
        reason,
        attempts,
        first_failed_at: envelope
            .first_failed_at()
            .unwrap_or_else(|| Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)),
        original_routing_key: envelope.original_routing_key().unwrap_or(delivery.routing_key),
    };
    Outgoing { route: Route::Queue(queue), body: delivery.body, envelope: envelope.with_failure(&failure) }
}
