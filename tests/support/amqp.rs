//! RabbitMQ seen by a test: publish anything, look into queues. It shares no code with the program.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
    BasicQosOptions, BasicRejectOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use super::wait::{DEADLINE, block_on};

/// A connection with one channel.
pub struct Amqp {
    connection: Connection,
    pub channel: Channel,
}

/// A message as it stands in a queue.
#[derive(Debug)]
pub struct Message {
    pub body: Vec<u8>,
    pub routing_key: String,
    pub properties: BasicProperties,
    pub redelivered: bool,
}

impl Amqp {
    pub fn connect(url: &str) -> Self {
        Self::try_connect(url).unwrap_or_else(|error| panic!("connect to RabbitMQ: {error}"))
    }

    pub fn try_connect(url: &str) -> lapin::Result<Self> {
        block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        })
    }

    /// Publishes bodies and waits until all are confirmed.
    pub fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: &BasicProperties,
        bodies: &[Vec<u8>],
    ) {
        block_on(async {
            let mut confirms = Vec::with_capacity(bodies.len());
            for body in bodies {
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let publish = self.channel.basic_publish(
                    exchange.into(),
                    routing_key.into(),
                    options,
                    body,
                    properties.clone(),
                );
                confirms.push(publish.await.unwrap());
            }
            for confirm in confirms {
                assert!(confirm.await.unwrap().is_ack(), "RabbitMQ refused a message for {routing_key}");
            }
        });
    }

    /// Declares a durable queue.
    pub fn declare_queue(&self, queue: &str, arguments: &[(&str, AMQPValue)]) {
        let declare =
            self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table(arguments));
        block_on(declare).unwrap_or_else(|error| panic!("declare {queue}: {error}"));
    }

    /// Declares a durable topic exchange.
    pub fn declare_exchange(&self, exchange: &str, arguments: &[(&str, AMQPValue)]) {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let declare =
            self.channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, table(arguments));
        block_on(declare).unwrap();
    }

    pub fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        block_on(self.channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none)).unwrap();
    }

    pub fn unbind(&self, queue: &str, exchange: &str, key: &str) {
        let unbind =
            self.channel.queue_unbind(queue.into(), exchange.into(), key.into(), FieldTable::default());
        block_on(unbind).unwrap();
    }

    /// Deletes a queue with all that it holds.
    pub fn delete(&self, queue: &str) {
        block_on(self.channel.queue_delete(queue.into(), QueueDeleteOptions::default())).unwrap();
    }

    /// Messages ready in a queue.
    pub fn ready(&self, queue: &str) -> u32 {
        self.look_at(queue).message_count()
    }

    /// Consumers of a queue.
    pub fn consumers(&self, queue: &str) -> u32 {
        self.look_at(queue).consumer_count()
    }

    /// The first message of a queue that allows only consumers; it goes back when this connection ends.
    pub fn consume_one(&self, queue: &str) -> Message {
        let consuming = async {
            let options = BasicConsumeOptions::default();
            let mut deliveries =
                self.channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
            deliveries.next().await.unwrap()
        };
        let first = block_on(async { tokio::time::timeout(DEADLINE, consuming).await });
        Message::from(first.unwrap_or_else(|_| panic!("{queue} holds nothing")).unwrap())
    }

    /// Reads a stream from its first message on until `is_enough` of what was read.
    #[track_caller]
    pub fn read_stream(&self, queue: &str, is_enough: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        let mut messages = Vec::new();
        let reading = async {
            self.channel.basic_qos(100, BasicQosOptions::default()).await?;
            let mut arguments = FieldTable::default();
            arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
            let options = BasicConsumeOptions::default();
            let mut deliveries =
                self.channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
            while let Some(delivery) = deliveries.next().await {
                let delivery = delivery?;
                delivery.ack(BasicAckOptions::default()).await?;
                messages.push(Message::from(delivery));
                if is_enough(&messages) {
                    break;
                }
            }
            self.channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default()).await
        };
        match block_on(async { tokio::time::timeout(DEADLINE, reading).await }) {
            Ok(read) => read.unwrap(),
            Err(_) => panic!("not enough in {queue}: {} messages", messages.len()),
        }
        messages
    }

    fn look_at(&self, queue: &str) -> lapin::Queue {
        let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let declared = block_on(self.channel.queue_declare(queue.into(), look, FieldTable::default()));
        declared.unwrap_or_else(|error| panic!("look at {queue}: {error}"))
    }

    /// The first message, which stays in the queue until this connection ends: RabbitMQ may send it to others only then.
    pub fn peek(&self, queue: &str) -> Option<Message> {
        let got = block_on(self.channel.basic_get(queue.into(), BasicGetOptions::default())).unwrap()?;
        Some(got.delivery.into())
    }

    /// Puts the first message back as one that was rejected.
    pub fn reject_first(&self, queue: &str) {
        let got = block_on(self.channel.basic_get(queue.into(), BasicGetOptions::default())).unwrap();
        let Some(message) = got else { return };
        let requeue = BasicRejectOptions { requeue: true };
        block_on(self.channel.basic_reject(message.delivery.delivery_tag, requeue)).unwrap();
    }

    /// Takes the first `count` messages, many times faster than one by one.
    pub fn take(&self, queue: &str, count: usize) -> Vec<Message> {
        block_on(async {
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let mut consumer =
                self.channel.basic_consume(queue.into(), "".into(), options, arguments).await.unwrap();
            let mut taken = Vec::with_capacity(count);
            while taken.len() < count {
                let delivery = consumer.next().await.unwrap().unwrap();
                let tag = delivery.delivery_tag;
                taken.push(Message::from(delivery));
                // A quorum queue sends no more than 2,000 ahead of acks.
                if taken.len().is_multiple_of(500) || taken.len() == count {
                    self.channel.basic_ack(tag, BasicAckOptions { multiple: true }).await.unwrap();
                }
            }
            taken
        })
    }

    /// Takes all that a queue holds.
    pub fn take_all(&self, queue: &str) -> Vec<Message> {
        let taken: Vec<_> = std::iter::from_fn(|| self.peek(queue)).collect();
        if !taken.is_empty() {
            block_on(self.channel.basic_ack(0, BasicAckOptions { multiple: true })).unwrap();
        }
        taken
    }
}

impl From<Delivery> for Message {
    fn from(message: Delivery) -> Self {
        Self {
            body: message.data,
            routing_key: message.routing_key.to_string(),
            properties: message.properties,
            redelivered: message.redelivered,
        }
    }
}

impl Message {
    /// The property `type`.
    pub fn kind(&self) -> &str {
        self.properties.kind().as_ref().map_or("", |kind| kind.as_str())
    }

    /// The headers whose names begin with `x-etl-`, as text.
    pub fn failure(&self) -> BTreeMap<String, String> {
        let headers = self.properties.headers().clone().unwrap_or_default();
        let ours = headers.inner().iter().filter(|(name, _)| name.as_str().starts_with("x-etl-"));
        ours.map(|(name, value)| (name.to_string(), header_text(value))).collect()
    }

    pub fn header(&self, name: &str) -> String {
        self.failure().remove(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.properties))
    }
}

fn table(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), value.clone());
    }
    table
}

pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn header_text(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).unwrap(),
        AMQPValue::LongLongInt(number) => number.to_string(),
        other => panic!("not a type of ours: {other:?}"),
    }
}
