//! Consumes the load queue. The caller acks each delivery after its work is done.

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio_util::sync::CancellationToken;

use super::session::{DELIVERY_TIMEOUT, Session, within};
use super::{Broker, BrokerError, Envelope, Part, copies, envelope};

/// A message from the load queue, not acked yet.
pub struct Delivery {
    /// Its number on this session, from 1 without holes.
    pub tag: u64,
    /// The bytes as published.
    pub body: Vec<u8>,
    /// Redeliveries: how often RabbitMQ has sent it before without an ack, because a consumer or its connection died. A copy
    /// that was handed back keeps the count.
    pub deliveries_before: u32,
    /// The routing key it came with.
    pub routing_key: String,
    /// Properties and headers.
    pub envelope: Envelope,
}

/// A session that consumes one queue. Any error means: drop it, and open another.
pub struct Consumer {
    session: Session,
    deliveries: lapin::Consumer,
    queue: String,
    /// One that is seldom used, if there is another node to go to: the last retry queue.
    quiet_queue: Option<String>,
}

impl Broker {
    /// Opens a session that consumes the load queue, with at most `prefetch` deliveries unacked. None: the program is to stop, and
    /// RabbitMQ has delivered nothing. Once it has been asked to deliver, the session opens even if the program is to stop, because
    /// deliveries that nobody sees count as redelivered.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached, refuses access, or has our queues with other settings.
    pub async fn consume(
        &self,
        prefetch: u16,
        shutdown: &CancellationToken,
    ) -> Result<Option<Consumer>, BrokerError> {
        let connecting = async {
            let session = Session::open(self, "consuming", &[Part::LoadQueue]).await?;
            let qos = session.channel.basic_qos(prefetch, BasicQosOptions::default());
            within("limit the prefetch", qos).await?;
            Ok::<_, BrokerError>(session)
        };
        let session = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            session = connecting => session?,
        };
        let queue = self.names.load().to_owned();
        let subscribe = session.channel.basic_consume(
            queue.as_str().into(),
            ShortString::from(""),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = within("consume", subscribe).await?;
        let quiet_queue = self.names.retries().last().filter(|_| self.nodes.count() > 1);
        Ok(Some(Consumer { session, deliveries, queue, quiet_queue: quiet_queue.map(|(name, _)| name) }))
    }
}

impl From<lapin::message::Delivery> for Delivery {
    fn from(delivery: lapin::message::Delivery) -> Self {
        Self {
            tag: delivery.delivery_tag,
            deliveries_before: deliveries_before(&delivery),
            body: delivery.data,
            routing_key: delivery.routing_key.into(),
            envelope: Envelope(delivery.properties),
        }
    }
}

/// Quorum queues count in a header (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
fn deliveries_before(delivery: &lapin::message::Delivery) -> u32 {
    let at_least = u32::from(delivery.redelivered);
    let of_this = envelope::count_in(&delivery.properties, envelope::DELIVERY_COUNT).max(at_least);
    of_this.saturating_add(envelope::count_in(&delivery.properties, copies::REDELIVERIES))
}

impl Consumer {
    /// `host:port` of the node that sends the deliveries.
    pub fn address(&self) -> &str {
        self.session.address()
    }

    /// The next delivery, whenever it comes. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended; nothing that is unacked is lost, RabbitMQ redelivers it.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        match self.deliveries.next().await {
            Some(Ok(delivery)) => Ok(delivery.into()),
            Some(Err(error)) => Err(BrokerError::from_lapin("consume", &error)),
            None => Err(BrokerError::Cancelled { queue: self.queue.clone() }),
        }
    }

    /// A delivery that has arrived already, without waiting.
    pub fn next_arrived(&mut self) -> Option<Result<Delivery, BrokerError>> {
        self.next().now_or_never()
    }

    /// Acks every delivery up to and including `tag`.
    ///
    /// # Errors
    /// [`BrokerError`] when the ack could not be sent; the deliveries will come again.
    pub async fn ack_through(&self, tag: u64) -> Result<(), BrokerError> {
        within("ack", self.session.channel.basic_ack(tag, BasicAckOptions { multiple: true })).await
    }

    /// Acks the one delivery `tag`.
    ///
    /// # Errors
    /// As [`Self::ack_through`].
    pub async fn ack(&self, tag: u64) -> Result<(), BrokerError> {
        within("ack", self.session.channel.basic_ack(tag, BasicAckOptions { multiple: false })).await
    }

    /// Messages ready in `queue` (not those unacked). 0 may also mean that the queue is slow to answer: see [`Self::get`] and
    /// [`Self::is_empty`].
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer, or the queue does not exist.
    pub async fn ready_in(&self, queue: &str) -> Result<u32, BrokerError> {
        Ok(self.session.depth_within(DELIVERY_TIMEOUT, queue).await?.ready)
    }

    /// Takes one ready message of the consumed queue, beyond the prefetch. None: the queue is empty.
    ///
    /// # Errors
    /// As [`Self::ready_in`].
    pub async fn get(&self) -> Result<Option<Delivery>, BrokerError> {
        let message = self.session.get(&self.queue).await?;
        Ok(message.map(|message| message.delivery.into()))
    }

    /// Whether no message of `queue` is ready.
    ///
    /// # Errors
    /// As [`Self::ready_in`].
    pub async fn is_empty(&self, queue: &str) -> Result<bool, BrokerError> {
        self.session.is_empty(queue).await
    }

    /// Checks that the session is alive, for callers that are not waiting for a delivery.
    ///
    /// # Errors
    /// [`BrokerError::Lost`] when connection or channel have ended.
    pub fn check(&self) -> Result<(), BrokerError> {
        self.session.check("consume")
    }

    /// Checks that the node reaches a majority of the cluster, for callers that get no deliveries. A node without one may keep its
    /// connections and deliver nothing: RabbitMQ 4.3 does so, and older ones with `cluster_partition_handling = ignore`.
    ///
    /// # Errors
    /// [`BrokerError`] when it does not, or the session has ended. Nothing where `--amqp-url` has one node: there is no other to go to.
    pub async fn check_majority(&self) -> Result<(), BrokerError> {
        match &self.quiet_queue {
            Some(queue) => self.session.check_majority(queue).await,
            None => Ok(()),
        }
    }

    /// Tells RabbitMQ to send no more. Deliveries that it sent before its answer have arrived: [`Self::next_arrived`] gives
    /// them, and they can still be acked.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer.
    pub async fn cancel(&self) -> Result<(), BrokerError> {
        let cancel = self.session.channel.basic_cancel(self.deliveries.tag(), BasicCancelOptions::default());
        within("cancel the consumer", cancel).await
    }

    /// Ends the session. RabbitMQ requeues its unacked deliveries.
    pub async fn close(self) {
        self.session.close().await;
    }
}
