//! What is not an event.

use crate::support::corner::Corner;
use crate::support::dump::{assert_same, stream};
use crate::support::events::event;
use crate::support::oracle::Oracle;

const TIME: &str = r#""created_at":"2015-01-01T12:00:01Z""#;

/// What is no event, and how the reason begins.
fn invalid_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let good = String::from_utf8(event(1).bytes()).unwrap();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let text = |reason, body: String| (reason, body.into_bytes());
    vec![
        text("empty", String::new()),
        text("empty", " \r\n\t ".into()),
        text("not-json", "<html><body>502 Bad Gateway</body></html>".into()),
        text("not-json", good[..good.len() / 2].into()),
        text("not-json", format!("{good}{good}")),
        text("not-json", format!("{good}\n{good}")),
        text("not-json", format!("\u{feff}{good}")),
        ("not-json", [&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\xfe\"}"].concat()),
        ("not-json", [b"\0", good.as_bytes()].concat()),
        text(
            "not-json",
            good.replacen('}', r#","x":"\ud800"}"#, 1).replacen(r#"{"id""#, r#"{"y":"\ud800","id""#, 1),
        ),
        text("not-json", good.replacen(r#"{"id""#, r#"{"x":NaN,"id""#, 1)),
        text("not-json", good.replacen(r#"{"id""#, "{\"x\":\"a\nb\",\"id\"", 1)),
        text("not-an-object", format!("[{good}]")),
        text("not-an-object", "12".into()),
        text("not-an-object", "null".into()),
        text("not-an-object", r#""event""#.into()),
        text("missing-field: id", format!(r#"{{"type":"PushEvent",{TIME}}}"#)),
        text("missing-field: type", format!(r#"{{"id":"1",{TIME}}}"#)),
        text("missing-field: created_at", r#"{"id":"1","type":"PushEvent"}"#.into()),
        text("missing-field", "{}".into()),
        text("invalid-field: id", format!(r#"{{"id":1.5,"type":"PushEvent",{TIME}}}"#)),
        text("invalid-field: id", format!(r#"{{"id":null,"type":"PushEvent",{TIME}}}"#)),
        text("invalid-field: type", format!(r#"{{"id":"1","type":"",{TIME}}}"#)),
        text("invalid-field: created_at", r#"{"id":"1","type":"PushEvent","created_at":"yesterday"}"#.into()),
        text("too-large", format!("{good}{}", " ".repeat(4 * 1024 * 1024 + 1 - good.len()))),
        text("too-deep", good.replacen(r#"{"id""#, &format!(r#"{{"x":{},"id""#, nested(129)), 1)),
        text("duplicate-field", good.replacen(r#"{"id""#, r#"{"id":"2","id""#, 1)),
        text("too-many-fields", {
            let fields: String = (0..300).map(|n| format!(r#""f{n}":0,"#)).collect();
            good.replacen('{', &format!("{{{fields}"), 1)
        }),
    ]
}

#[test]
fn what_is_not_an_event_lands_in_the_dead_letters_byte_for_byte_and_events_around_it_load() {
    let corner = Corner::new("invalid");
    let invalid = invalid_bodies();
    let good: Vec<_> = (0..=invalid.len()).map(|n| event(100 + n).bytes()).collect();
    corner.publish(&good[..1]);
    for ((_, body), good) in invalid.iter().zip(&good[1..]) {
        corner.publish(&[body.clone(), good.clone()]);
    }
    let before = chrono::Utc::now();
    let loader = corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("the events around", &corner.dump(), &Oracle::of(&good).lines());
    assert!(loader.stderr.contains(&format!("dead {}, ", invalid.len())), "{}", loader.stderr);

    let dead = corner.take_all("load.dead");
    assert_eq!(dead.len(), invalid.len());
    for (message, (reason, body)) in dead.iter().zip(&invalid) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert!(message.body == *body, "the bytes of {shown} have changed");
        let said = message.header("x-etl-reason");
        assert!(said.starts_with(reason), "{shown}: {said}");
        assert_eq!(message.header("x-etl-attempts"), "1", "{shown}");
        assert_eq!(message.header("x-etl-original-routing-key"), "PushEvent", "{shown}");
        let first: chrono::DateTime<chrono::Utc> = message.header("x-etl-first-failed-at").parse().unwrap();
        assert!(first.timestamp() >= before.timestamp() && first <= chrono::Utc::now(), "{first}");
        let properties = &message.properties;
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m");
        assert_eq!(*properties.delivery_mode(), Some(2), "kept on disk");
        assert_eq!(*properties.timestamp(), Some(1_420_113_601));
    }
    assert_eq!(corner.ready("load"), 0);
}

#[test]
fn what_is_as_large_and_as_deep_as_allowed_loads() {
    let corner = Corner::new("limits");
    let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let deep = event(1).with("x", &nested).bytes();
    let mut large = event(2).bytes();
    large.resize(4 * 1024 * 1024, b' ');
    let long_id = event("9".repeat(255)).bytes();
    let bodies = vec![deep, large, long_id];
    corner.publish(&bodies);
    corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    let entries = stream(&mut corner.redis(), &corner.namespace);
    assert_eq!(entries.len(), 3);
    assert!(entries[0].contains(&("x".to_owned(), nested)));
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn a_message_of_a_stranger_without_any_property_is_kept_too() {
    let corner = Corner::new("stranger");
    let bodies = [b"\x00\x01".to_vec(), b"\x00\x01".to_vec()];
    corner.publish_with(&lapin::BasicProperties::default(), &bodies);
    corner.loader(&["--drain"]).succeed();
    let dead = corner.take_all("load.dead");
    assert_eq!(dead.iter().map(|message| message.body.clone()).collect::<Vec<_>>(), bodies);
}
