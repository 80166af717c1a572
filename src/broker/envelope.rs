//! The properties of a message: how they are set and read. `failure` has the headers of failures, `copies` the envelopes of
//! copies.

use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::wire::UNREADABLE;

/// The place in a trace where it was published (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: &str = "traceparent";

/// A message's number in a stream.
pub(super) const STREAM_OFFSET: &str = "x-stream-offset";

/// RabbitMQ's header with the redeliveries from a quorum queue.
pub(super) const DELIVERY_COUNT: &str = "x-delivery-count";

/// `delivery_mode` of messages that survive a restart of RabbitMQ.
const PERSISTENT: u8 = 2;

/// The properties and headers of a message.
#[derive(Clone, Debug)]
pub struct Envelope(pub(super) BasicProperties);

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

    /// Adds the properties of an event: `message_id` = its id, `type`, `timestamp` = when it was created (AMQP: whole seconds).
    /// A property that does not fit an AMQP short string of 255 bytes is left out; the body has it.
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

    /// Sets the message's id, which identifies a returned message.
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

    /// The header `traceparent`, unchecked.
    pub fn traceparent(&self) -> Option<&str> {
        self.str(TRACEPARENT)
    }

    /// Sets the header `traceparent`.
    pub fn set_traceparent(&mut self, traceparent: &str) {
        let mut headers = self.0.headers().clone().unwrap_or_default();
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.into()));
        self.0 = std::mem::take(&mut self.0).with_headers(headers);
    }

    /// Why the routing key or a property was unreadable before `wire` repaired it. None if all were readable.
    pub fn unreadable(&self) -> Option<String> {
        Some(format!("unreadable: {}", self.str(UNREADABLE)?))
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.str(name).map(str::to_owned)
    }

    pub(super) fn str(&self, name: &str) -> Option<&str> {
        match self.header(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&AMQPValue> {
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

#[cfg(test)]
mod tests;

#[cfg(test)]
mod property_tests;
