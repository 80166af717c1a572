//! The queue with one message: the fetcher's memory. It has a single active consumer: the fetcher that holds the message polls,
//! and any other waits (<https://www.rabbitmq.com/docs/consumers#single-active-consumer>).
//!
//! Saving publishes the new memory with a confirm, receives it, and acks the old one. So the queue is never empty. A fetcher that
//! dies in between leaves two messages, and the next fetcher takes the newer one.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::{FieldTable, ShortString};

use super::publisher::BLOCKED;
use super::session::{Session, within};
use super::{Broker, BrokerError, Envelope, Outgoing, Part, Route, window};

/// How long a saved memory may take to come back to its holder.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);
const OPERATION: &str = "save the fetcher's memory";

/// A session that waits for the memory, or holds it. After any error, drop the session and open another. RabbitMQ then delivers the
/// memory to the fetcher that has waited longest.
pub struct MemoryQueue {
    broker: Broker,
    session: Session,
    deliveries: lapin::Consumer,
    /// The newest unacked message. Acking it acks all earlier ones.
    held: Option<u64>,
}

impl Broker {
    /// Opens a session that waits for the memory. Where nobody has one, `first` is the memory to begin with.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached, refuses access, or has the queue with other settings.
    pub async fn memory_queue(&self, first: &[u8]) -> Result<MemoryQueue, BrokerError> {
        let session = window::open(self, &[Part::Memory]).await?;
        let queue = self.names.memory();
        let depth = session.depth(&queue).await?;
        if depth.ready == 0 && depth.consumers == 0 {
            // Two fetchers may do so at once. The one that holds both messages acks the older.
            publish(self, &session, first).await?;
        }
        let subscribe = session.channel.basic_consume(
            queue.as_str().into(),
            ShortString::from(""),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = within("wait for the fetcher's memory", subscribe).await?;
        Ok(MemoryQueue { broker: self.clone(), session, deliveries, held: None })
    }
}

async fn publish(broker: &Broker, session: &Session, body: &[u8]) -> Result<(), BrokerError> {
    let message = Outgoing {
        route: Route::Queue(broker.names.memory()),
        body: body.to_vec(),
        envelope: Envelope::json(broker.program),
    };
    let lost = |reason: &str| BrokerError::Lost { operation: OPERATION, reason: reason.into() };
    let failed =
        match tokio::time::timeout(RETURN_TIMEOUT, window::publish(session, broker, &[&message])).await {
            Ok(confirmed) => confirmed?,
            Err(_) if session.connection.status().blocked() => return Err(lost(BLOCKED)),
            Err(_) => return Err(BrokerError::Timeout { operation: OPERATION, after: RETURN_TIMEOUT }),
        };
    if failed.is_empty() { Ok(()) } else { Err(lost("it was returned or refused")) }
}

impl MemoryQueue {
    /// Waits until this fetcher is the one that polls, and returns the memory: the next message of the queue. There may be more
    /// than one. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub async fn next(&mut self) -> Result<Vec<u8>, BrokerError> {
        match self.deliveries.next().await {
            Some(Ok(delivery)) => {
                self.held = Some(delivery.delivery_tag);
                Ok(delivery.data)
            }
            Some(Err(error)) => Err(BrokerError::from_lapin("wait for the fetcher's memory", &error)),
            None => Err(BrokerError::Cancelled { queue: self.broker.names.memory() }),
        }
    }

    /// A further message that has arrived already.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub fn next_arrived(&mut self) -> Result<Option<Vec<u8>>, BrokerError> {
        self.next().now_or_never().transpose()
    }

    /// Publishes `first` if no other fetcher waits and there is no memory, because the queue was purged.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer.
    pub async fn seed_if_alone(&self, first: &[u8]) -> Result<(), BrokerError> {
        let depth = self.session.depth(&self.broker.names.memory()).await?;
        if depth.ready == 0 && depth.consumers == 1 {
            publish(&self.broker, &self.session, first).await?;
        }
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        self.session.connection.status().blocked()
    }

    /// Checks that the session is alive, and with it the right to poll.
    ///
    /// # Errors
    /// [`BrokerError::Lost`] when connection or channel have ended.
    pub fn check(&self) -> Result<(), BrokerError> {
        self.session.check("hold the fetcher's memory")
    }

    /// Replaces the memory by `body`. False while RabbitMQ blocks publishers. A message published then may be stored
    /// later: it is delivered to this session, and the next save acks it.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not confirm it. The old memory then stays.
    pub async fn save(&mut self, body: &[u8]) -> Result<bool, BrokerError> {
        if self.is_blocked() {
            return Ok(false);
        }
        match publish(&self.broker, &self.session, body).await {
            Err(_) if self.is_blocked() => return Ok(false),
            published => published?,
        }
        let old = self.held;
        let receiving = async {
            while self.next().await? != body {}
            Ok(())
        };
        let timeout = BrokerError::Timeout { operation: OPERATION, after: RETURN_TIMEOUT };
        tokio::time::timeout(RETURN_TIMEOUT, receiving).await.unwrap_or(Err(timeout))?;
        // Messages of others may have come between the old one and ours.
        let before = self.held.map_or(0, |ours| ours.saturating_sub(1));
        if before > 0 && old.is_some() {
            let ack = self.session.channel.basic_ack(before, BasicAckOptions { multiple: true });
            within("ack", ack).await?;
        }
        Ok(true)
    }

    /// Ends the session: the memory is back in its queue, for the next fetcher.
    pub async fn close(self) {
        self.session.close().await;
    }
}
