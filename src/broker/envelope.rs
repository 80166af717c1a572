//! A message's properties: what the field calls them, and our own headers for failures.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::wire::UNREADABLE;

/// Headers that carry a failure's history; RabbitMQ rewrites its own (`x-death`) and the routing key on the way.
const REASON: &str = "x-etl-reason";
const ATTEMPTS: &str = "x-etl-attempts";
const FIRST_FAILED_AT: &str = "x-etl-first-failed-at";
const ORIGINAL_ROUTING_KEY: &str = "x-etl-original-routing-key";

/// The place in a trace where it was published (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: &str = "traceparent";

/// How often it was sent back from the dead letters.
const REDRIVES: &str = "x-etl-redrives";

/// How often RabbitMQ had sent a message before it was handed back as a copy, whose own count starts anew.
pub(super) const REDELIVERIES: &str = "x-etl-redeliveries";

/// Notes on a message that are true of that message only, not of a copy. All but one are RabbitMQ's own.
const OF_THE_ORIGINAL: [&str; 11] = [
    DELIVERY_COUNT,
    REDELIVERIES,
    STREAM_OFFSET,
    "x-death",
    FIRST_DEATH_REASON,
    "x-first-death-queue",
    "x-first-death-exchange",
    "x-last-death-reason",
    "x-last-death-queue",
    "x-last-death-exchange",
    "x-acquired-count",
];
const FIRST_DEATH_REASON: &str = "x-first-death-reason";

/// Copies to other queues (<https://www.rabbitmq.com/docs/sender-selected>), made when the original was published.
const CARBON_COPIES: [&str; 2] = ["CC", "BCC"];

/// A message's number in a stream.
pub(super) const STREAM_OFFSET: &str = "x-stream-offset";

/// How often RabbitMQ has sent a message before, in quorum queues.
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";

/// Long reasons are cut: a header table over 128 KiB closes the connection.
const REASON_BYTES_MAX: usize = 1024;

/// What came with a message as the time of its first failure is kept, if it is no longer than a time.
const TIME_BYTES_MAX: usize = 64;

/// Headers of others beyond this are left out of a failed message: with ours added they might not fit a frame any more.
const FOREIGN_HEADERS_BYTES_MAX: usize = 64 * 1024;

/// `delivery_mode` of messages that survive a restart of RabbitMQ.
const PERSISTENT: u8 = 2;

/// The properties and headers of a message.
#[derive(Clone, Debug)]
pub struct Envelope(pub(super) BasicProperties);

/// What a message carries about its failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why the last attempt failed.
    pub reason: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When the first one failed.
    pub first_failed_at: String,
    /// The routing key it was first published with (the event's type).
    pub original_routing_key: String,
}

impl Envelope {
    /// A persistent JSON message from `app_id`.
    pub fn json(app_id: &str) -> Self {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        if let Ok(app_id) = ShortString::try_new(app_id) {
            properties = properties.with_app_id(app_id);
        }
        Self(properties)
    }

    /// Adds what names an event: `message_id` = its id, `type`, `timestamp` = when it was created (AMQP: whole seconds).
    /// What does not fit an AMQP short string of 255 bytes is left out; the body has it.
    pub fn of_event(mut self, id: &str, kind: &str, created: DateTime<Utc>) -> Self {
        self = self.with_message_id(id).with_kind(kind);
        if let Ok(seconds) = u64::try_from(created.timestamp()) {
            self.0 = self.0.with_timestamp(seconds);
        }
        self
    }

    /// Sets the property `type`.
    pub fn with_kind(mut self, kind: &str) -> Self {
        if let Ok(kind) = ShortString::try_new(kind) {
            self.0 = self.0.with_type(kind);
        }
        self
    }

    /// Sets the id by which a returned message is told.
    pub fn with_message_id(mut self, id: &str) -> Self {
        if let Ok(id) = ShortString::try_new(id) {
            self.0 = self.0.with_message_id(id);
        }
        self
    }

    /// The message's id; empty when it has none.
    pub fn message_id(&self) -> &str {
        self.0.message_id().as_ref().map_or("", ShortString::as_str)
    }

    /// The event's type, if the message says it.
    pub fn kind(&self) -> Option<String> {
        self.0.kind().as_ref().map(ShortString::to_string)
    }

    /// Where in a trace it was published, if it says so and whatever that is.
    pub fn traceparent(&self) -> Option<&str> {
        self.str(TRACEPARENT)
    }

    /// Says where in a trace it is published.
    pub fn set_traceparent(&mut self, traceparent: &str) {
        let mut headers = self.0.headers().clone().unwrap_or_default();
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.into()));
        self.0 = std::mem::take(&mut self.0).with_headers(headers);
    }

    /// Failed attempts so far, 0 when the header is missing or is not a number: a hint by whoever sent it.
    pub fn attempts(&self) -> u32 {
        count_in(&self.0, ATTEMPTS)
    }

    /// When the first attempt failed, if one has.
    pub fn first_failed_at(&self) -> Option<String> {
        self.text(FIRST_FAILED_AT)
    }

    /// The routing key of the first publish, if the message has been through a retry queue.
    pub fn original_routing_key(&self) -> Option<String> {
        self.text(ORIGINAL_ROUTING_KEY)
    }

    /// Adds a failure's history; everything else stays as it was, but for what would make RabbitMQ refuse, expire or multiply
    /// the copy.
    pub fn with_failure(self, failure: &Failure) -> Self {
        self.of_ours().with_history(failure)
    }

    fn with_history(mut self, failure: &Failure) -> Self {
        let foreign = self.0.headers().as_ref().filter(|headers| fits(headers)).map(FieldTable::inner);
        // The counts of redeliveries are of this delivery; the copy starts anew, and it is readable.
        let is_of_original = |name: &str| [DELIVERY_COUNT, REDELIVERIES, UNREADABLE].contains(&name);
        let kept = foreign.into_iter().flatten().filter(|(name, _)| !is_of_original(name.as_str()));
        let mut headers: FieldTable =
            kept.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>().into();
        let reason = truncated(&failure.reason, REASON_BYTES_MAX);
        for (name, value) in [
            (REASON, reason),
            (FIRST_FAILED_AT, truncated(&failure.first_failed_at, TIME_BYTES_MAX)),
            (ORIGINAL_ROUTING_KEY, truncated(&failure.original_routing_key, 255)),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(i64::from(failure.attempts)));
        self.0 = self.0.with_headers(headers);
        self
    }

    /// Why it is a dead letter: what we wrote, that it cannot be read, or what RabbitMQ says where it dead-lettered the message on
    /// its own.
    pub fn reason(&self) -> Option<String> {
        let of_rabbitmq = || Some(format!("rabbitmq: {}", self.text(FIRST_DEATH_REASON)?));
        self.text(REASON).or_else(|| self.unreadable()).or_else(of_rabbitmq)
    }

    /// Why its routing key or properties could not be read as they came; nothing when they could. They have been made readable.
    pub fn unreadable(&self) -> Option<String> {
        Some(format!("unreadable: {}", self.str(UNREADABLE)?))
    }

    /// How often it was sent back from the dead letters; a hint, like [`Self::attempts`].
    pub fn redrives(&self) -> u32 {
        count_in(&self.0, REDRIVES)
    }

    /// The envelope of a copy that is published anew: without RabbitMQ's own notes on the original.
    pub fn copied(self) -> Self {
        self.without(&OF_THE_ORIGINAL).of_ours()
    }

    /// The envelope of the copy that takes a delivery's place in its queue: the same, with its routing key, which a publish to the
    /// queue replaces, and its count of redeliveries, which RabbitMQ would raise if the delivery itself went back. Nothing if
    /// there is no room for these headers.
    pub fn handed_back(self, routing_key: &str, redeliveries: u32) -> Option<Self> {
        let original_routing_key = self.original_routing_key().unwrap_or_else(|| routing_key.to_owned());
        let mut copy = self.copied();
        let mut headers = copy.0.headers().clone().unwrap_or_default();
        if !fits(&headers) {
            return None;
        }
        let routing_key = truncated(&original_routing_key, 255);
        headers.insert(ORIGINAL_ROUTING_KEY.into(), AMQPValue::LongString(routing_key.into()));
        if redeliveries > 0 {
            headers.insert(REDELIVERIES.into(), AMQPValue::LongLongInt(i64::from(redeliveries)));
        }
        copy.0 = copy.0.with_headers(headers);
        Some(copy)
    }

    /// The properties that we may publish again: not `user_id`, which RabbitMQ refuses unless it is our own, not `expiration`,
    /// which would let the copy vanish, and no orders for further copies.
    fn of_ours(self) -> Self {
        let Self(old) = self.without(&CARBON_COPIES);
        let mut new = BasicProperties::default();
        macro_rules! keep {
            ($($get:ident $set:ident),*) => {
                $(if let Some(value) = old.$get().clone() { new = new.$set(value); })*
            };
        }
        keep!(
            content_type with_content_type, content_encoding with_content_encoding, headers with_headers,
            delivery_mode with_delivery_mode, priority with_priority, correlation_id with_correlation_id,
            reply_to with_reply_to, message_id with_message_id, timestamp with_timestamp, kind with_type,
            app_id with_app_id, cluster_id with_cluster_id
        );
        Self(new)
    }

    /// The envelope of a dead letter that is sent back: all attempts before it, the redrive counted, the rest of its history
    /// as it was.
    pub fn redriven(self) -> Self {
        let redrives = self.redrives().saturating_add(1);
        let mut envelope = self.copied().without(&[REASON, ATTEMPTS, UNREADABLE]);
        let headers = envelope.0.headers().clone().unwrap_or_default();
        let mut headers = if fits(&headers) { headers } else { only_ours(headers) };
        headers.insert(REDRIVES.into(), AMQPValue::LongLongInt(i64::from(redrives)));
        envelope.0 = envelope.0.with_headers(headers);
        envelope
    }

    fn without(mut self, names: &[&str]) -> Self {
        if let Some(headers) = self.0.headers() {
            let kept = headers.inner().iter().filter(|(name, _)| !names.contains(&name.as_str()));
            let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            self.0 = self.0.with_headers(kept.into());
        }
        self
    }

    fn text(&self, name: &str) -> Option<String> {
        self.str(name).map(str::to_owned)
    }

    fn str(&self, name: &str) -> Option<&str> {
        match self.header(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    fn header(&self, name: &str) -> Option<&AMQPValue> {
        header(&self.0, name)
    }
}

pub(super) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref().map(FieldTable::inner)?.get(name)
}

/// A message's number in its stream.
pub(super) fn offset_in(properties: &BasicProperties) -> u64 {
    match header(properties, STREAM_OFFSET) {
        Some(AMQPValue::LongLongInt(offset)) => u64::try_from(*offset).unwrap_or(0),
        _ => 0,
    }
}

/// The number in a header, brought between 0 and the largest; 0 when it is missing or is not a whole number.
pub(super) fn count_in(properties: &BasicProperties, name: &str) -> u32 {
    let count = match header(properties, name) {
        Some(AMQPValue::ShortShortInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortShortUInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortUInt(n)) => i64::from(*n),
        Some(AMQPValue::LongInt(n)) => i64::from(*n),
        Some(AMQPValue::LongUInt(n)) => i64::from(*n),
        Some(AMQPValue::LongLongInt(n)) => *n,
        _ => 0,
    };
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// Whether there is room for our headers beside these.
fn fits(headers: &FieldTable) -> bool {
    // The debug form is never shorter than the encoded one.
    format!("{headers:?}").len() <= FOREIGN_HEADERS_BYTES_MAX
}

/// What the loader has written, as short as it writes it.
fn only_ours(headers: FieldTable) -> FieldTable {
    let is_ours = |name: &str| [FIRST_FAILED_AT, ORIGINAL_ROUTING_KEY].contains(&name);
    let ours = headers.inner().iter().filter(|(name, _)| is_ours(name.as_str()));
    let ours: FieldTable =
        ours.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>().into();
    if fits(&ours) { ours } else { FieldTable::default() }
}

fn truncated(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod property_tests;
