//! Declares queues and exchanges, in parts. Each session declares only the parts that it needs, so that a broken part stops
//! only the programs that need it. Every program declares a part identically.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use super::session::{ANSWER_TIMEOUT, depth_on, within};
use super::{BrokerError, Names};

/// How often RabbitMQ may redeliver a message from the load queue before it dead-letters it on its own. Every crash of a
/// loader counts for all messages it held, so this is high: real failures are counted in `x-etl-attempts`.
const DELIVERY_LIMIT: i64 = 100;
/// For queues that people look into: looking counts as a delivery, and must not drop messages. RabbitMQ 4's default is 20.
const DELIVERY_LIMIT_NONE: i64 = 1_000_000_000;

/// How long the archive keeps events, and how many bytes at most, in segments of this size (the unit of deletion).
const ARCHIVE_AGE_MAX: &str = "7D";
/// The same age as a duration.
pub const ARCHIVE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const ARCHIVE_BYTES_MAX: i64 = 20_000_000_000;
const ARCHIVE_SEGMENT_BYTES: i64 = 100_000_000;

/// Objects in RabbitMQ that are needed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The topic exchange of events, and the queue of messages that no load queue took.
    Exchange,
    /// The load queue with its retry queues and dead letters, bound to the exchange.
    LoadQueue,
    /// The exchange by which a replay reaches the load queue alone; needs [`Part::LoadQueue`].
    Replay,
    /// The stream of all published events.
    Archive,
    /// The queue of gap records.
    Gaps,
    /// The queue that holds the fetcher's memory and decides which fetcher polls.
    Memory,
    /// The exchange on which programs publish their status.
    Status,
}

/// What [`declare`] gives.
pub(super) struct Declared {
    /// A channel that is open.
    pub(super) channel: Channel,
    /// The archive did not exist before.
    pub(super) archive_is_new: bool,
}

/// Declares `parts` in this order.
pub(super) async fn declare(
    connection: &Connection,
    names: &Names,
    parts: &[Part],
) -> Result<Declared, BrokerError> {
    let channel = open_channel(connection).await?;
    let mut declaring = Declaring { connection, names, channel, archive_is_new: false };
    for part in parts {
        declaring.declare(*part).await?;
    }
    Ok(Declared { channel: declaring.channel, archive_is_new: declaring.archive_is_new })
}

async fn open_channel(connection: &Connection) -> Result<Channel, BrokerError> {
    connection.create_channel().await.map_err(|error| BrokerError::from_lapin("open a channel", &error))
}

/// Older versions bound the archive to the exchange: then a broken archive can stop every publish, and a missing load queue
/// goes unnoticed. Unbinding a queue that is not bound, or does not exist, succeeds. RabbitMQ 3.10 refuses it for a
/// stream that is broken or not up yet. It routes no messages to such a stream, and the next program that declares it unbinds it. A
/// user without the right to write to the archive is refused, too.
pub(super) async fn unbind_archive(connection: &Connection, names: &Names) -> Result<(), BrokerError> {
    let (archive, exchange) = (names.archive(), names.exchange());
    // A channel of its own, because a refusal closes it.
    let channel = open_channel(connection).await?;
    let none = FieldTable::default();
    let unbind = channel.queue_unbind(archive.as_str().into(), exchange.into(), "#".into(), none);
    match within("unbind the archive", unbind).await {
        Ok(()) => {}
        Err(error @ (BrokerError::NoSuchQueue { .. } | BrokerError::NotFound { .. })) => {
            tracing::debug!("{error}")
        }
        Err(error) => {
            tracing::warn!("{archive} may still be bound to {exchange}, as older versions had it: {error}");
        }
    }
    Ok(())
}

struct Declaring<'a> {
    connection: &'a Connection,
    names: &'a Names,
    channel: Channel,
    archive_is_new: bool,
}

impl Declaring<'_> {
    async fn declare(&mut self, part: Part) -> Result<(), BrokerError> {
        let names = self.names;
        match part {
            Part::Exchange => self.declare_exchange().await,
            Part::LoadQueue => self.declare_load_queue().await,
            Part::Replay => {
                self.exchange(&names.replay(), ExchangeKind::Fanout, FieldTable::default()).await?;
                self.bind(names.load(), &names.replay(), "").await
            }
            Part::Archive => {
                self.archive_is_new = self.is_missing(&names.archive()).await?;
                self.queue(&names.archive(), archive()).await?;
                unbind_archive(self.connection, names).await
            }
            Part::Gaps => self.kept(&names.gaps()).await,
            Part::Memory => self.queue(&names.memory(), memory()).await,
            Part::Status => self.exchange(&names.status(), ExchangeKind::Fanout, FieldTable::default()).await,
        }
    }

    /// The exchange, and behind it the queue of messages that no binding wanted: a confirmed event is never dropped.
    async fn declare_exchange(&self) -> Result<(), BrokerError> {
        let unrouted = self.names.unrouted();
        self.exchange(&unrouted, ExchangeKind::Fanout, FieldTable::default()).await?;
        self.queue(&unrouted, kept_until_taken()).await?;
        self.bind(&unrouted, &unrouted, "").await?;
        self.events_exchange().await?;
        unbind_archive(self.connection, self.names).await
    }

    /// Declares the exchange of events. Its alternate exchange may be declared later, by a publisher.
    async fn events_exchange(&self) -> Result<(), BrokerError> {
        let alternate = arguments([("alternate-exchange", text(&self.names.unrouted()))]);
        self.exchange(self.names.exchange(), ExchangeKind::Topic, alternate).await
    }

    async fn declare_load_queue(&mut self) -> Result<(), BrokerError> {
        let names = self.names;
        self.events_exchange().await?;
        self.kept(&names.dead()).await?;
        let mut load = dead_lettering_to(&names.dead());
        load.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        self.queue(names.load(), load).await?;
        for (name, delay_s) in names.retries() {
            let mut retry = dead_lettering_to(names.load());
            // One queue per delay: expiry acts only at a queue's head, so mixed delays would block each other.
            retry.insert("x-message-ttl".into(), AMQPValue::LongLongInt(i64::from(delay_s) * 1000));
            retry.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT_NONE));
            self.queue(&name, retry).await?;
        }
        self.bind(names.load(), names.exchange(), "#").await
    }

    /// Declares a queue whose messages stay until they are taken. Looking at them counts as a delivery. If an operator's policy
    /// sets a lower limit, they move to the queue of unrouted messages and are not dropped.
    async fn kept(&mut self, name: &str) -> Result<(), BrokerError> {
        let mut arguments = dead_lettering_to(&self.names.unrouted());
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT_NONE));
        match self.queue(name, arguments).await {
            Err(BrokerError::Mismatch { reason, .. }) if is_of_older_version(&reason) => {
                tracing::debug!("{name} was declared by an older version, without a dead-letter exchange");
                // RabbitMQ has closed the channel.
                self.channel = open_channel(self.connection).await?;
                self.queue(name, kept_until_taken()).await
            }
            declared => declared,
        }
    }

    async fn exchange(
        &self,
        name: &str,
        kind: ExchangeKind,
        arguments: FieldTable,
    ) -> Result<(), BrokerError> {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declared = self.channel.exchange_declare(name.into(), kind, options, arguments).await;
        declared.map_err(|error| BrokerError::declaring(&format!("exchange {name}"), &error))
    }

    /// Whether RabbitMQ says that it has no such queue.
    async fn is_missing(&self, name: &str) -> Result<bool, BrokerError> {
        // A channel of its own, because RabbitMQ closes it then.
        let channel = open_channel(self.connection).await?;
        let looked = depth_on(&channel, ANSWER_TIMEOUT, name).await;
        Ok(matches!(looked, Err(BrokerError::NoSuchQueue { .. })))
    }

    async fn queue(&self, name: &str, arguments: FieldTable) -> Result<(), BrokerError> {
        let declared =
            self.channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
        declared.map(drop).map_err(|error| BrokerError::declaring(&format!("queue {name}"), &error))
    }

    async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) -> Result<(), BrokerError> {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = self
            .channel
            .queue_bind(queue.into(), exchange.into(), routing_key.into(), options, arguments)
            .await;
        bound.map_err(|error| BrokerError::declaring(&format!("binding of {queue} to {exchange}"), &error))
    }
}

/// True for a mismatch that only says that a queue has no dead-letter exchange. RabbitMQ names the first argument that differs.
fn is_of_older_version(reason: &str) -> bool {
    reason.contains("x-dead-letter") && reason.contains("current is none")
        || reason.contains("x-overflow") && reason.contains("current is none")
}

fn kept_until_taken() -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT_NONE)),
    ])
}

fn memory() -> FieldTable {
    let mut arguments = kept_until_taken();
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments
}

/// A quorum queue that moves expired and rejected messages to the queue `target`, and keeps them until it has them.
/// At-least-once needs `reject-publish` (<https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering>).
fn dead_lettering_to(target: &str) -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(target)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ])
}

fn archive() -> FieldTable {
    arguments([
        ("x-queue-type", text("stream")),
        ("x-max-age", text(ARCHIVE_AGE_MAX)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(ARCHIVE_BYTES_MAX)),
        ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(ARCHIVE_SEGMENT_BYTES)),
    ])
}

fn arguments<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
