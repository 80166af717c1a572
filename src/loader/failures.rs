//! What leaves otherwise than by loading: failures to the retry queues or the dead letters, and deliveries that are handed back
//! to the load queue. Published with a confirm first, acked after.

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

/// A delivery on its way out, and whom to tell what became of it.
pub(super) struct Leaving {
    pub(super) delivery: Delivery,
    pub(super) republish: Republish,
    /// Of a session that has ended, nobody listens: the delivery comes again then.
    pub(super) told: mpsc::Sender<Told>,
}

/// What became of the delivery with this tag.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// RabbitMQ has confirmed its copy in a retry queue or the dead letters: ack.
    Stored(u64),
    /// RabbitMQ has confirmed its copy in the load queue: ack.
    Back(u64),
    /// No copy of it can be stored: it stays unacked, and comes again with the next session.
    Kept,
}

/// A task with a publisher of its own, so that good events go on while RabbitMQ makes publishers wait.
pub(super) struct FailureLane {
    incoming: mpsc::Sender<Leaving>,
    task: JoinHandle<()>,
}

/// Messages published at once: when a session ends, all that it holds may be handed back.
const BATCH: usize = 256;
/// How long the lane may take to end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

impl FailureLane {
    pub(super) fn start(publisher: Publisher, loader: Arc<Loader>, max_attempts: u32) -> Self {
        // No more than the prefetch can be on the way in one session.
        let (incoming, outgoing) = mpsc::channel(usize::from(loader.prefetch));
        Self { incoming, task: tokio::spawn(publish_all(publisher, outgoing, loader, max_attempts)) }
    }

    /// A place for one delivery, unless the lane is full or has ended. It ends only with the program; what it did not take
    /// stays unacked and comes again.
    pub(super) fn place(&self) -> Option<mpsc::Permit<'_, Leaving>> {
        self.incoming.try_reserve().ok()
    }

    /// Ends the lane after what it holds is stored, if that does not take long.
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
    mut incoming: mpsc::Receiver<Leaving>,
    loader: Arc<Loader>,
    max_attempts: u32,
) {
    // The end of a session needs the lane, so a shutdown does not end it: `finish` does.
    let never = CancellationToken::new();
    let mut leaving = Vec::with_capacity(BATCH);
    while incoming.recv_many(&mut leaving, BATCH).await > 0 {
        // Of a session that has ended, the delivery is unacked and comes again, and so would its failure.
        leaving.retain(|one| !one.told.is_closed());
        let (mut messages, mut tags) = (Vec::with_capacity(leaving.len()), Vec::with_capacity(leaving.len()));
        for Leaving { delivery, republish, told } in leaving.drain(..) {
            let tag = delivery.tag;
            match address(loader.broker.names(), delivery, republish, max_attempts) {
                Some(message) => {
                    messages.push(message);
                    tags.push((told, tag));
                }
                None => tell(&told, Told::Kept).await,
            }
        }
        match publisher.publish_all(&messages, &never).await {
            Ok(too_large) => {
                for (message, (told, tag)) in messages.iter().zip(tags) {
                    let too_large = too_large.iter().find(|one| std::ptr::eq(one.message, message));
                    tell(&told, settle(&loader, message, tag, too_large)).await;
                }
            }
            Err(PublishError::Interrupted(_)) => break,
            Err(PublishError::Hopeless(error)) => {
                tracing::error!("storing failed messages: {error}");
                break;
            }
        }
    }
    publisher.close().await;
}

/// Counts a message that is stored.
fn settle(loader: &Loader, message: &Outgoing, tag: u64, too_large: Option<&TooLarge<'_>>) -> Told {
    if let Some(error) = too_large {
        // RabbitMQ has taken it once, so its limit was lowered since. An ack would lose it.
        tracing::error!("storing a message elsewhere: {error}; until then it stays in its queue");
        return Told::Kept;
    }
    let names = loader.broker.names();
    if matches!(&message.route, Route::Queue(queue) if queue == names.load()) {
        return Told::Back(tag);
    }
    let is_dead = message.route == Route::Queue(names.dead());
    loader.ledger.enter_one(if is_dead { LoadOutcome::Dead } else { LoadOutcome::Retried });
    Told::Stored(tag)
}

async fn tell(told: &mpsc::Sender<Told>, what: Told) {
    // Fails only when the session has ended, and then the message comes again.
    let _ = told.send(what).await;
}

/// The message to publish; nothing if it cannot be copied.
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

/// The message for a failure: the same bytes and properties, the failure's history in headers.
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
