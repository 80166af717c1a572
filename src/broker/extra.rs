//! Publishes to an extra, such as the archive: one attempt, bounded in time.

use std::time::Duration;

use super::batch::PublishBatch;
use super::session::Session;
use super::{Broker, BrokerError, Outgoing, Part, TooLarge, window};

/// How long one attempt may take, from connecting to the last confirm of a window.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes with confirms over a connection of its own. Unlike [`super::Publisher`], it does not retry: its owner decides.
pub struct ExtraPublisher {
    broker: Broker,
    /// Declared when a session is opened.
    parts: &'static [Part],
    session: Option<Session>,
    /// True if a session has declared the archive again since [`ExtraPublisher::has_renewed_archive`] was asked.
    archive_is_new: bool,
}

impl Broker {
    /// A publisher to `parts` that is not connected yet.
    pub fn extra_publisher(&self, parts: &'static [Part]) -> ExtraPublisher {
        ExtraPublisher { broker: self.clone(), parts, session: None, archive_is_new: false }
    }
}

impl ExtraPublisher {
    /// Publishes `messages` and returns when all are confirmed, but for those given back: RabbitMQ finds them too large. After
    /// an error some may be stored.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not take them, or not within 5 s a window. The next attempt opens another session.
    pub async fn publish<'a>(&mut self, messages: &'a [Outgoing]) -> Result<Vec<TooLarge<'a>>, BrokerError> {
        let mut batch = PublishBatch::new(messages);
        loop {
            let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, self.publish_window(&mut batch));
            let timeout = BrokerError::Timeout { operation: "publish", after: ATTEMPT_TIMEOUT };
            match attempt.await.unwrap_or(Err(timeout)) {
                Ok(true) => {}
                Ok(false) => return Ok(batch.into_too_large()),
                Err(BrokerError::TooLarge { reason }) => batch.narrow(reason),
                Err(error) => return Err(error),
            }
        }
    }

    /// False when there was nothing left to publish. Keeps the session only after a success.
    async fn publish_window(&mut self, batch: &mut PublishBatch<'_>) -> Result<bool, BrokerError> {
        let mut session = match self.session.take() {
            Some(session) if session.connection.status().connected() => session,
            _ => window::open(&self.broker, self.parts).await?,
        };
        self.archive_is_new |= std::mem::take(&mut session.archive_is_new);
        let next = batch.window();
        let is_more = !next.is_empty();
        if is_more {
            let failed = window::publish(&session, &self.broker, next).await?;
            if let Some(first) = failed.first() {
                let reason = format!("{} messages were returned or refused", failed.len());
                tracing::debug!("{reason}, the first for {:?}", first.route);
                return Err(BrokerError::Lost { operation: "publish", reason });
            }
            batch.settle(Vec::new());
        }
        self.session = Some(session);
        Ok(is_more)
    }

    /// Whether the archive did not exist and was declared, since this was asked last.
    pub fn has_renewed_archive(&mut self) -> bool {
        std::mem::take(&mut self.archive_is_new)
    }

    /// Ends the session, if there is one.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}
