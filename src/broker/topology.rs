//! What exists in RabbitMQ. Whoever connects declares all of it, identically, so that no message is published to
//! something that is not there yet.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::{BrokerError, Names};

/// How often RabbitMQ may redeliver a message from the load queue before it dead-letters it on its own. Every crash of a
/// loader counts for all messages it held, so this is high: real failures are counted in `x-etl-attempts`.
const DELIVERY_LIMIT: i64 = 100;
/// For queues that nothing consumes but `replay`, which looks and puts back: never drop. RabbitMQ 4 would at 20.
const DELIVERY_LIMIT_NONE: i64 = 1_000_000_000;

/// How long the archive keeps events, and how many bytes at most, in segments of this size (the unit of deletion).
const ARCHIVE_AGE_MAX: &str = "7D";
/// The same age as a duration.
pub const ARCHIVE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const ARCHIVE_BYTES_MAX: i64 = 20_000_000_000;
const ARCHIVE_SEGMENT_BYTES: i64 = 100_000_000;

/// Declares every exchange, queue and binding below the namespace, for the load queue in `names`.
pub(super) async fn declare(channel: &Channel, names: &Names) -> Result<(), BrokerError> {
    declare_unrouted(channel, names).await?;
    let alternate = arguments([("alternate-exchange", text(&names.unrouted()))]);
    exchange(channel, names.exchange(), ExchangeKind::Topic, alternate).await?;
    exchange(channel, &names.status(), ExchangeKind::Fanout, FieldTable::default()).await?;
    queue(channel, &names.gaps(), kept_until_taken()).await?;
    queue(channel, &names.archive(), archive()).await?;
    bind(channel, &names.archive(), names.exchange(), "#").await?;
    declare_load(channel, names).await
}

/// The load queue with its own dead letters and retry queues, and the exchange by which replay reaches it alone.
async fn declare_load(channel: &Channel, names: &Names) -> Result<(), BrokerError> {
    queue(channel, &names.dead(), kept_until_taken()).await?;
    let mut load = dead_lettering_to(&names.dead());
    load.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    queue(channel, names.load(), load).await?;
    for (name, delay_s) in names.retries() {
        let mut retry = dead_lettering_to(names.load());
        // One queue per delay: expiry acts only at a queue's head, so mixed delays would block each other.
        retry.insert("x-message-ttl".into(), AMQPValue::LongLongInt(i64::from(delay_s) * 1000));
        retry.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT_NONE));
        queue(channel, &name, retry).await?;
    }
    exchange(channel, &names.replay(), ExchangeKind::Fanout, FieldTable::default()).await?;
    bind(channel, names.load(), &names.replay(), "").await?;
    bind(channel, names.load(), names.exchange(), "#").await
}

/// What no queue wanted is kept here, so that a confirmed event is never dropped.
async fn declare_unrouted(channel: &Channel, names: &Names) -> Result<(), BrokerError> {
    let name = names.unrouted();
    exchange(channel, &name, ExchangeKind::Fanout, FieldTable::default()).await?;
    queue(channel, &name, kept_until_taken()).await?;
    bind(channel, &name, &name, "").await
}

fn kept_until_taken() -> FieldTable {
    arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT_NONE)),
    ])
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

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, arguments).await;
    declared.map_err(|error| BrokerError::declaring(&format!("exchange {name}"), &error))
}

async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), BrokerError> {
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
    declared.map(drop).map_err(|error| BrokerError::declaring(&format!("queue {name}"), &error))
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, routing_key: &str) -> Result<(), BrokerError> {
    let options = QueueBindOptions::default();
    let bound = channel
        .queue_bind(queue.into(), exchange.into(), routing_key.into(), options, FieldTable::default())
        .await;
    bound.map_err(|error| BrokerError::declaring(&format!("binding of {queue} to {exchange}"), &error))
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
