//! The headers that carry a message's history: its failures, and how often it was sent back from the dead letters.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldTable};

use super::Envelope;
use super::copies::{FIRST_DEATH_REASON, REDELIVERIES, fits, truncated};
use super::envelope::{DELIVERY_COUNT, count_in};
use super::wire::UNREADABLE;

/// The headers of a failure. RabbitMQ rewrites its own (`x-death`) and the routing key on the way.
pub(super) const REASON: &str = "x-etl-reason";
pub(super) const ATTEMPTS: &str = "x-etl-attempts";
pub(super) const FIRST_FAILED_AT: &str = "x-etl-first-failed-at";
pub(super) const ORIGINAL_ROUTING_KEY: &str = "x-etl-original-routing-key";

/// How often the message was sent back from the dead letters.
const REDRIVES: &str = "x-etl-redrives";

/// Long reasons are cut: a header table over 128 KiB closes the connection.
const REASON_BYTES_MAX: usize = 1024;

/// The time of the first failure is cut to this: anyone may have written it.
const TIME_BYTES_MAX: usize = 64;

/// A failure, as the headers carry it.
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
    /// Failed attempts so far; 0 if the header is missing or not a number. A publisher can forge it.
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

    /// Adds the headers of a failure. Everything else stays, except properties with which RabbitMQ would refuse, expire or
    /// multiply the copy.
    pub fn with_failure(self, failure: &Failure) -> Self {
        self.of_ours().with_history(failure)
    }

    fn with_history(mut self, failure: &Failure) -> Self {
        let foreign = self.0.headers().as_ref().filter(|headers| fits(headers)).map(FieldTable::inner);
        // The counts of redeliveries belong to this delivery. The copy starts at 0, and it is readable.
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

    /// Why the message is a dead letter: our reason, or that it is unreadable, or RabbitMQ's reason if RabbitMQ dead-lettered it.
    pub fn reason(&self) -> Option<String> {
        let of_rabbitmq = || Some(format!("rabbitmq: {}", self.text(FIRST_DEATH_REASON)?));
        self.text(REASON).or_else(|| self.unreadable()).or_else(of_rabbitmq)
    }

    /// How often the message was sent back from the dead letters. A hint, like [`Self::attempts`].
    pub fn redrives(&self) -> u32 {
        count_in(&self.0, REDRIVES)
    }

    /// The envelope of a dead letter that is sent back. It has zero attempts and one redrive more; the rest of its history stays.
    pub fn redriven(self) -> Self {
        let redrives = self.redrives().saturating_add(1);
        let mut envelope = self.copied().without(&[REASON, ATTEMPTS, UNREADABLE]);
        let headers = envelope.0.headers().clone().unwrap_or_default();
        let mut headers = if fits(&headers) { headers } else { only_ours(headers) };
        headers.insert(REDRIVES.into(), AMQPValue::LongLongInt(i64::from(redrives)));
        envelope.0 = envelope.0.with_headers(headers);
        envelope
    }
}

/// The loader's own headers, if they are as short as the loader writes them.
fn only_ours(headers: FieldTable) -> FieldTable {
    let is_ours = |name: &str| [FIRST_FAILED_AT, ORIGINAL_ROUTING_KEY].contains(&name);
    let ours = headers.inner().iter().filter(|(name, _)| is_ours(name.as_str()));
    let ours: FieldTable =
        ours.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>().into();
    if fits(&ours) { ours } else { FieldTable::default() }
}
