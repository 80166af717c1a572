//! Turning what a poll found into messages.

use chrono::{DateTime, Utc};

use super::coverage::Gap;
use super::walk::Element;
use crate::broker::{Broker, Envelope, Outgoing, Route};
use crate::config::Source;

/// An element's message. The body stays byte for byte what GitHub sent.
pub(super) fn of_element(element: Element, broker: &Broker) -> Outgoing {
    let envelope = Envelope::json(broker.program());
    let (kind, envelope) = match element.event {
        Some(event) => {
            let envelope = envelope.of_event(&event.id, &event.kind, event.created);
            (event.kind, envelope)
        }
        None => (Route::KIND_OTHER.to_owned(), envelope),
    };
    Outgoing { route: Route::Event { kind }, body: element.body, envelope }
}

/// A gap's message, to the queue of gaps.
pub(super) fn of_gap(gap: &Gap, source: &Source, broker: &Broker, now: DateTime<Utc>) -> Outgoing {
    let record = gap.record(source, now);
    let envelope = Envelope::json(broker.program()).with_message_id(&record.id());
    Outgoing { route: Route::Queue(broker.names().gaps()), body: record.json(), envelope }
}
