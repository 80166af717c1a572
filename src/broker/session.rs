//! Opens a connection with a channel. Each step has a timeout.

use std::future::Future;
use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, LongString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, ConnectionProperties};

use super::error::{BrokerError, DECLARE};
use super::nodes::{self, NodeInUse};
use super::topology::Declared;
use super::wire::OwnedConnection;
use super::{Broker, Depth, Part, topology, wire};
use crate::config::{AmqpNode, UsageError};

/// How long a single answer from RabbitMQ may take. lapin itself has no timeout.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for answers that come with or after a delivery. For one message whose headers fill a frame with nested tables,
/// RabbitMQ needs more than 5 s.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Declaring a dozen quorum queues on a fresh node takes a second or two; a busy machine needs more.
const DECLARE_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where there is another node. A node without a majority does not answer. What is declared by then stays declared.
const DECLARE_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(10);
/// After twice this time of silence the connection is dropped.
const HEARTBEAT_S: u16 = 10;
/// The same where there is another node to go on with.
const HEARTBEAT_OF_SEVERAL_S: u16 = 5;
/// Limits of the URL's `heartbeat`. Without a heartbeat, a dead peer is never noticed.
const HEARTBEAT_RANGE_S: std::ops::RangeInclusive<u16> = 5..=60;

/// A parsed URL. Not `Debug`: lapin's would print the password.
#[derive(Clone)]
pub(super) struct Uri(AMQPUri);

impl Uri {
    /// A node's URL. `is_only` says that there is no other node.
    pub(super) fn parse(url: &AmqpNode, is_only: bool) -> Result<Self, UsageError> {
        // The parser's own reason may quote a part of the URL.
        let mut uri: AMQPUri = url.expose().parse().map_err(|_| {
            UsageError(
                "--amqp-url (AMQP_URL): its virtual host or an option after ? is wrong: it must look like amqp://user:password@host:5672/%2f"
                    .into(),
            )
        })?;
        let default_s = if is_only { HEARTBEAT_S } else { HEARTBEAT_OF_SEVERAL_S };
        let heartbeat_s = uri.query.heartbeat.unwrap_or(default_s);
        uri.query.heartbeat = Some(heartbeat_s.clamp(*HEARTBEAT_RANGE_S.start(), *HEARTBEAT_RANGE_S.end()));
        Ok(Self(uri))
    }

    pub(super) fn vhost(&self) -> &str {
        &self.0.vhost
    }

    pub(super) fn amqp(&self) -> &AMQPUri {
        &self.0
    }

    pub(super) fn has_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

/// A connection with one channel, on which the parts that its owner needs are declared. The connection ends when this is dropped.
pub(super) struct Session {
    pub(super) connection: OwnedConnection,
    pub(super) channel: Channel,
    /// The session has declared the archive, which did not exist before.
    pub(super) archive_is_new: bool,
    node: NodeInUse,
}

impl Session {
    /// Connects, opens a channel and declares `parts`. Tries each node once, beginning with the next one.
    pub(super) async fn open(
        broker: &Broker,
        purpose: &'static str,
        parts: &[Part],
    ) -> Result<Self, BrokerError> {
        let mut failures = Vec::new();
        for _ in 0..broker.nodes.count() {
            let mut node = broker.nodes.take(purpose);
            match Self::try_open(broker, &node, purpose, parts).await {
                Ok((connection, Declared { channel, archive_is_new })) => {
                    node.opened(&failures);
                    return Ok(Self { connection, channel, archive_is_new, node });
                }
                Err(error) if error.is_of_node() => failures.push(node.failed(error)),
                Err(error) => return Err(error),
            }
        }
        Err(nodes::none_of(failures).await)
    }

    async fn try_open(
        broker: &Broker,
        node: &NodeInUse,
        purpose: &str,
        parts: &[Part],
    ) -> Result<(OwnedConnection, Declared), BrokerError> {
        let name = LongString::from(format!("{} {purpose}", broker.program));
        let properties = ConnectionProperties::default().with_connection_name(name);
        let connect = wire::connect(node.uri().amqp().clone(), properties, node.tls().cloned());
        let connection = within("connect", connect).await?;
        let after = if broker.nodes.count() == 1 { DECLARE_TIMEOUT } else { DECLARE_TIMEOUT_OF_SEVERAL };
        let declare = topology::declare(&connection, &broker.names, parts);
        let timeout = BrokerError::Timeout { operation: DECLARE, after };
        let declared = tokio::time::timeout(after, declare).await.unwrap_or(Err(timeout))?;
        Ok((connection, declared))
    }

    /// `host:port` of the node that this session is with.
    pub(super) fn address(&self) -> &str {
        self.node.address()
    }

    /// Checks that the session is alive, for owners that are not waiting for an answer.
    pub(super) fn check(&self, operation: &'static str) -> Result<(), BrokerError> {
        let alive = self.connection.status().connected() && self.channel.status().connected();
        let lost = || BrokerError::Lost { operation, reason: "the connection has ended".into() };
        if alive { Ok(()) } else { Err(lost()) }
    }

    /// Replaces a channel that RabbitMQ has closed, or that gets no answer.
    pub(super) async fn renew_channel(&mut self) -> Result<(), BrokerError> {
        self.channel = within("open a channel", self.connection.create_channel()).await?;
        Ok(())
    }

    /// What `queue` holds now; an error when it does not exist. A `ready` of 0 is no proof that the queue is empty: RabbitMQ also
    /// answers 0 when the queue does not answer RabbitMQ within 250 ms (`stat/2` in its `rabbit_quorum_queue.erl`).
    /// [`Self::get`] and [`Self::is_empty`] ask the queue itself.
    pub(super) async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.depth_within(ANSWER_TIMEOUT, queue).await
    }

    /// The same, for sessions on which the answer may come behind deliveries.
    pub(super) async fn depth_within(&self, limit: Duration, queue: &str) -> Result<Depth, BrokerError> {
        depth_on(&self.channel, limit, queue).await
    }

    /// Takes one ready message of `queue`. None: the queue is empty.
    pub(super) async fn get(&self, queue: &str) -> Result<Option<BasicGetMessage>, BrokerError> {
        get_on(&self.channel, DELIVERY_TIMEOUT, queue).await
    }

    /// Whether no message of `queue` is ready. A message that is ready although the queue's depth is 0 is taken and given back;
    /// before 4.3 RabbitMQ counts that as a delivery.
    pub(super) async fn is_empty(&self, queue: &str) -> Result<bool, BrokerError> {
        if self.depth_within(DELIVERY_TIMEOUT, queue).await?.ready > 0 {
            return Ok(false);
        }
        self.look_into(DELIVERY_TIMEOUT, queue).await
    }

    /// Whether the node reaches a majority of the cluster: without one, `queue` does not answer. A message in it is taken and given back.
    pub(super) async fn check_majority(&self, queue: &str) -> Result<(), BrokerError> {
        self.look_into(ANSWER_TIMEOUT, queue).await.map(drop)
    }

    /// Whether `queue`, asked itself, has no message ready.
    async fn look_into(&self, limit: Duration, queue: &str) -> Result<bool, BrokerError> {
        // A channel of its own: the session's owner counts the delivery tags of the other.
        let channel = within("open a channel", self.connection.create_channel()).await?;
        let found = get_on(&channel, limit, queue).await?;
        if let Some(message) = &found {
            let give_back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            within("give a message back", channel.basic_nack(message.delivery.delivery_tag, give_back))
                .await?;
        }
        within("close a channel", channel.close(200, "done".into())).await?;
        Ok(found.is_none())
    }

    /// Closes the connection, if RabbitMQ answers in time. A blocked RabbitMQ does not answer; then the connection is dropped.
    pub(super) async fn close(mut self) {
        if self.connection.status().connected() {
            self.node.ended_well();
        }
        let goodbye = self.connection.close(200, "done".into());
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(2), goodbye).await {
            tracing::debug!("closing the connection to RabbitMQ: {error}");
        }
    }
}

/// What `queue` holds now, as RabbitMQ says. RabbitMQ closes the channel when there is no such queue.
pub(super) async fn depth_on(channel: &Channel, limit: Duration, queue: &str) -> Result<Depth, BrokerError> {
    let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let declare = channel.queue_declare(queue.into(), look, FieldTable::default());
    let found = within_time(limit, "look for a queue", declare).await?;
    Ok(Depth { ready: found.message_count(), consumers: found.consumer_count() })
}

async fn get_on(
    channel: &Channel,
    limit: Duration,
    queue: &str,
) -> Result<Option<BasicGetMessage>, BrokerError> {
    let get = channel.basic_get(queue.into(), BasicGetOptions::default());
    within_time(limit, "take a message", get).await
}

/// Waits for one answer from RabbitMQ, for [`ANSWER_TIMEOUT`] at most.
pub(super) async fn within<T>(
    operation: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    within_time(ANSWER_TIMEOUT, operation, answer).await
}

/// The same, for `limit` at most.
pub(super) async fn within_time<T>(
    limit: Duration,
    operation: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(result) => result.map_err(|error| BrokerError::from_lapin(operation, &error)),
        Err(_) => Err(BrokerError::Timeout { operation, after: limit }),
    }
}
