//! Publishes with confirms, and retries until every message is confirmed.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::batch::{PublishBatch, TooLarge};
use super::session::Session;
use super::{Broker, BrokerError, Outgoing, Part, topology, window};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// How long a confirm may take while RabbitMQ does not block this connection. Quorum queues flush to disk before they confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a publish in flight may take to end after the signal to stop.
const GOODBYE: Duration = Duration::from_secs(3);

/// How often the archive is unbound from the exchange while programs of an older version may bind it.
const UNBIND_EVERY: Duration = Duration::from_secs(10);

/// Why nothing is confirmed while RabbitMQ has an alarm.
pub(super) const BLOCKED: &str = "it blocks publishing because it is low on memory or disk";

/// Why publishing ended before everything was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The program is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The first session could not be opened, for a reason that waiting cannot change.
    #[error(transparent)]
    Hopeless(BrokerError),
}

/// Why an attempt to publish ended before its last confirm.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    /// The program is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The session could not be opened, or has ended, or RabbitMQ refused something.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Publishes with confirms over a connection of its own, which it opens when needed and rebuilds whenever it breaks.
pub struct Publisher {
    broker: Broker,
    /// Declared when a session is opened.
    parts: &'static [Part],
    session: Option<Session>,
    dependency: Dependency,
    /// Said with every fault.
    remedy: &'static str,
    /// A session was open once. From then on no fault is final, because the settings are known to be good.
    was_open: bool,
    /// When the archive's binding was last removed.
    unbound: Instant,
}

impl Broker {
    /// A publisher to `parts` that is not connected yet.
    ///
    /// With `eager`, the program is not ready until the publisher is connected. Without, only an error in use makes it not ready.
    pub fn publisher(&self, parts: &'static [Part], health: &Health, eager: bool) -> Publisher {
        let dependency = health.dependency(format!("RabbitMQ at {} (publishing)", self.address));
        if !eager {
            dependency.up();
        }
        Publisher::new(self, parts, dependency, "", !eager)
    }

    /// A publisher to the archive, for those who cannot do without it. The program is not ready until it is connected.
    pub fn archive_publisher(&self, health: &Health) -> Publisher {
        let name = format!("the archive {} in RabbitMQ at {}", self.names.archive(), self.address);
        let remedy = "; if RabbitMQ is up and this lasts, `replay archive --reset` declares the stream again";
        Publisher::new(self, &[Part::Archive], health.dependency(name), remedy, false)
    }
}

impl Publisher {
    fn new(
        broker: &Broker,
        parts: &'static [Part],
        dependency: Dependency,
        remedy: &'static str,
        was_open: bool,
    ) -> Self {
        Self {
            broker: broker.clone(),
            parts,
            session: None,
            dependency,
            remedy,
            was_open,
            unbound: Instant::now(),
        }
    }

    /// Connects and declares missing queues and exchanges. Waits for RabbitMQ without limit.
    ///
    /// # Errors
    /// As [`Self::publish_all`].
    pub async fn open(&mut self, shutdown: &CancellationToken) -> Result<(), PublishError> {
        self.publish_all(&[], shutdown).await.map(drop)
    }

    /// Declares the load queue again if it is gone. Without it, events become unrouted, or go to the other load queues only. False if
    /// RabbitMQ said that the queue did not exist.
    ///
    /// # Errors
    /// As [`Self::publish_all`].
    pub async fn look_for_load_queue(&mut self, shutdown: &CancellationToken) -> Result<bool, PublishError> {
        let mut existed = true;
        if let Some(session) = self.session.as_ref().filter(|session| !session.connection.status().blocked())
        {
            let looked = session.depth(self.broker.names.load()).await;
            if let Err(error) = looked {
                match error {
                    BrokerError::NoSuchQueue { .. } | BrokerError::NotFound { .. } => {
                        existed = false;
                        tracing::warn!("{error}; it is declared again")
                    }
                    error => self.dependency.away(error),
                }
                self.session = None;
            }
        }
        self.open(shutdown).await?;
        self.unbind_archive_again().await;
        Ok(existed)
    }

    /// Removes the archive's binding, which programs of an older version make at each of their connections.
    async fn unbind_archive_again(&mut self) {
        if self.unbound.elapsed() < UNBIND_EVERY {
            return;
        }
        self.unbound = Instant::now();
        if let Some(session) = &self.session
            && let Err(error) = topology::unbind_archive(&session.connection, &self.broker.names).await
        {
            tracing::debug!("{error}");
        }
    }

    /// Publishes `messages` and returns when RabbitMQ has confirmed them all. Gives the messages that RabbitMQ finds too large;
    /// the caller decides about those.
    ///
    /// If the connection breaks, RabbitMQ blocks, or a queue is missing, messages without a confirm are published again. So a
    /// message may be stored twice.
    ///
    /// # Errors
    /// [`PublishError`] when the program is to stop, or when the very first session is refused for good.
    pub async fn publish_all<'a>(
        &mut self,
        messages: &'a [Outgoing],
        shutdown: &CancellationToken,
    ) -> Result<Vec<TooLarge<'a>>, PublishError> {
        let mut batch = PublishBatch::new(messages);
        let mut backoff = Backoff::for_server();
        loop {
            match self.attempt(&mut batch, shutdown).await {
                Ok(()) => {
                    let (failed, all) = batch.failed();
                    if failed == 0 {
                        self.dependency.up();
                        return Ok(batch.into_too_large());
                    }
                    self.away(format!(
                        "{failed} of {all} messages were returned or refused (is a queue missing, full, or without its quorum?)"
                    ));
                    batch.again();
                }
                Err(AttemptError::Interrupted(interrupted)) => return Err(interrupted.into()),
                Err(AttemptError::Broker(BrokerError::TooLarge { reason })) => {
                    // RabbitMQ has closed the channel, and is well. The loop ends: each time fewer messages are left.
                    batch.narrow(reason);
                    self.close().await;
                    continue;
                }
                Err(AttemptError::Broker(error)) if error.waiting_cannot_help() && !self.was_open => {
                    return Err(PublishError::Hopeless(error));
                }
                Err(AttemptError::Broker(error)) => {
                    batch.fail();
                    self.away(error);
                }
            }
            // A new session declares everything again, also a queue that was deleted.
            self.session = None;
            backoff.pause(shutdown).await?;
        }
    }

    fn away(&self, reason: impl Display) {
        self.dependency.away(format!("{reason}{}", self.remedy));
    }

    /// Ends the session, if there is one.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Publishes the rest of a pass over the batch, window by window, on one session.
    async fn attempt(
        &mut self,
        batch: &mut PublishBatch<'_>,
        shutdown: &CancellationToken,
    ) -> Result<(), AttemptError> {
        let session = match self.session.take() {
            Some(session) if session.connection.status().connected() => session,
            _ => tokio::select! {
                opened = window::open(&self.broker, self.parts) => opened?,
                () = shutdown.cancelled() => return Err(Interrupted.into()),
            },
        };
        self.was_open = true;
        let session = self.session.insert(session);
        while !batch.window().is_empty() {
            let publishing = window::publish(session, &self.broker, batch.window());
            batch.settle(wait_for_confirms(session, &self.dependency, shutdown, publishing).await?);
        }
        Ok(())
    }
}

/// Waits for `publishing`, at most [`CONFIRM_TIMEOUT`]. While RabbitMQ blocks this connection there is no limit: a retry would
/// only publish everything again.
async fn wait_for_confirms<T>(
    session: &Session,
    dependency: &Dependency,
    shutdown: &CancellationToken,
    publishing: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, AttemptError> {
    tokio::pin!(publishing);
    let stopped = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::pin!(stopped);
    let mut waited = Duration::ZERO;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    look.tick().await;
    loop {
        tokio::select! {
            result = &mut publishing => return Ok(result?),
            () = &mut stopped => return Err(Interrupted.into()),
            _ = look.tick() => {}
        }
        if session.connection.status().blocked() {
            dependency.away(BLOCKED);
            waited = Duration::ZERO;
            continue;
        }
        waited += look.period();
        if waited >= CONFIRM_TIMEOUT {
            let operation = "wait for publisher confirms";
            return Err(BrokerError::Timeout { operation, after: CONFIRM_TIMEOUT }.into());
        }
    }
}
