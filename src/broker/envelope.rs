//! A message's properties: what the field calls them, and our own headers for failures.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// Headers that carry a failure's history; RabbitMQ rewrites its own (`x-death`) and the routing key on the way.
const REASON: &str = "x-etl-reason";
const ATTEMPTS: &str = "x-etl-attempts";
const FIRST_FAILED_AT: &str = "x-etl-first-failed-at";
const ORIGINAL_ROUTING_KEY: &str = "x-etl-original-routing-key";

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
        self = self.with_message_id(id);
        if let Ok(kind) = ShortString::try_new(kind) {
            self.0 = self.0.with_type(kind);
        }
        if let Ok(seconds) = u64::try_from(created.timestamp()) {
            self.0 = self.0.with_timestamp(seconds);
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

    /// Adds a failure's history; everything else stays as it was.
    pub fn with_failure(mut self, failure: &Failure) -> Self {
        // The debug form is never shorter than the encoded one.
        let fits = |headers: &&FieldTable| format!("{headers:?}").len() <= FOREIGN_HEADERS_BYTES_MAX;
        let foreign = self.0.headers().as_ref().filter(fits).map(FieldTable::inner);
        // RabbitMQ's count of redeliveries is of this delivery; the copy starts anew.
        let kept = foreign.into_iter().flatten().filter(|(name, _)| name.as_str() != DELIVERY_COUNT);
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

    fn text(&self, name: &str) -> Option<String> {
        match self.header(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
            AMQPValue::ShortString(text) => Some(text.to_string()),
            _ => None,
        }
    }

    fn header(&self, name: &str) -> Option<&AMQPValue> {
        header(&self.0, name)
    }
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref().map(FieldTable::inner)?.get(name)
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

fn truncated(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(reason: &str, attempts: u32) -> Failure {
        Failure {
            reason: reason.into(),
            attempts,
            first_failed_at: "2026-01-01T00:00:00Z".into(),
            original_routing_key: "PushEvent".into(),
        }
    }

    #[test]
    fn a_failure_is_read_back_as_written_and_the_rest_stays() {
        let created = "2015-01-01T12:00:01Z".parse().unwrap();
        let envelope = Envelope::json("fetcher").of_event("42", "PushEvent", created);
        assert_eq!((envelope.attempts(), envelope.first_failed_at()), (0, None));
        let failed = envelope.with_failure(&failure("wrong-type", 3));
        assert_eq!(failed.message_id(), "42");
        assert_eq!(failed.attempts(), 3);
        assert_eq!(failed.first_failed_at().as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(failed.original_routing_key().as_deref(), Some("PushEvent"));
        assert_eq!(*failed.0.timestamp(), Some(1_420_113_601));
    }

    #[test]
    fn what_does_not_fit_a_short_string_is_left_out_and_long_reasons_are_cut_at_a_character() {
        let long = "é".repeat(2000);
        let envelope = Envelope::json("x").of_event(&long, &long, DateTime::UNIX_EPOCH);
        assert_eq!(envelope.message_id(), "");
        let failed = envelope.with_failure(&failure(&format!("x{long}"), 1));
        assert_eq!(failed.text(REASON).unwrap().len(), 1023);
    }

    #[test]
    fn headers_that_leave_no_room_for_ours_are_left_out() {
        let mut headers = FieldTable::default();
        headers.insert("x-huge".into(), AMQPValue::LongString("x".repeat(130_990).into()));
        let failed =
            Envelope(BasicProperties::default().with_headers(headers)).with_failure(&failure("bad", 1));
        assert_eq!((failed.attempts(), failed.header("x-huge")), (1, None));
    }

    #[test]
    fn hostile_attempts_headers_count_as_a_bounded_hint() {
        for (value, attempts) in [
            (AMQPValue::LongString("3".into()), 0),
            (AMQPValue::LongLongInt(-1), 0),
            (AMQPValue::LongLongInt(i64::MAX), u32::MAX),
            (AMQPValue::ShortShortUInt(7), 7),
            (AMQPValue::Void, 0),
        ] {
            let mut headers = FieldTable::default();
            headers.insert(ATTEMPTS.into(), value);
            let envelope = Envelope(BasicProperties::default().with_headers(headers));
            assert_eq!(envelope.attempts(), attempts);
        }
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod property_tests;
