//! Splits a line into events. Usually it holds one. Old files also hold two events on one line, runs of NUL bytes, arrays and fragments.

use serde_json::value::RawValue;

use crate::event::{Event, NotAnEvent, split_page};

/// A part of a line: an event, or the reason why it is none.
pub(super) type Record<'a> = Result<Event<'a>, (NotAnEvent, &'a [u8])>;

/// Calls `take` for each event of `line` and for everything else in it, in order. White space and NUL bytes between events are
/// skipped. The second argument is the bytes of the part.
pub(super) fn split<'a>(line: &'a [u8], mut take: impl FnMut(Record<'a>, &'a [u8])) {
    // A NUL byte cannot be part of JSON text; archives have runs of them behind and between events.
    for piece in line.split(|byte| *byte == 0).map(<[u8]>::trim_ascii).filter(|piece| !piece.is_empty()) {
        match Event::parse(piece) {
            Ok(event) => take(Ok(event), piece),
            Err(_) => split_values(piece, &mut take),
        }
    }
}

/// Splits JSON values that follow each other. Everything behind the last value that can be read is one part.
fn split_values<'a>(piece: &'a [u8], take: &mut impl FnMut(Record<'a>, &'a [u8])) {
    let mut values = serde_json::Deserializer::from_slice(piece).into_iter::<&RawValue>();
    let mut from = 0;
    while let Some(Ok(value)) = values.next() {
        from = values.byte_offset();
        match split_page(value.get().as_bytes()) {
            Ok(elements) => elements.into_iter().for_each(|element| one(element, take)),
            Err(_) => one(value.get().as_bytes(), take),
        }
    }
    let scrap = piece[from..].trim_ascii();
    if !scrap.is_empty() {
        one(scrap, take);
    }
}

fn one<'a>(bytes: &'a [u8], take: &mut impl FnMut(Record<'a>, &'a [u8])) {
    take(Event::parse(bytes).map_err(|reason| (reason, bytes)), bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = r#"{"id":"1","type":"A","created_at":"2015-01-01T00:00:00Z"}"#;
    const TWO: &str = r#"{"id":"2","type":"B","created_at":"2015-01-01T00:00:00Z"}"#;

    /// Ids of events, and for everything else the kind of fault with the bytes.
    fn found(line: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        split(line, |record, bytes| {
            found.push(match record {
                Ok(event) => event.id.into_owned(),
                Err((reason, scrap)) => {
                    assert_eq!(scrap, bytes);
                    format!("{} {}", reason.code(), String::from_utf8_lossy(scrap))
                }
            });
        });
        found
    }

    #[test]
    fn whatever_stands_on_a_line_its_events_are_found() {
        for (line, expected) in [
            (ONE.to_owned(), vec!["1"]),
            (format!("  {ONE}\r"), vec!["1"]),
            (String::new(), vec![]),
            (" \t\r".into(), vec![]),
            ("\0\0\0".into(), vec![]),
            (format!("{ONE}{TWO}"), vec!["1", "2"]),
            (format!("{ONE} {TWO}"), vec!["1", "2"]),
            (format!("\0\0{ONE}\0\0\0{TWO}\0"), vec!["1", "2"]),
            (format!("[{ONE},{TWO}]"), vec!["1", "2"]),
            ("[]".into(), vec![]),
            (format!("{ONE}xyz"), vec!["1", "not-json xyz"]),
            (format!("{ONE}{{\"id\":"), vec!["1", "not-json {\"id\":"]),
            ("{\"a\":1}".into(), vec!["missing-field {\"a\":1}"]),
            (format!("[{ONE},7]"), vec!["1", "not-an-object 7"]),
            ("<html>".into(), vec!["not-json <html>"]),
        ] {
            assert_eq!(found(line.as_bytes()), expected, "{line:?}");
        }
        assert_eq!(found(b"\xff\xfe"), ["not-json \u{fffd}\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic_and_every_byte_is_an_event_a_scrap_or_nothing(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = 0;
            split(&line, |_, piece| bytes += piece.len());
            let blank = |byte: &&u8| **byte == 0 || byte.is_ascii_whitespace() || b"[],".contains(*byte);
            let nothing = line.iter().filter(blank).count();
            prop_assert!(bytes + nothing >= line.len(), "{} of {}", bytes, line.len());
        }

        #[test]
        fn events_between_scraps_are_found(before in "[^{\\[\0\"]{0,20}", gap in "\0{0,3}", count in 1..5_usize) {
            let line = format!("{}{gap}\0{before}", vec![ONE; count].join(&gap));
            let events = found(line.as_bytes()).into_iter().filter(|one| one == "1").count();
            prop_assert_eq!(events, count);
        }
    }
}
