//! Takes messages from one queue, some at a time. Messages that are not acked go back to the queue. The reader consumes and
//! cancels: this is many times faster than `basic.get`, because a quorum queue writes to its log for every get.
//!
//! AMQP does not show unacked messages of another connection: for all others the queue is empty. So only one program reads a
//! queue at a time. It first declares an exclusive queue as a lock, which RabbitMQ deletes when the connection ends.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::session::{DELIVERY_TIMEOUT, Session, within};
use super::{Broker, BrokerError, Envelope};

/// The prefetch: few messages until it is known how large they are.
const AT_ONCE: std::ops::RangeInclusive<usize> = 16..=256;
/// Bytes in one prefetch, if all messages are as large as the largest so far.
const BYTES_AT_ONCE: usize = 8 * 1024 * 1024;
/// Acks that RabbitMQ may have to pass on to the queue at once. Beyond 32 a channel keeps them back, and loses them when it is
/// closed.
const ACKS_AT_ONCE: usize = 24;
/// A message that is ready comes within this time, unless a program that is not ours has taken it.
const QUIET: Duration = Duration::from_secs(5);

/// An unacked message.
#[derive(Debug)]
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

/// A session that takes messages from one queue. After any error, drop the session and open another. RabbitMQ requeues its unacked
/// messages.
pub struct QueueReader {
    session: Session,
    queue: String,
    /// The exclusive queue.
    lock: String,
    at_once: usize,
    /// Bytes of the largest message so far.
    largest: usize,
    /// Messages that this session has received. RabbitMQ numbers them from 1.
    received: u64,
    /// The number of unacked messages.
    unacked: usize,
    /// Those of them that [`Self::take`] has not returned yet.
    ahead: Vec<Taken>,
}

impl Broker {
    /// Opens a session that takes messages from `queue`. It declares nothing that lasts.
    ///
    /// # Errors
    /// [`BrokerError::InUse`] while another program reads the same queue; another one when RabbitMQ cannot be reached or refuses
    /// access.
    pub async fn read_queue(&self, queue: &str) -> Result<QueueReader, BrokerError> {
        let session = Session::open(self, "taking messages", &[]).await?;
        let lock = format!("{queue}.reader");
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        // Whatever kind of queue the virtual host makes by default: only classic ones can be exclusive.
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        let declare = session.channel.queue_declare(lock.as_str().into(), options, arguments);
        match within("take messages", declare).await {
            Ok(_) => {
                let (queue, at_once) = (queue.to_owned(), *AT_ONCE.start());
                Ok(QueueReader {
                    session,
                    queue,
                    lock,
                    at_once,
                    largest: 0,
                    received: 0,
                    unacked: 0,
                    ahead: Vec::new(),
                })
            }
            Err(error) => {
                session.close().await;
                Err(error)
            }
        }
    }
}

impl QueueReader {
    /// The number of messages that [`Self::take`] can still return. 0: the queue itself reports that it is empty.
    ///
    /// # Errors
    /// As [`super::DepthSession::depth`].
    pub async fn ready(&mut self) -> Result<u32, BrokerError> {
        let mut in_queue = self.session.depth(&self.queue).await?.ready;
        if in_queue == 0 && self.ahead.is_empty() {
            // The queue may only have been too slow to report its depth.
            self.wait_for_queue().await?;
            in_queue = self.session.depth(&self.queue).await?.ready;
        }
        Ok(in_queue.saturating_add(u32::try_from(self.ahead.len()).unwrap_or(u32::MAX)))
    }

    /// The messages at the head of the queue, `most` at most; none only when none is ready.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ does not answer, or the queue does not exist.
    pub async fn take(&mut self, most: usize) -> Result<Vec<Taken>, BrokerError> {
        const OPERATION: &str = "take messages";
        let ready = if self.ahead.is_empty() { self.ready().await? as usize } else { 0 };
        if !self.ahead.is_empty() {
            return Ok(self.ahead.drain(..most.min(self.ahead.len())).collect());
        }
        let Some(prefetch @ 1..) = u16::try_from(most.min(ready).min(self.at_once)).ok() else {
            return Ok(Vec::new());
        };
        let channel = &self.session.channel;
        // The prefetch is per consumer: messages that are already unacked do not count.
        within(OPERATION, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let subscribe = channel.basic_consume(
            self.queue.as_str().into(),
            ShortString::from(""),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = within(OPERATION, subscribe).await?;
        let mut deliveries = Vec::new();
        while deliveries.len() < usize::from(prefetch)
            && let patience = if deliveries.is_empty() { DELIVERY_TIMEOUT } else { QUIET }
            && let Ok(Some(delivery)) = tokio::time::timeout(patience, consumer.next()).await
        {
            deliveries.push(delivery);
        }
        let tag = consumer.tag();
        within(OPERATION, channel.basic_cancel(tag, BasicCancelOptions::default())).await?;
        while let Some(Some(delivery)) = consumer.next().now_or_never() {
            deliveries.push(delivery);
        }
        let from_lapin = |error| BrokerError::from_lapin(OPERATION, &error);
        let taken = deliveries
            .into_iter()
            .map(|delivery| Ok(self.received(delivery.map_err(from_lapin)?)))
            .collect::<Result<Vec<_>, BrokerError>>()?;
        self.at_once =
            (self.at_once * 2).min(*AT_ONCE.end()).min((BYTES_AT_ONCE / self.largest.max(1)).max(1));
        Ok(taken)
    }

    fn received(&mut self, delivery: Delivery) -> Taken {
        self.received += 1;
        self.unacked += 1;
        self.largest = self.largest.max(delivery.data.len());
        delivery.into()
    }

    /// Removes messages from the queue.
    ///
    /// # Errors
    /// [`BrokerError`] when an ack could not be sent; messages that are not acked stay.
    pub async fn ack(&mut self, tags: &[u64]) -> Result<(), BrokerError> {
        let Some(last) = tags.iter().max() else { return Ok(()) };
        // One ack for all of them, only if every unacked message is among `tags`.
        if tags.len() == self.unacked && self.received == *last {
            self.unacked = 0;
            return self.ack_one(*last, true).await;
        }
        for some in tags.chunks(ACKS_AT_ONCE) {
            for tag in some {
                self.ack_one(*tag, false).await?;
            }
            self.unacked = self.unacked.saturating_sub(some.len());
            self.wait_for_queue().await?;
        }
        Ok(())
    }

    async fn ack_one(&self, tag: u64, multiple: bool) -> Result<(), BrokerError> {
        within("ack", self.session.channel.basic_ack(tag, BasicAckOptions { multiple })).await
    }

    /// Waits until the queue has done all that we asked for so far: `basic.get` is answered in its turn. It may bring a message.
    async fn wait_for_queue(&mut self) -> Result<(), BrokerError> {
        if let Some(message) = self.session.get(&self.queue).await? {
            let taken = self.received(message.delivery);
            self.ahead.push(taken);
        }
        Ok(())
    }

    /// Requeues the unacked messages and ends the session. RabbitMQ counts that as a delivery of each, before 4.3; a session
    /// that only ended would count there, too (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
    pub async fn close(self) {
        if let Err(error) = self.give_back().await {
            // The end of the connection gives them back as well.
            tracing::debug!("giving back messages of {}: {error}", self.queue);
        }
        self.session.close().await;
    }

    async fn give_back(&self) -> Result<(), BrokerError> {
        let all = BasicNackOptions { multiple: true, requeue: true };
        within("give messages back", self.session.channel.basic_nack(0, all)).await?;
        // Its answer comes after RabbitMQ has taken the messages back.
        let delete =
            self.session.channel.queue_delete(self.lock.as_str().into(), QueueDeleteOptions::default());
        within("give messages back", delete).await.map(drop)
    }
}

impl From<Delivery> for Taken {
    fn from(delivery: Delivery) -> Self {
        Self {
            tag: delivery.delivery_tag,
            body: delivery.data,
            routing_key: delivery.routing_key.into(),
            envelope: Envelope(delivery.properties),
        }
    }
}
