//! Opens a queue to take messages from it. Waits while RabbitMQ is away, or while another program takes from the queue.

use std::time::{Duration, Instant};

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, PublishError, QueueReader};
use crate::health::Dependency;
use crate::retry::{Backoff, Interrupted, sleep};

/// How long to wait for another of our programs that takes from the queue. A dashboard needs less than two seconds.
const IN_USE_MAX: Duration = Duration::from_secs(10);
/// How often to try again.
const GLANCE: Duration = Duration::from_millis(100);

/// A queue, opened as often as sessions are lost.
pub(super) struct QueueAccess {
    broker: Broker,
    queue: String,
    server: Dependency,
    shutdown: CancellationToken,
    /// How long to wait for messages of an empty queue. Another program may hold them unacked, which AMQP does not show.
    looks_again_for: Duration,
    /// True after the first answer of RabbitMQ. From then on no fault is final.
    was_reached: bool,
}

/// The queue as it was found.
pub(super) enum Found {
    /// It is open, no other program of ours takes from it, and this number of messages is ready.
    Ready(Box<QueueReader>, u32),
    /// It does not exist.
    Absent,
}

/// Why work in a session with RabbitMQ ended early.
pub(super) enum SessionError {
    /// The session was lost: open another.
    Lost(BrokerError),
    /// The replay has to end.
    Final(anyhow::Error),
}

impl From<BrokerError> for SessionError {
    fn from(error: BrokerError) -> Self {
        Self::Lost(error)
    }
}

impl From<PublishError> for SessionError {
    fn from(error: PublishError) -> Self {
        Self::Final(error.into())
    }
}

impl From<Interrupted> for SessionError {
    fn from(error: Interrupted) -> Self {
        Self::Final(error.into())
    }
}

impl From<anyhow::Error> for SessionError {
    fn from(error: anyhow::Error) -> Self {
        Self::Final(error)
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

    /// Reports that `error` has ended a session.
    pub(super) fn lost(&self, error: BrokerError) {
        self.server.away(error);
    }

    /// Opens a session. Waits for RabbitMQ without limit.
    ///
    /// # Errors
    /// When another program keeps taking from the queue, when RabbitMQ refuses access at the start, or when the program is to stop.
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
                        tracing::info!(
                            "waiting: another program holds the messages of {} unacked",
                            self.queue
                        );
                    }
                    sleep(GLANCE, &self.shutdown).await?;
                }
                Err(BrokerError::InUse { .. }) => bail!(
                    "another program, a dashboard or another replay, has held the messages of {} unacked for {} s: run this again when it has ended",
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
                    // Only the channel has ended. The connection still holds the exclusive queue.
                    reader.close().await;
                    return Ok(Found::Absent);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
