//! An event as a line of a file. Pure.

use xxhash_rust::xxh3::Xxh3;

use crate::event::Event;

/// What distinguishes an event from all others: a hash of `id` and `created_at`. 128 bits, because two events with the same mark
/// would be taken for one.
pub(super) type Mark = u128;

/// The mark of an event.
pub(super) fn mark(event: &Event<'_>) -> Mark {
    let mut hasher = Xxh3::new();
    hasher.update(event.id.as_bytes());
    // Neither of the two holds a control character.
    hasher.update(b"\n");
    hasher.update(event.created_at.as_bytes());
    hasher.digest128()
}

/// Appends `body`, the bytes of a valid event, as one line. False if it had more than one line.
///
/// JSON has line breaks between its tokens only; in strings they are escaped. So each becomes a space, and nothing else changes.
pub(super) fn append(lines: &mut Vec<u8>, body: &[u8]) -> bool {
    let start = lines.len();
    lines.extend_from_slice(body);
    let is_one_line = memchr::memchr2(b'\n', b'\r', body).is_none();
    if !is_one_line {
        lines[start..].iter_mut().filter(|byte| b"\r\n".contains(byte)).for_each(|byte| *byte = b' ');
    }
    lines.push(b'\n');
    is_one_line
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"1","type":"A","created_at":"2015-01-01T00:00:00Z"}"#;

    fn mark_of(text: &str) -> Mark {
        mark(&Event::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_mark_is_of_id_and_time_whatever_their_spelling_and_of_nothing_else() {
        for same in [
            r#"{"id":1,"type":"A","created_at":"2015-01-01T00:00:00Z"}"#,
            r#"{"id":"1","type":"B","created_at":"2015-01-01T00:00:00Z","payload":{}}"#,
            r#"{"id":"1","type":"A","created_at":"2015-01-01T01:00:00+01:00"}"#,
        ] {
            assert_eq!(mark_of(same), mark_of(EVENT), "{same}");
        }
        for other in [
            EVENT.replace("\"1\"", "\"2\""),
            EVENT.replace(":00Z", ":01Z"),
            EVENT.replace("\"1\"", "\"12\"").replace("2015", "015"),
        ] {
            let other = Event::parse(other.as_bytes()).map(|event| mark(&event));
            assert_ne!(other.unwrap_or(0), mark_of(EVENT));
        }
    }

    #[test]
    fn a_body_is_one_line_and_the_same_event() {
        let mut lines = Vec::new();
        assert!(append(&mut lines, EVENT.as_bytes()));
        assert_eq!(lines, format!("{EVENT}\n").as_bytes());
        let pretty = "{\r\n \"id\": \"1\",\n\"type\":\"A\",\n\t\"created_at\":\"2015-01-01T00:00:00Z\",\"x\":\"a\\nb\"\n}\n";
        let mut lines = Vec::new();
        assert!(!append(&mut lines, pretty.as_bytes()));
        assert_eq!(lines.len(), pretty.len() + 1);
        assert_eq!(memchr::memchr_iter(b'\n', &lines).count(), 1);
        let event = Event::parse(&lines).unwrap();
        let x = event.flattened().find(|(name, _)| *name == "x").unwrap().1;
        assert_eq!((mark(&event), x.as_ref()), (mark_of(EVENT), "a\nb"));
    }
}
