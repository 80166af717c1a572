//! One dead letter, or one message of the queue of unrouted messages.

use crate::broker::{Names, Taken};
use crate::event;
use crate::gap::GapRecord;

/// Where a message in the queue of unrouted messages comes from, and goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An event that was published while no load queue was bound: the exchange of events.
    Exchange,
    /// A dead letter that RabbitMQ moved here, because it was delivered too often: its load queue, by its name below the namespace.
    LoadQueue(String),
    /// A record of a gap that RabbitMQ moved here for the same reason: the queue of gaps.
    Gaps,
}

/// Why it is a dead letter.
pub(crate) fn reason(letter: &Taken) -> String {
    letter.envelope.reason().unwrap_or_else(|| "(no reason given)".into())
}

/// The id of its event, else its own message id. None if it has neither.
pub(crate) fn id(letter: &Taken) -> Option<String> {
    let of_message = letter.envelope.message_id();
    event::id_in(&letter.body)
        .or_else(|| (!of_message.is_empty() && !is_made_up(of_message)).then(|| of_message.to_owned()))
}

/// Older versions gave messages without an id the number of their place among those that were published together.
fn is_made_up(id: &str) -> bool {
    id.strip_prefix("no-id-").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The origin of a message in the queue of unrouted messages, by the headers that RabbitMQ wrote.
pub(crate) fn origin(letter: &Taken, names: &Names) -> Origin {
    for queue in letter.envelope.died_in() {
        if let Some(load) = names.load_of_dead(&queue) {
            return Origin::LoadQueue(load.to_owned());
        }
        if queue == names.gaps() && GapRecord::parse(&letter.body).is_ok() {
            return Origin::Gaps;
        }
    }
    Origin::Exchange
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Envelope;

    fn letter(message_id: &str, body: &str) -> Taken {
        let envelope = Envelope::json("test").with_message_id(message_id);
        Taken { tag: 1, body: body.into(), routing_key: "PushEvent".into(), envelope }
    }

    #[test]
    fn an_id_is_the_events_and_never_a_number_that_was_made_up() {
        let id = |message_id, body| id(&letter(message_id, body));
        assert_eq!(
            id("x", r#"{"type":"PushEvent","id":"42"}"#).as_deref(),
            Some("42"),
            "though it is no event"
        );
        assert_eq!(id("no-id-3", r#"{"id":42}"#).as_deref(), Some("42"));
        assert_eq!(id("gap events 1 2", r#"{"source":"events"}"#).as_deref(), Some("gap events 1 2"));
        for body in ["", "no event", "{", r#"{"id":"\u001b[2J"}"#, r#"{"id":{}}"#, "[]"] {
            assert_eq!(id("7", body).as_deref(), Some("7"), "{body}");
            assert_eq!(id("no-id-0", body), None, "{body}");
            assert_eq!(id("", body), None, "{body}");
        }
    }

    #[test]
    fn a_message_belongs_where_rabbitmq_took_it_from_else_to_the_exchange() {
        let gap = r#"{"source":"events","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#;
        let names = Names::new(&"n".parse().unwrap(), "load");
        let origin = |queue: &str, body: &str| {
            let envelope = Envelope::dead_in(queue);
            origin(&Taken { tag: 1, body: body.into(), routing_key: "n.unrouted".into(), envelope }, &names)
        };
        assert_eq!(origin("n.eu.dead", "{}"), Origin::LoadQueue("eu".into()));
        assert_eq!(origin("n.gaps", gap), Origin::Gaps);
        assert_eq!(origin("n.gaps", "{}"), Origin::Exchange, "anyone can write such a header");
        assert_eq!(origin("other.eu.dead", gap), Origin::Exchange);
        assert_eq!(super::origin(&letter("1", "{}"), &names), Origin::Exchange);
    }
}
