//! Turning what a poll found into messages.

use super::walk::Element;
use crate::broker::{Broker, Envelope, Outgoing, Route};

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
