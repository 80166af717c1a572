//! A message to publish, and its route.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{Broker, Envelope, Names};

/// AMQP's limit for routing keys, in bytes.
const SHORT_STRING_BYTES_MAX: usize = 255;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub route: Route,
    /// The bytes.
    pub body: Vec<u8>,
    /// Properties and headers.
    pub envelope: Envelope,
}

/// The properties that an event gives its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    pub id: String,
    pub kind: String,
    pub created: DateTime<Utc>,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the exchange of events, and so into every load queue.
    Event {
        /// The event's type; anything that cannot be a plain routing key becomes [`Route::KIND_OTHER`].
        kind: String,
    },
    /// To the load queue alone.
    LoadQueue {
        /// The routing key it is to have; one that is too long to be one becomes [`Route::KIND_OTHER`].
        routing_key: String,
    },
    /// To one queue by its whole name.
    Queue(String),
}

impl Outgoing {
    /// The message of an event from GitHub. `body` is exactly as it came. `route` makes the route from the event's type.
    ///
    /// Without a `name`, the body is not an event: it is published too, as [`Route::KIND_OTHER`], and becomes a dead letter.
    pub fn event(
        broker: &Broker,
        route: impl FnOnce(String) -> Route,
        name: Option<EventName>,
        body: Vec<u8>,
    ) -> Self {
        let envelope = Envelope::json(broker.program());
        let (kind, envelope) = match name {
            Some(EventName { id, kind, created }) => {
                let envelope = envelope.of_event(&id, &kind, created);
                (kind, envelope)
            }
            None => (Route::KIND_OTHER.to_owned(), envelope),
        };
        Self { route: route(kind), body, envelope }
    }

    /// The copy for the archive stream: the same bytes and properties. In the stream, the property `type` has the event type, as the
    /// routing key has it elsewhere.
    #[must_use]
    pub fn for_archive(&self, names: &Names) -> Self {
        Self {
            route: Route::Queue(names.archive()),
            body: self.body.clone(),
            envelope: self.envelope.clone(),
        }
    }
}

impl Route {
    /// The routing key of events whose type is no valid routing key, and of bodies that are not events.
    pub const KIND_OTHER: &str = "other";

    pub(super) fn exchange_and_key<'a>(&'a self, names: &'a Names) -> (Cow<'a, str>, &'a str) {
        match self {
            Self::Queue(name) => ("".into(), name),
            Self::LoadQueue { routing_key } => {
                let fits = routing_key.len() <= SHORT_STRING_BYTES_MAX;
                (names.replay().into(), if fits { routing_key } else { Self::KIND_OTHER })
            }
            Self::Event { kind } => (names.exchange().into(), Self::key_of_kind(kind)),
        }
    }

    /// The routing key of an event of this type.
    pub(super) fn key_of_kind(kind: &str) -> &str {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = (1..=64).contains(&kind.len()) && kind.chars().all(plain);
        if fits { kind } else { Self::KIND_OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_keys_are_event_types_or_other() {
        let names = Names::new(&"ns".parse().unwrap(), "load");
        let key = |kind: &str| Route::Event { kind: kind.into() }.exchange_and_key(&names).1.to_owned();
        assert_eq!(key("PushEvent"), "PushEvent");
        for odd in ["", "a.b", "#", "*", "a b", "é", &"x".repeat(300)] {
            assert_eq!(key(odd), "other", "{odd}");
        }
        let pair = |route: Route| {
            let (exchange, key) = route.exchange_and_key(&names);
            (exchange.into_owned(), key.to_owned())
        };
        assert_eq!(pair(Route::Queue("a.b".into())), (String::new(), "a.b".into()));
        let replay = |key: &str| pair(Route::LoadQueue { routing_key: key.into() });
        assert_eq!(replay("a.#"), ("ns.load.replay".into(), "a.#".into()));
        assert_eq!(replay(&"x".repeat(256)).1, "other");
    }
}
