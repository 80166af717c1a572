//! Chooses the messages of the archive that a replay publishes.

use super::feeder::Target;
use super::stream_range::StreamRange;
use crate::broker::{Archived, Outgoing};
use crate::config::SelectArgs;
use crate::lack::{self, Lack};
use crate::terminal::Escaped;

/// The part of a batch that was asked for.
pub(super) struct Chosen {
    /// To be published.
    pub(super) messages: Vec<Outgoing>,
    /// The number of messages of other types.
    pub(super) unwanted: u64,
    /// Records of events that the archive lacks.
    pub(super) lacks: Vec<Lack>,
    /// The offset after the last of these.
    pub(super) next: u64,
}

/// Chooses the messages of `batch` that are in the range `position` and that `select` wants, up to its limit.
pub(super) fn choose(batch: Vec<Archived>, position: &StreamRange, select: &SelectArgs) -> Chosen {
    let limit = select.limit.unwrap_or(u64::MAX);
    let messages = Vec::with_capacity(batch.len());
    let mut chosen = Chosen { messages, unwanted: 0, lacks: Vec::new(), next: position.next };
    for message in batch {
        // A chunk is sent whole, so it may begin before the range.
        if message.offset < position.next {
            continue;
        }
        let is_enough = position.tally.events + chosen.messages.len() as u64 >= limit;
        if message.offset >= position.end || is_enough {
            break;
        }
        chosen.next = message.offset + 1;
        if message.envelope.kind().as_deref() == Some(lack::KIND) {
            chosen.lacks.extend(record(&message));
        } else if select.wants(&message.routing_key) {
            let route = Target::LoadQueue.route(message.routing_key);
            chosen.messages.push(Outgoing { route, body: message.body, envelope: message.envelope });
        } else {
            chosen.unwanted += 1;
        }
    }
    chosen
}

/// The record that a message is, if it is one.
fn record(message: &Archived) -> Option<Lack> {
    let offset = message.offset;
    Lack::parse(&message.body)
        .inspect_err(|why| {
            let why = Escaped(why);
            tracing::warn!("offset {offset} of the archive is no valid record of missing events: {why}");
        })
        .ok()
}
