//! Taking messages from a queue one at a time: what is not acked in the end stands in the queue again.

use lapin::options::{BasicAckOptions, BasicGetOptions};

use super::session::{DELIVERY_TIMEOUT, Session, within, within_time};
use super::{Broker, BrokerError, Envelope};

/// A message in hand, not acked yet.
pub struct Taken {
    /// Its number on this session.
    pub tag: u64,
    /// The bytes as published.
    pub body: Vec<u8>,
    /// The routing key it came with.
    pub routing_key: String,
    /// Properties and headers.
    pub envelope: Envelope,
}

/// What a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Messages that nobody has in hand.
    pub ready: u32,
    pub consumers: u32,
}

/// A session that looks into queues and takes messages from them. Any error means: drop it, and open another; all that was in
/// hand is back in its queue then.
pub struct Taker(Session);

impl Broker {
    /// Opens such a session.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached, refuses access, or has our queues with other settings.
    pub async fn taker(&self) -> Result<Taker, BrokerError> {
        Ok(Taker(Session::open(self, "looking into queues", &[]).await?))
    }
}

impl Taker {
    /// What `queue` holds now.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer, or the queue does not exist.
    pub async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.0.depth(queue).await
    }

    /// The message at the head of `queue`, if there is one.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer.
    pub async fn take(&self, queue: &str) -> Result<Option<Taken>, BrokerError> {
        // Unlike a consumer, this is not bounded by a prefetch: whoever looks through a queue has all of it in hand at once.
        let get = self.0.channel.basic_get(queue.into(), BasicGetOptions { no_ack: false });
        Ok(within_time(DELIVERY_TIMEOUT, "take a message", get).await?.map(|message| Taken {
            tag: message.delivery.delivery_tag,
            body: message.delivery.data,
            routing_key: message.delivery.routing_key.into(),
            envelope: Envelope(message.delivery.properties),
        }))
    }

    /// Removes the message `tag` from its queue.
    ///
    /// # Errors
    /// [`BrokerError`] when the ack could not be sent; the message stays.
    pub async fn ack(&self, tag: u64) -> Result<(), BrokerError> {
        within("ack", self.0.channel.basic_ack(tag, BasicAckOptions { multiple: false })).await
    }

    /// Ends the session; what is in hand stands in its queue again.
    pub async fn close(self) {
        self.0.close().await;
    }
}
