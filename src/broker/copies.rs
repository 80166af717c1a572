//! The envelopes of copies: which properties and headers of a message may be published again.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::Envelope;
use super::envelope::{DELIVERY_COUNT, STREAM_OFFSET};
use super::failure::ORIGINAL_ROUTING_KEY;

/// The redeliveries of a message before it was handed back as a copy. RabbitMQ's own count of the copy starts at 0.
pub(super) const REDELIVERIES: &str = "x-etl-redeliveries";

/// Headers that are true of the original only, not of a copy. All but one are RabbitMQ's own.
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
pub(super) const FIRST_DEATH_REASON: &str = "x-first-death-reason";

/// Copies to other queues (<https://www.rabbitmq.com/docs/sender-selected>), made when the original was published.
const CARBON_COPIES: [&str; 2] = ["CC", "BCC"];

/// If foreign headers are larger, they are left out of a copy: together with ours they might not fit a frame.
const FOREIGN_HEADERS_BYTES_MAX: usize = 64 * 1024;

impl Envelope {
    /// The envelope of a copy that is published again: without RabbitMQ's own notes on the original.
    pub fn copied(self) -> Self {
        self.without(&OF_THE_ORIGINAL).of_ours()
    }

    /// The envelope of a copy that is handed back to the load queue. It keeps the routing key, which a publish to the queue
    /// replaces, and the count of redeliveries, which RabbitMQ would raise if the delivery itself went back. None if there
    /// is no room for these headers.
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

    /// The properties that may be published again. Left out are `user_id`, which RabbitMQ refuses unless it is our own;
    /// `expiration`, which would delete the copy; and `CC` and `BCC`, which would make further copies.
    pub(super) fn of_ours(self) -> Self {
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

    pub(super) fn without(mut self, names: &[&str]) -> Self {
        if let Some(headers) = self.0.headers() {
            let kept = headers.inner().iter().filter(|(name, _)| !names.contains(&name.as_str()));
            let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
            self.0 = self.0.with_headers(kept.into());
        }
        self
    }
}

/// Whether there is room for our headers beside these.
pub(super) fn fits(headers: &FieldTable) -> bool {
    // The debug form is never shorter than the encoded one.
    format!("{headers:?}").len() <= FOREIGN_HEADERS_BYTES_MAX
}

pub(super) fn truncated(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
