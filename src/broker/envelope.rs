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

/// The place in a trace where it was published (<https://www.w3.org/TR/trace-context/>).
const TRACEPARENT: &str = "traceparent";

/// How often it was sent back from the dead letters.
const REDRIVES: &str = "x-etl-redrives";

/// RabbitMQ's own notes on a message: true of that message only, not of a copy.
const OF_RABBITMQ: [&str; 10] = [
    DELIVERY_COUNT,
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

    /// Why it is a dead letter: what we wrote, or what RabbitMQ says where it dead-lettered the message on its own.
    pub fn reason(&self) -> Option<String> {
        self.text(REASON).or_else(|| Some(format!("rabbitmq: {}", self.text(FIRST_DEATH_REASON)?)))
    }

    /// How often it was sent back from the dead letters; a hint, like [`Self::attempts`].
    pub fn redrives(&self) -> u32 {
        count_in(&self.0, REDRIVES)
    }

    /// The envelope of a copy that is published anew: without RabbitMQ's own notes on the original.
    pub fn copied(self) -> Self {
        self.without(&OF_RABBITMQ).of_ours()
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
        let mut envelope = self.copied().without(&[REASON, ATTEMPTS]);
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
    fn a_copy_is_neither_refused_nor_expires_nor_multiplies() {
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::Void);
        headers.insert("BCC".into(), AMQPValue::Void);
        headers.insert("x-own".into(), AMQPValue::Boolean(true));
        let foreign = BasicProperties::default()
            .with_user_id("somebody".into())
            .with_expiration("5000".into())
            .with_priority(3)
            .with_correlation_id("c".into())
            .with_headers(headers);
        for copy in [Envelope(foreign.clone()).with_failure(&failure("bad", 1)), Envelope(foreign).copied()] {
            assert_eq!((copy.0.user_id(), copy.0.expiration()), (&None, &None));
            assert_eq!((copy.0.priority(), copy.0.correlation_id()), (&Some(3), &Some("c".into())));
            assert!(
                copy.header("CC").is_none() && copy.header("BCC").is_none() && copy.header("x-own").is_some()
            );
        }
    }

    #[test]
    fn a_dead_letter_without_room_for_our_headers_is_sent_back_with_ours_alone() {
        let mut headers = FieldTable::default();
        headers.insert("x-huge".into(), AMQPValue::LongString("x".repeat(130_990).into()));
        headers.insert(FIRST_FAILED_AT.into(), AMQPValue::LongString("2026".into()));
        let again = Envelope(BasicProperties::default().with_headers(headers)).redriven();
        assert_eq!((again.redrives(), again.first_failed_at().as_deref()), (1, Some("2026")));
        assert!(again.header("x-huge").is_none());
    }

    #[test]
    fn a_dead_letter_sent_back_has_all_attempts_before_it_and_keeps_its_history() {
        let mut failed = Envelope::json("x").with_message_id("42").with_failure(&failure("wrong-type", 5));
        let mut headers = failed.0.headers().clone().unwrap();
        headers.insert("x-death".into(), AMQPValue::Void);
        headers.insert("traceparent".into(), AMQPValue::LongString("00-1".into()));
        failed.0 = failed.0.with_headers(headers);
        assert_eq!(failed.reason().as_deref(), Some("wrong-type"));
        let again = failed.redriven();
        assert_eq!((again.attempts(), again.redrives(), again.reason()), (0, 1, None));
        assert_eq!(again.first_failed_at().as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(again.original_routing_key().as_deref(), Some("PushEvent"));
        assert!(again.header("x-death").is_none() && again.header("traceparent").is_some());
        let dead_again = again.with_failure(&failure("not-json", 1)).redriven();
        assert_eq!((dead_again.redrives(), dead_again.message_id()), (2, "42"));
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
