//! Asks RabbitMQ how many messages queues hold, and whether they exist. Declares nothing.

use super::session::Session;
use super::{Broker, BrokerError};

/// How many messages and consumers a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are not delivered to any consumer.
    pub ready: u32,
    pub consumers: u32,
}

/// A session that asks for the depths of queues.
pub struct DepthSession(Session);

impl Broker {
    /// Opens such a session.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached or refuses access.
    pub async fn depth_session(&self) -> Result<DepthSession, BrokerError> {
        Ok(DepthSession(Session::open(self, "looking at queues", &[]).await?))
    }
}

impl DepthSession {
    /// The number of messages and consumers that `queue` has now. After an error the session can be used again once [`Self::recover`] has succeeded.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] when the queue does not exist; another one when RabbitMQ does not answer, or cannot say.
    pub async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.0.depth(queue).await
    }

    /// Opens a new channel on the same connection. RabbitMQ closes a channel that asks for a queue which does not exist.
    ///
    /// # Errors
    /// [`BrokerError`] when the connection has ended, or RabbitMQ does not answer.
    pub async fn recover(&mut self) -> Result<(), BrokerError> {
        self.0.renew_channel().await
    }

    /// Ends the session.
    pub async fn close(self) {
        self.0.close().await;
    }
}
