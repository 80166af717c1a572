//! Whatever the bytes are: nothing panics, and nothing that comes out is larger than what went in.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const SEED: &str = r#"{"id":"48214839482","type":"PushEvent","actor":{"id":7,"login":"octo\u0063at 😀","url":"https://a/"},"repo":{"id":-1.5e3,"name":"o/r"},"payload":{"size":1,"commits":[{"sha":"a","message":"\ud83d\ude00 \"x\"\n"},[],{},null]},"public":true,"created_at":"2015-01-01T12:00:01Z","org":null}"#;

/// What parsers stumble over.
const SPLINTERS: [&[u8]; 20] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b",",
    b":",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"1e400",
    b"-",
    b"null",
    b"\"id\":",
    b"\"created_at\":\"0000-01-01T00:00:00Z\",",
    b"\x1b[2J",
];

/// What may stand around and between the elements of a page.
const SEPARATORS: &[u8] = b"[], \r\n\t";

#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Remove(Index),
    Replace(Index, u8),
    Insert(Index, &'static [u8]),
    Double(Index),
}

fn a_change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        1 => at().prop_map(Change::Cut),
        1 => at().prop_map(Change::Remove),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        3 => (at(), select(SPLINTERS.to_vec())).prop_map(|(at, splinter)| Change::Insert(at, splinter)),
        1 => at().prop_map(Change::Double),
    ]
}

/// An event with a few things wrong.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    vec(a_change(), 0..4).prop_map(|changes| {
        let mut body = SEED.as_bytes().to_vec();
        for change in changes {
            // A cut at the very front leaves nothing to change.
            if body.is_empty() {
                break;
            }
            match change {
                Change::Cut(at) => body.truncate(at.index(body.len())),
                Change::Remove(at) => drop(body.remove(at.index(body.len()))),
                Change::Replace(at, byte) => {
                    let at = at.index(body.len());
                    body[at] = byte;
                }
                Change::Insert(at, splinter) => {
                    let at = at.index(body.len());
                    body.splice(at..at, splinter.iter().copied());
                }
                Change::Double(at) => {
                    let tail = body[at.index(body.len())..].to_vec();
                    body.extend(tail);
                }
            }
        }
        body
    })
}

/// JSON of any shape whose top level has the three fields with values of any kind.
fn shaped() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        select(vec![
            r#""1""#,
            "1",
            "-1",
            "1.0",
            "1e400",
            "null",
            "[]",
            "{}",
            r#""""#,
            r#""\u0000""#,
            r#""\ud800""#,
            r#""2015-01-01T12:00:01Z""#,
            r#""2015-01-01T12:00:60.123456789123+23:59""#,
            r#""9999-12-31T23:59:59-23:59""#,
            r#""1970-01-01T00:00:00+00:01""#,
            r#""+12015-01-01T12:00:1Z""#,
            "99999999999999999999999999",
        ])
    };
    (value(), value(), value(), value()).prop_map(|(id, kind, time, x)| {
        format!(r#"{{"id":{id},"type":{kind},"created_at":{time},"x":{x}}}"#).into_bytes()
    })
}

fn check(body: &[u8]) -> Result<(), TestCaseError> {
    let event = match Event::parse(body) {
        Ok(event) => event,
        Err(reason) => {
            let reason = reason.to_string();
            prop_assert!(!reason.is_empty() && reason.len() < 300 && !reason.contains(char::is_control));
            return Ok(());
        }
    };
    let flat: usize = event.flattened().map(|(name, text)| name.len() + text.len()).sum();
    prop_assert!(flat <= body.len(), "{flat} bytes out of {}", body.len());
    prop_assert!((1..=255).contains(&event.id.len()) && !event.kind.is_empty());
    prop_assert!(!event.id.contains(char::is_control));
    prop_assert_eq!(event.hour().to_string(), event.created().format("%Y-%m-%d-%H").to_string());
    prop_assert!(event.actor_login().is_none_or(|login| login.len() <= body.len()));
    prop_assert!(
        event.created() >= DateTime::UNIX_EPOCH && event.created() <= Utc::now() + TimeDelta::days(1)
    );
    // The normal form of a time is its own normal form.
    let again = format!(r#"{{"id":"1","type":"x","created_at":"{}"}}"#, event.created_at);
    let same = Event::parse(again.as_bytes()).unwrap().created_at.into_owned();
    prop_assert_eq!(same, event.created_at);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_event_or_have_a_reason(body in vec(any::<u8>(), 0..200)) {
        check(&body)?;
    }

    #[test]
    fn a_damaged_event_is_an_event_or_has_a_reason(body in mutated()) {
        check(&body)?;
    }

    #[test]
    fn fields_of_any_kind_make_an_event_or_have_a_reason(body in shaped()) {
        check(&body)?;
    }

    #[test]
    fn a_page_is_cut_into_pieces_of_itself_or_refused(bodies in vec(mutated(), 0..4), space in "[ \r\n\t]{0,3}") {
        let page = [b"[", bodies.join(format!(",{space}").as_bytes()).as_slice(), b"]"].concat();
        if let Ok(elements) = split_page(&page) {
            // In order, and nothing is left over but what stands between elements.
            let mut rest = page.as_slice();
            for element in &elements {
                prop_assert!(!element.is_empty());
                let before = (element.as_ptr() as usize).checked_sub(rest.as_ptr() as usize);
                let before = before.filter(|before| before + element.len() <= rest.len());
                prop_assert!(before.is_some(), "not the bytes that came");
                let (between, from_here) = rest.split_at(before.unwrap_or_default());
                prop_assert!(between.iter().all(|byte| SEPARATORS.contains(byte)));
                rest = &from_here[element.len()..];
            }
            prop_assert!(rest.iter().all(|byte| SEPARATORS.contains(byte)));
        }
    }

    #[test]
    fn whole_events_come_out_of_a_page_byte_for_byte(
        count in 0_usize..20,
        space in "[ \r\n\t]{0,3}",
    ) {
        let events: Vec<_> = (0..count).map(|n| SEED.replace("48214839482", &n.to_string())).collect();
        let page = format!("{space}[{space}{}{space}]{space}", events.join(&format!("{space},{space}")));
        let elements = split_page(page.as_bytes()).unwrap();
        prop_assert!(elements.iter().copied().eq(events.iter().map(String::as_bytes)));
    }
}
