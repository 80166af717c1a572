use super::*;

fn event(extra: &str) -> String {
    format!(r#"{{"id":"1","type":"PushEvent","created_at":"2015-01-01T12:00:01Z"{extra}}}"#)
}

fn why_not(body: impl AsRef<[u8]>) -> &'static str {
    match Event::parse(body.as_ref()) {
        Ok(event) => panic!("taken for an event: {event:?}"),
        Err(reason) => reason.code(),
    }
}

#[test]
fn an_event_gives_its_id_type_time_hour_and_actor() {
    let body = event(r#","actor":{"id":7,"login":"octo\u0063at","url":"x"}"#);
    let event = Event::parse(body.as_bytes()).unwrap();
    assert_eq!((event.id.as_ref(), event.kind.as_ref()), ("1", "PushEvent"));
    assert_eq!(
        (event.created_at.as_ref(), event.hour().to_string().as_str()),
        ("2015-01-01T12:00:01Z", "2015-01-01-12")
    );
    assert_eq!(event.actor_login().as_deref(), Some("octocat"));
}

#[test]
fn flattening_unquotes_strings_and_keeps_everything_else_as_it_was() {
    let values = [
        ("[]", "[]"),
        ("{}", "{}"),
        ("null", "null"),
        ("1e2", "1e2"),
        ("-0.0", "-0.0"),
        ("12345678901234567890", "12345678901234567890"),
        (r#"{ "a" : [1,  {"b":"\u00e9\ud83d\ude00"}] }"#, r#"{ "a" : [1,  {"b":"\u00e9\ud83d\ude00"}] }"#),
        (r#""caf\u00e9 \ud83d\ude00 \"quoted\"\n""#, "café 😀 \"quoted\"\n"),
        (r#""plain 😀""#, "plain 😀"),
        (r#""""#, ""),
        ("true", "true"),
    ];
    for (json, flat) in values {
        let body = event(&format!(r#","x":{json}"#));
        let event = Event::parse(body.as_bytes()).unwrap();
        let fields: Vec<_> = event.flattened().collect();
        assert_eq!(fields[..3].iter().map(|f| f.0).collect::<Vec<_>>(), ["id", "type", "created_at"]);
        assert_eq!(fields[3], ("x", Cow::Borrowed(flat)), "{json}");
    }
}

#[test]
fn an_integer_id_is_the_same_as_its_string() {
    let body = r#"{"id":12345678901234567890,"type":"X","created_at":"2015-01-01T12:00:01Z"}"#;
    assert_eq!(Event::parse(body.as_bytes()).unwrap().id, "12345678901234567890");
}

#[test]
fn times_of_other_offsets_are_brought_to_utc() {
    for (sent, normal, hour) in [
        ("2015-01-01T00:30:00+01:00", "2014-12-31T23:30:00Z", "2014-12-31-23"),
        ("2015-01-01t12:00:01z", "2015-01-01T12:00:01Z", "2015-01-01-12"),
        ("2015-01-01T12:00:01.250Z", "2015-01-01T12:00:01.250Z", "2015-01-01-12"),
        ("2015-01-01T12:00:01.000Z", "2015-01-01T12:00:01Z", "2015-01-01-12"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2016-12-31-23"),
    ] {
        let body = format!(r#"{{"id":"1","type":"X","created_at":"{sent}"}}"#);
        let event = Event::parse(body.as_bytes()).unwrap();
        assert_eq!((event.created_at.as_ref(), event.hour().to_string().as_str()), (normal, hour), "{sent}");
    }
}

#[test]
fn what_is_not_an_event_is_told_by_reason() {
    let time = r#""created_at":"2015-01-01T12:00:01Z""#;
    assert_eq!(why_not(""), "empty");
    assert_eq!(why_not(" \n\t"), "empty");
    assert_eq!(why_not("<html>"), "not-json");
    assert_eq!(why_not(&event("")[..40]), "not-json");
    assert_eq!(why_not(format!("{}{}", event(""), event(""))), "not-json");
    assert_eq!(why_not(format!("\u{feff}{}", event(""))), "not-json");
    assert_eq!(why_not(b"{\"id\":\"\xff\",\"type\":\"X\"}"), "not-json");
    assert_eq!(why_not(event(",\"x\":\"a\nb\"")), "not-json");
    assert_eq!(why_not(event(r#","x":"\ud800""#)), "not-json");
    assert_eq!(why_not(event(",\"x\":NaN")), "not-json");
    for shape in ["[]", "\"x\"", "1", "null", "true"] {
        assert_eq!(why_not(shape), "not-an-object", "{shape}");
    }
    assert_eq!(why_not(event(r#","id":"2""#)), "duplicate-field");
    assert_eq!(why_not(format!(r#"{{"type":"X",{time}}}"#)), "missing-field");
    assert_eq!(why_not(format!(r#"{{"id":"1",{time}}}"#)), "missing-field");
    assert_eq!(why_not(r#"{"id":"1","type":"X"}"#), "missing-field");
    for id in
        ["null", "1.0", "1e3", "true", "{}", "[]", "\"\"", "\"1\\n\"", &format!("\"{}\"", "1".repeat(256))]
    {
        assert_eq!(why_not(format!(r#"{{"id":{id},"type":"X",{time}}}"#)), "invalid-field", "{id}");
    }
    for kind in ["null", "1", "\"\"", "{}"] {
        assert_eq!(why_not(format!(r#"{{"id":"1","type":{kind},{time}}}"#)), "invalid-field", "{kind}");
    }
    for time in [
        "null",
        "1420113601",
        "\"\"",
        "\"yesterday\"",
        "\"2015-01-01\"",
        "\"2015-13-01T00:00:00Z\"",
        "\"2015-01-01T00:00:00\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"12015-01-01T00:00:00Z\"",
    ] {
        assert_eq!(
            why_not(format!(r#"{{"id":"1","type":"X","created_at":{time}}}"#)),
            "invalid-field",
            "{time}"
        );
    }
}

#[test]
fn size_fields_and_nesting_are_bounded() {
    assert_eq!(why_not(vec![b' '; BODY_BYTES_MAX + 1]), "too-large");
    let nested = |depth: usize| event(&format!(r#","x":{}{}"#, "[".repeat(depth - 1), "]".repeat(depth - 1)));
    assert!(Event::parse(nested(128).as_bytes()).is_ok());
    assert_eq!(why_not(nested(129)), "too-deep");
    assert_eq!(why_not(nested(100_000)), "too-deep");
    let brackets_in_text = event(&format!(r#","x":"{}\"[""#, "[".repeat(1000)));
    assert!(Event::parse(brackets_in_text.as_bytes()).is_ok());
    let many = |count: usize| event(&(3..count).map(|n| format!(r#","f{n}":0"#)).collect::<String>());
    assert!(Event::parse(many(fields::FIELDS_MAX).as_bytes()).is_ok());
    assert_eq!(why_not(many(fields::FIELDS_MAX + 1)), "too-many-fields");
}

#[test]
fn actors_without_a_usable_login_have_none() {
    for actor in [
        "null",
        "\"octocat\"",
        "{}",
        r#"{"login":null}"#,
        r#"{"login":""}"#,
        r#"{"login":7}"#,
        r#"{"login":"\ud800"}"#,
    ] {
        let body = event(&format!(r#","actor":{actor}"#));
        assert_eq!(Event::parse(body.as_bytes()).unwrap().actor_login(), None, "{actor}");
    }
    assert!(is_bot("dependabot[bot]") && !is_bot("robot"));
}

#[test]
fn a_page_is_split_into_the_exact_bytes_of_its_elements() {
    let elements = split_page(b" [ {\"a\" : 1e2},\n null , \"x\" ] ").unwrap();
    assert_eq!(elements, [&b"{\"a\" : 1e2}"[..], b"null", b"\"x\""]);
    assert!(split_page(b"[]").unwrap().is_empty());
    let long = format!("[{}0]", "0,".repeat(1000));
    for bad in ["", "{}", "<html>", "[1,", "[1]x", &long] {
        assert!(split_page(bad.as_bytes()).is_err(), "{bad}");
    }
}
