//! The status exchange: programs publish their status, dashboards listen. Nothing is stored or confirmed.

use futures_util::StreamExt as _;
use lapin::BasicProperties;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::session::{Session, within};
use super::{Broker, BrokerError, Part};

const TELL: &str = "tell status";
/// `delivery_mode` of messages that do not survive a restart of RabbitMQ.
const TRANSIENT: u8 = 1;
/// Messages that may wait for a slow listener. Beyond this the oldest are dropped: a newer status replaces them.
const WAITING_MAX: i64 = 1000;
const WAITING_BYTES_MAX: i64 = 16 * 1024 * 1024;
/// Larger messages are not a status of ours.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The kinds of messages on the status exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A program's status: any message without another type.
    Program,
    /// Sources of a fetcher.
    Sources,
}

/// The message property `type` of messages about sources.
const SOURCES: &str = "sources";

/// Publishes statuses over a connection of its own, opened when needed and dropped when it breaks.
pub struct StatusSender {
    broker: Broker,
    session: Option<Session>,
}

/// Receives the status of every program.
pub struct StatusListener {
    session: Session,
    deliveries: lapin::Consumer,
}

impl Broker {
    /// A sender that is not connected yet.
    pub fn status_sender(&self) -> StatusSender {
        StatusSender { broker: self.clone(), session: None }
    }

    /// Listens from now on, on a queue that ends with the session.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached, refuses access, or has our queues with other settings.
    pub async fn listen_to_status(&self) -> Result<StatusListener, BrokerError> {
        let session = Session::open(self, "listening to status", &[Part::Status]).await?;
        let channel = &session.channel;
        let options =
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(WAITING_MAX));
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(WAITING_BYTES_MAX));
        let declare = channel.queue_declare(ShortString::from(""), options, arguments);
        let queue = within("declare a queue for status", declare).await?.name().clone();
        let bind = channel.queue_bind(
            queue.clone(),
            self.names.status().as_str().into(),
            ShortString::from(""),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        within("bind a queue for status", bind).await?;
        let subscribe = channel.basic_consume(
            queue,
            ShortString::from(""),
            BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() },
            FieldTable::default(),
        );
        let deliveries = within("listen to status", subscribe).await?;
        Ok(StatusListener { session, deliveries })
    }
}

impl StatusSender {
    /// The name of this program.
    pub fn program(&self) -> &'static str {
        self.broker.program
    }

    /// Publishes a message of this kind, without a confirm: the next one replaces it.
    ///
    /// # Errors
    /// [`BrokerError`] when it could not be sent in time; the session is dropped then.
    pub async fn send(&mut self, kind: Told, body: &[u8]) -> Result<(), BrokerError> {
        let (session, is_new) = match self.session.take() {
            Some(session) => (session, false),
            None => (Session::open(&self.broker, "telling status", &[Part::Status]).await?, true),
        };
        let mut properties = BasicProperties::default()
            .with_delivery_mode(TRANSIENT)
            .with_content_type("application/json".into())
            .with_app_id(self.broker.program.into());
        if kind == Told::Sources {
            properties = properties.with_type(SOURCES.into());
        }
        let exchange = self.broker.names.status();
        let publish = session.channel.basic_publish(
            exchange.as_str().into(),
            ShortString::from(""),
            BasicPublishOptions::default(),
            body,
            properties,
        );
        within(TELL, publish).await?;
        if is_new {
            // RabbitMQ answers requests in order: without the right to publish, it answers this one with the refusal.
            within(TELL, session.channel.basic_qos(1, BasicQosOptions::default())).await?;
        }
        if session.connection.status().connected() && session.channel.status().connected() {
            self.session = Some(session);
            return Ok(());
        }
        Err(BrokerError::Lost { operation: TELL, reason: "the connection has ended".into() })
    }

    /// Ends the session.
    pub async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }
}

impl StatusListener {
    /// The next message of any program, with its kind. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub async fn next(&mut self) -> Result<(Told, Vec<u8>), BrokerError> {
        loop {
            match self.deliveries.next().await {
                Some(Ok(delivery)) if delivery.data.len() <= BODY_BYTES_MAX => {
                    let message_type = delivery.properties.kind().as_ref().map(ShortString::as_str);
                    let is_of_sources = message_type == Some(SOURCES);
                    return Ok((if is_of_sources { Told::Sources } else { Told::Program }, delivery.data));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(BrokerError::from_lapin("listen to status", &error)),
                None => return Err(BrokerError::Cancelled { queue: "status".into() }),
            }
        }
    }

    /// Ends the session, and with it the queue.
    pub async fn close(self) {
        self.session.close().await;
    }
}
