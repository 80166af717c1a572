//! What failed goes to the retry queues or the dead letters: published with a confirm first, acked after.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Loader;
use crate::broker::{Delivery, Failure, Names, Outgoing, PublishError, Publisher, Route};

/// A delivery on its way out, and whom to tell when it is stored there.
pub(super) struct Failed {
    pub(super) delivery: Delivery,
    pub(super) reason: String,
    /// False for what no repetition can load.
    pub(super) retry: bool,
    /// Takes the tag once RabbitMQ has confirmed. Of a session that has ended, nobody listens: the delivery comes again then.
    pub(super) settled: mpsc::Sender<u64>,
}

/// A task with a publisher of its own, so that good events go on while RabbitMQ makes publishers wait.
pub(super) struct FailureLane {
    incoming: mpsc::Sender<Failed>,
    task: JoinHandle<()>,
}

/// Failures published at once.
const BATCH: usize = 64;
/// How long the lane may take to end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

impl FailureLane {
    pub(super) fn start(
        publisher: Publisher,
        loader: Arc<Loader>,
        max_attempts: u32,
        shutdown: CancellationToken,
    ) -> Self {
        // No more than the prefetch can be on the way in one session.
        let (incoming, outgoing) = mpsc::channel(usize::from(loader.prefetch));
        Self {
            incoming,
            task: tokio::spawn(publish_failures(publisher, outgoing, loader, max_attempts, shutdown)),
        }
    }

    /// A place for one failure, unless the lane is full or has ended. It ends only with the program; what it did not take
    /// stays unacked and comes again.
    pub(super) fn place(&self) -> Option<mpsc::Permit<'_, Failed>> {
        self.incoming.try_reserve().ok()
    }

    /// Ends the lane after what it holds is stored.
    pub(super) async fn finish(self) {
        let Self { incoming, task } = self;
        drop(incoming);
        let abort = task.abort_handle();
        if tokio::time::timeout(FINISH_TIMEOUT, task).await.is_err() {
            abort.abort();
        }
    }
}

async fn publish_failures(
    mut publisher: Publisher,
    mut outgoing: mpsc::Receiver<Failed>,
    loader: Arc<Loader>,
    max_attempts: u32,
    shutdown: CancellationToken,
) {
    let mut failures = Vec::with_capacity(BATCH);
    while outgoing.recv_many(&mut failures, BATCH).await > 0 {
        // Of a session that has ended, the delivery is unacked and comes again, and so would its failure.
        failures.retain(|failed| !failed.settled.is_closed());
        let (messages, tags): (Vec<_>, Vec<_>) = failures
            .drain(..)
            .map(|failed| {
                let settled = (failed.settled.clone(), failed.delivery.tag);
                (address(loader.broker.names(), failed, max_attempts), settled)
            })
            .unzip();
        let too_large = match publisher.publish_all(&messages, &shutdown).await {
            Ok(too_large) => too_large,
            Err(PublishError::Interrupted(_)) => break,
            Err(PublishError::Hopeless(error)) => {
                tracing::error!("storing failed messages: {error}");
                break;
            }
        };
        for (message, (settled, tag)) in messages.iter().zip(tags) {
            if let Some(error) = too_large.iter().find(|one| std::ptr::eq(one.message, message)) {
                // RabbitMQ has taken it once, so its limit was lowered since. An ack would lose it: it stays unacked, and comes
                // again with the next session.
                tracing::error!("storing a failed message: {error}; until then it stays in its queue");
                continue;
            }
            let is_dead = message.route == Route::Queue(loader.broker.names().dead());
            loader.counts.failure_stored(is_dead);
            // Fails only when the session has ended, and then the message comes again.
            let _ = settled.send(tag).await;
        }
    }
    publisher.close().await;
}

/// The message to publish for a failure: the same bytes and properties, the failure's history in headers.
fn address(names: &Names, failed: Failed, max_attempts: u32) -> Outgoing {
    let Failed { delivery, reason, retry, .. } = failed;
    let envelope = delivery.envelope;
    let attempts = envelope.attempts().saturating_add(1);
    let queue = if retry && attempts < max_attempts { names.retry(attempts).0 } else { names.dead() };
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
