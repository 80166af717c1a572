//! Opening a queue to take messages from it: RabbitMQ may be away, another program may have the messages in hand, the queue may not
//! exist.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, PublishError, QueueReader};
use crate::health::Dependency;
use crate::retry::{Backoff, Interrupted, sleep};

/// How long another program of ours may have the messages in hand. A dashboard needs less than two seconds.
const IN_USE_MAX: Duration = Duration::from_secs(10);
/// How often to look whether something has changed.
const GLANCE: Duration = Duration::from_millis(100);

/// A queue, and how to wait for it.
pub(super) struct QueueAccess {
    broker: Broker,
    queue: String,
    server: Dependency,
    shutdown: CancellationToken,
    /// How long an empty queue is looked at: a program that is not ours may have messages in hand, which AMQP does not tell.
    looks_again_for: Duration,
    /// RabbitMQ has answered once: from then on no fault is final.
    was_reached: bool,
}

/// The queue as it was found.
pub(super) enum Found {
    /// Nobody else of ours takes from it, and so many messages are ready.
    Ready(Box<QueueReader>, u32),
    /// It does not exist.
    Absent,
}

/// Why work with an open queue ended early.
pub(super) enum Broken {
    /// The session has ended: begin another.
    Session(BrokerError),
    /// Going on is of no use.
    Final(anyhow::Error),
}

impl From<BrokerError> for Broken {
    fn from(error: BrokerError) -> Self {
        Self::Session(error)
    }
}

impl From<PublishError> for Broken {
    fn from(error: PublishError) -> Self {
        Self::Final(error.into())
    }
}

impl QueueAccess {
    pub(super) fn new(
        broker: &Broker,
        queue: String,
        server: Dependency,
        looks_again_for: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        Self { broker: broker.clone(), queue, server, shutdown, looks_again_for, was_reached: false }
    }

    /// The queue's whole name.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// A session on it has ended by `error`: the next one is opened.
    pub(super) fn lost(&self, error: BrokerError) {
        self.server.away(error);
    }

    /// Opens a session, however long RabbitMQ takes to be there.
    ///
    /// # Errors
    /// When another program does not let go of the messages, RabbitMQ refuses us for good at the start, or the program is to stop.
    pub(super) async fn open(&mut self) -> anyhow::Result<Found> {
        let (mut backoff, started) = (Backoff::for_server(), Instant::now());
        let mut has_told = false;
        loop {
            let opened = tokio::select! {
                opened = self.try_open() => opened,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            match opened {
                Ok(found) => {
                    self.was_reached = true;
                    self.server.up();
                    return Ok(found);
                }
                Err(BrokerError::InUse { .. }) if started.elapsed() < IN_USE_MAX => {
                    if !std::mem::replace(&mut has_told, true) {
                        tracing::info!("waiting: another program has the messages of {} in hand", self.queue);
                    }
                    sleep(GLANCE, &self.shutdown).await?;
                }
                Err(BrokerError::InUse { .. }) => bail!(
                    "another program, a dashboard or another replay, has had the messages of {} in hand for {} s: run this again when it has ended",
                    self.queue,
                    IN_USE_MAX.as_secs()
                ),
                Err(error) if error.waiting_cannot_help() && !self.was_reached => return Err(error.into()),
                Err(error) => {
                    self.lost(error);
                    backoff.pause(&self.shutdown).await?;
                }
            }
        }
    }

    async fn try_open(&self) -> Result<Found, BrokerError> {
        let mut reader = self.broker.read_queue(&self.queue).await?;
        let started = Instant::now();
        let mut has_told = self.looks_again_for.is_zero();
        loop {
            match reader.ready().await {
                Ok(ready) if ready > 0 || started.elapsed() >= self.looks_again_for => {
                    return Ok(Found::Ready(Box::new(reader), ready));
                }
                Ok(_) => {
                    if !std::mem::replace(&mut has_told, true) {
                        tracing::info!("no message is ready in {}: looking again for a moment", self.queue);
                    }
                    tokio::time::sleep(GLANCE).await;
                }
                Err(BrokerError::NoSuchQueue { .. }) => {
                    // Only the channel has ended, and the connection has the lock.
                    reader.close().await;
                    return Ok(Found::Absent);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
