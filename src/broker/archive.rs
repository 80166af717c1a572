//! Reads the archive stream. A stream keeps messages that were read: an ack only asks for more, and the reader remembers its own
//! offset (<https://www.rabbitmq.com/docs/streams#consuming>).

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::session::{Session, within};
use super::{Broker, BrokerError, Envelope, Part, Route, envelope};

/// Messages RabbitMQ may send ahead of our acks.
const PREFETCH: u16 = 512;
/// After so long without a message, the end of the stream is assumed. RabbitMQ does not announce it.
const QUIET: Duration = Duration::from_secs(1);
/// How long the first message may take. RabbitMQ updates the number of messages in a stream some seconds late, so a count of 0
/// does not prove that the stream is empty.
const FIRST_TIMEOUT: Duration = Duration::from_secs(5);
/// The last chunk of a busy stream grows while it is read. Stop reading after this time; any end seen by then will do.
const END_TIMEOUT: Duration = Duration::from_secs(10);
const READ: &str = "read the archive";

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveStart {
    /// The oldest message there is.
    First,
    /// The beginning of the last chunk.
    LastChunk,
    /// This message, or the oldest one if it has been removed.
    Offset(u64),
    /// The chunk that was being written at this time, so perhaps a second or so before.
    Time(DateTime<Utc>),
}

/// Offsets that RabbitMQ takes for entries of its own, which no reader gets: one at the beginning of each segment. Retention removes
/// whole segments of 100 MB, so it removes more messages at once than this.
pub const OWN_ENTRIES_MAX: u64 = 8;

/// A message of the archive.
pub struct Archived {
    /// Its number in the stream.
    pub offset: u64,
    /// Its number on this session.
    pub tag: u64,
    /// The bytes as published.
    pub body: Vec<u8>,
    /// The event's type, or [`Route::KIND_OTHER`]: the routing key that it has elsewhere.
    pub routing_key: String,
    /// Properties and headers, as they were published.
    pub envelope: Envelope,
}

/// A session that reads the archive. Any error means: drop it, and open another behind the last message taken.
pub struct ArchiveReader {
    session: Session,
    deliveries: lapin::Consumer,
    queue: String,
}

impl Broker {
    /// Opens a session that reads the archive from `start`.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached; [`BrokerError::ArchiveDown`] when it does not serve the stream.
    pub async fn read_archive(&self, start: ArchiveStart) -> Result<ArchiveReader, BrokerError> {
        let session =
            Session::open(self, "reading the archive", &[Part::Archive]).await.map_err(not_served)?;
        let queue = self.names.archive();
        let qos = session.channel.basic_qos(PREFETCH, BasicQosOptions::default());
        within("limit the prefetch", qos).await?;
        let mut arguments = FieldTable::default();
        arguments.insert(envelope::STREAM_OFFSET.into(), start.argument());
        let subscribe = session.channel.basic_consume(
            queue.as_str().into(),
            ShortString::from(""),
            BasicConsumeOptions::default(),
            arguments,
        );
        let deliveries = within(READ, subscribe).await.map_err(not_served)?;
        Ok(ArchiveReader { session, deliveries, queue })
    }

    /// The offset of the first message at or behind `start`. None if there is none (yet).
    ///
    /// # Errors
    /// As [`Self::read_archive`].
    pub async fn archive_offset(&self, start: ArchiveStart) -> Result<Option<u64>, BrokerError> {
        let mut reader = self.read_archive(start).await?;
        let first = reader.first(start).await?.map(|message| message.offset);
        reader.close().await;
        Ok(first)
    }

    /// The offset of the last message. None if the archive is empty.
    ///
    /// # Errors
    /// As [`Self::read_archive`].
    pub async fn archive_end(&self) -> Result<Option<u64>, BrokerError> {
        let mut reader = self.read_archive(ArchiveStart::LastChunk).await?;
        let Some(first) = reader.first(ArchiveStart::LastChunk).await? else {
            reader.close().await;
            return Ok(None);
        };
        reader.ack_through(first.tag).await?;
        let mut last = first.offset;
        let reading = async {
            while let Some(message) = reader.next_soon().await? {
                last = message.offset;
                reader.ack_through(message.tag).await?;
            }
            Ok::<_, BrokerError>(())
        };
        if let Ok(ended) = tokio::time::timeout(END_TIMEOUT, reading).await {
            ended?;
        }
        reader.close().await;
        Ok(Some(last))
    }
}

/// Turns errors of a stream that is lost, or not up yet, into [`BrokerError::ArchiveDown`]. RabbitMQ 3.10 refuses to declare
/// such a stream. RabbitMQ 4.3 refuses to read it and closes the connection (INTERNAL_ERROR).
pub(super) fn not_served(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::NotFound { reason, .. }
        | BrokerError::NoSuchQueue { reason, .. }
        | BrokerError::Lost { operation: READ, reason } => BrokerError::ArchiveDown { reason },
        BrokerError::Timeout { operation: READ, .. } => {
            BrokerError::ArchiveDown { reason: error.to_string() }
        }
        other => other,
    }
}

/// Messages are published straight to the stream. Older versions published them through the exchange, with their own key.
fn kind_of(routing_key: String, queue: &str, envelope: &Envelope) -> String {
    if routing_key != queue {
        return routing_key;
    }
    Route::key_of_kind(&envelope.kind().unwrap_or_default()).to_owned()
}

impl ArchiveStart {
    fn argument(self) -> AMQPValue {
        match self {
            Self::First => AMQPValue::LongString("first".into()),
            Self::LastChunk => AMQPValue::LongString("last".into()),
            Self::Offset(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
            Self::Time(time) => AMQPValue::Timestamp(u64::try_from(time.timestamp()).unwrap_or(0)),
        }
    }
}

impl ArchiveReader {
    /// The next message, whenever it comes. Safe to drop while waiting.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub async fn next(&mut self) -> Result<Archived, BrokerError> {
        match self.deliveries.next().await {
            Some(Ok(delivery)) => {
                let (offset, envelope) =
                    (envelope::offset_in(&delivery.properties), Envelope(delivery.properties));
                let routing_key = kind_of(delivery.routing_key.into(), &self.queue, &envelope);
                let (tag, body, envelope) = (delivery.delivery_tag, delivery.data, envelope.copied());
                Ok(Archived { offset, tag, body, routing_key, envelope })
            }
            Some(Err(error)) => Err(BrokerError::from_lapin(READ, &error)),
            None => Err(BrokerError::Cancelled { queue: self.queue.clone() }),
        }
    }

    /// The next message. None if none comes within a second.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub async fn next_soon(&mut self) -> Result<Option<Archived>, BrokerError> {
        match tokio::time::timeout(QUIET, self.next()).await {
            Ok(next) => next.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The first message of this session, which began at `start`. None if there is none. Silence alone does not prove that
    /// there is none: a replay would then skip a whole archive.
    async fn first(&mut self, start: ArchiveStart) -> Result<Option<Archived>, BrokerError> {
        let is_empty = self.session.depth(&self.queue).await?.ready == 0;
        match tokio::time::timeout(FIRST_TIMEOUT, self.next()).await {
            Ok(first) => first.map(Some),
            // Behind a time or an offset there may be nothing.
            Err(_) if is_empty || matches!(start, ArchiveStart::Time(_) | ArchiveStart::Offset(_)) => {
                Ok(None)
            }
            Err(_) => Err(BrokerError::Timeout { operation: READ, after: FIRST_TIMEOUT }),
        }
    }

    /// A message that has arrived already, without waiting.
    pub fn next_arrived(&mut self) -> Option<Result<Archived, BrokerError>> {
        self.next().now_or_never()
    }

    /// Acks up to `tag`, so that RabbitMQ sends as many messages more.
    ///
    /// # Errors
    /// [`BrokerError`] when the session has ended.
    pub async fn ack_through(&self, tag: u64) -> Result<(), BrokerError> {
        within("ack", self.session.channel.basic_ack(tag, BasicAckOptions { multiple: true })).await
    }

    /// Ends the session.
    pub async fn close(self) {
        self.session.close().await;
    }
}
