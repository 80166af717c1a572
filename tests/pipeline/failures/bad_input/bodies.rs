//! Rows 1 to 32: what is wrong with the body.

use chrono::{SecondsFormat, TimeDelta, Utc};

use super::{Row, dead, loads};
use crate::support::events::event;

const TIME: &str = r#""created_at":"2015-01-01T12:00:01Z""#;
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) fn rows() -> Vec<Row> {
    [not_json(), shapes(), ids(), fields(), hostile(), sizes()].into_iter().flatten().collect()
}

/// A good event with `extra` as its first field.
fn with_first(extra: &str) -> String {
    good().replacen(r#"{"id""#, &format!(r#"{{{extra},"id""#), 1)
}

fn good() -> String {
    String::from_utf8(event("good").bytes()).unwrap()
}

fn not_json() -> Vec<Row> {
    let good = good();
    let spoilt = |bytes: &[u8]| [&good.as_bytes()[..good.len() - 1], b",\"x\":\"", bytes, b"\"}"].concat();
    vec![
        dead(1, "empty", ""),
        dead(1, "empty", " \r\n\t "),
        dead(2, "not-json", "<html><body>502 Bad Gateway</body></html>"),
        dead(2, "not-json", "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"),
        dead(3, "not-json", &good[..good.len() / 2]),
        dead(3, "not-json", r#"{"id":"1","repo":nul"#),
        dead(4, "not-json", format!("{good}{good}")),
        dead(4, "not-json", format!("{good}\n{good}")),
        dead(5, "not-json", format!(r#"{{"id":"1","url":"https://api.{good}"#)),
        dead(6, "not-json", [b"\0\0\0", good.as_bytes()].concat()),
        dead(6, "not-json", [good.as_bytes(), b"\0\0\0"].concat()),
        dead(7, "not-json", format!("\u{feff}{good}")),
        dead(8, "not-json", spoilt(b"\xff\xfe")),
        // An overlong slash, and a character outside the basic plane written as two surrogates.
        dead(8, "not-json", spoilt(b"\xc0\xaf")),
        dead(8, "not-json", spoilt(b"\xed\xa0\xbd\xed\xb8\x80")),
        dead(9, "not-json", with_first(r#""x":"\ud800""#)),
        dead(11, "not-json", with_first("\"x\":\"a\nb\"")),
        dead(11, "not-json", with_first("\"x\":\"a\x1bb\"")),
        dead(18, "not-json", with_first(r#""x":NaN"#)),
        dead(18, "not-json", with_first(r#""x":-Infinity"#)),
        // What is a number by the grammar passes through as text, whatever a float makes of it.
        loads(18, "huge-number", event("huge-number").with("x", "1e400").bytes()),
        loads(18, "minus-zero", event("minus-zero").with("x", "-0").bytes()),
    ]
}

fn shapes() -> Vec<Row> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    vec![
        dead(12, "too-deep", with_first(&format!(r#""x":{}"#, nested(128)))),
        loads(12, "deep", event("deep").with("x", &nested(127)).bytes()),
        dead(14, "duplicate-field", with_first(r#""id":"2""#)),
        dead(14, "duplicate-field", with_first(r#""\u0069d":"2""#)),
        dead(15, "not-an-object", format!("[{}]", good())),
        dead(15, "not-an-object", "12"),
        dead(15, "not-an-object", "null"),
        dead(15, "not-an-object", r#""event""#),
        dead(15, "missing-field", "{}"),
        dead(15, "too-many-fields", {
            let fields: Vec<String> = (0..300).map(|n| format!(r#""f{n}":0"#)).collect();
            with_first(&fields.join(","))
        }),
    ]
}

/// The design takes any string or integer; the study only numbers of at most 20 digits.
fn ids() -> Vec<Row> {
    let with_id = |id: &str| format!(r#"{{"id":{id},"type":"PushEvent",{TIME}}}"#);
    let long_id = "9".repeat(255);
    let mut rows = vec![
        dead(16, "missing-field: id", format!(r#"{{"type":"PushEvent",{TIME}}}"#)),
        dead(17, "invalid-field: id", with_id(&"9".repeat(400))),
        loads(17, &long_id, with_id(&long_id)),
    ];
    for id in ["null", "1.0", "1e3", "true", "[]", r#""""#, r#""1\n""#, r#""a\u0000""#] {
        rows.push(dead(16, "invalid-field: id", with_id(id)));
    }
    rows.push(dead(16, "invalid-field: id", with_id(&format!("\"{}\"", "x".repeat(300)))));
    for id in ["-7", "0", "9007199254740993", "18446744073709551616"] {
        rows.push(loads(17, id, with_id(id)));
    }
    for id in ["abc", " 12 ", "{x}", "007", "١٢٣", "*", "a:b", "__proto__"] {
        rows.push(loads(16, id, with_id(&format!("\"{id}\""))));
    }
    rows
}

fn fields() -> Vec<Row> {
    let mut rows = vec![
        dead(20, "missing-field: type", format!(r#"{{"id":"1",{TIME}}}"#)),
        dead(20, "invalid-field: type", format!(r#"{{"id":"1","type":"",{TIME}}}"#)),
        dead(20, "invalid-field: type", format!(r#"{{"id":"1","type":5,{TIME}}}"#)),
        dead(20, "missing-field: created_at", r#"{"id":"1","type":"PushEvent"}"#),
        // The design wants no more than id, type and time; who does not say who acted scores nobody.
        loads(20, "bare", format!(r#"{{"id":"bare","type":"PushEvent",{TIME}}}"#)),
        loads(
            20,
            "odd-actor",
            format!(r#"{{"id":"odd-actor","type":"PushEvent",{TIME},"actor":5,"repo":[]}}"#),
        ),
        loads(
            20,
            "no-login",
            format!(r#"{{"id":"no-login","type":"PushEvent",{TIME},"actor":{{"login":7}}}}"#),
        ),
    ];
    for time in
        [r#""yesterday""#, r#""2015-02-30T00:00:00Z""#, r#""2015-01-01T12:00:01""#, "1420113601", "null"]
    {
        rows.push(dead(
            21,
            "invalid-field: created_at",
            format!(r#"{{"id":"1","type":"x","created_at":{time}}}"#),
        ));
    }
    // The design takes every time from 1970 to tomorrow.
    let from_now = |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let in_two_days = from_now(48);
    for time in ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", &in_two_days] {
        rows.push(dead(21, "invalid-field: created_at", event("1").at(time).bytes()));
    }
    for time in ["2016-12-31T23:59:60Z", "1999-01-01T00:00:00Z", &from_now(23)] {
        rows.push(loads(21, time, event(time).at(time).bytes()));
    }
    for (n, kind) in ["NewEvent", "a.b.#.*", &"K".repeat(10_000)].into_iter().enumerate() {
        rows.push(loads(19, format!("kind-{n}"), event(format!("kind-{n}")).kind(kind).bytes()));
    }
    rows
}

/// Logins and names are members and values, never parts of a key, so the design takes any text.
fn hostile() -> Vec<Row> {
    let texts = [
        (10, "nul\0login"),
        (22, "a:b{c}*\r\nDEL x"),
        (22, "😀 \u{202e}gnp.exe"),
        (23, "{other-slot}"),
        (24, "<script>alert(1)</script>"),
        (25, "\x1b]0;title\x07\u{9b}2J\x08\u{2028}"),
        (28, "__proto__"),
    ];
    let mut rows: Vec<Row> = texts
        .into_iter()
        .enumerate()
        .map(|(n, (number, text))| {
            let id = format!("hostile-{n}");
            let repo = serde_json::json!({ "name": text }).to_string();
            let quoted = serde_json::Value::from(text).to_string();
            let body = event(&id).by(text).with("repo", &repo).with("x", &quoted).with(text, "[1]");
            loads(number, id, body.bytes())
        })
        .collect();
    rows.push(loads(22, "long-login", event("long-login").by(&"a".repeat(10_000)).bytes()));
    // Below the top level nothing is decoded, so half a character passes as the six bytes that came.
    rows.push(loads(9, "nested", event("nested").with("x", r#"{"a":"\ud800"}"#).bytes()));
    rows.push(loads(14, "twice", event("twice").with("x", r#"{"a":1,"a":2}"#).bytes()));
    rows.push(loads(28, "constructor", event("constructor").with("constructor", "{}").bytes()));
    rows
}

fn sizes() -> Vec<Row> {
    let good = good();
    let commits = vec![r#"{"sha":"0"}"#; 100_000].join(",");
    let payload = format!(r#"{{"size":2147483648,"distinct_size":-1,"commits":[{commits}]}}"#);
    let nodes = format!("[{}]", vec!["[]"; 1_300_000].join(","));
    let mut largest = event("largest").bytes();
    largest.resize(BODY_BYTES_MAX, b' ');
    vec![
        // A tree of this many nodes would take 40 MB; nobody builds one.
        loads(13, "nodes", event("nodes").with("x", &nodes).bytes()),
        dead(
            13,
            "too-large",
            event("x").with("x", &format!("[{}]", vec!["[]"; 3_000_000].join(","))).bytes(),
        ),
        loads(26, "commits", event("commits").with("p", &payload).bytes()),
        loads(31, "largest", largest),
        dead(31, "too-large", format!("{good}{}", " ".repeat(BODY_BYTES_MAX + 1 - good.len()))),
    ]
}
