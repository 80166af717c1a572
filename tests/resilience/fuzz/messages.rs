//! Arbitrary messages: whatever AMQP lets anybody write into a routing key, properties, headers and a body.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::support::events::event;
use crate::support::raw_amqp::{
    APP_ID, CLUSTER_ID, CONTENT_ENCODING, CONTENT_TYPE, CORRELATION_ID, DELIVERY_MODE, EXPIRATION, HEADERS,
    MESSAGE_ID, PRIORITY, REPLY_TO, RawProperties, TIMESTAMP, TYPE, USER_ID, long, nested, short, table,
};

/// A message without its number.
#[derive(Clone, Debug)]
pub struct Message {
    pub routing_key: Vec<u8>,
    pub properties: RawProperties,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// A good event, of this account and with this JSON in it.
    Event { login: String, json: String },
    /// No event: `{n}` stands for its number.
    Other(String),
    /// No event, behind its number.
    Bytes(Vec<u8>),
}

impl Body {
    pub fn is_event(&self) -> bool {
        matches!(self, Self::Event { .. })
    }

    /// Its bytes, which no other message has.
    pub fn bytes(&self, number: usize) -> Vec<u8> {
        match self {
            Self::Event { login, json } => {
                event(format!("fuzz-{number}")).by(login).with("fuzz", json).bytes()
            }
            Self::Other(text) => text.replace("{n}", &format!("fuzz-{number}")).into_bytes(),
            Self::Bytes(bytes) => [format!("fuzz-{number}:").as_bytes(), bytes].concat(),
        }
    }
}

pub fn message() -> impl Strategy<Value = Message> {
    (text(), properties(), body()).prop_map(|(routing_key, properties, body)| Message {
        routing_key,
        properties,
        body,
    })
}

/// At most 255 bytes.
fn text() -> impl Strategy<Value = Vec<u8>> + Clone {
    let known = [
        "",
        "PushEvent",
        "application/json",
        "\n2026-01-01T00:00:00Z ERROR forged",
        "\x1b[2J\u{202e}",
        "-1",
        "18446744073709551616",
        "github-events.load",
        "#",
        "nul\0",
    ];
    prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 250..=255),
        3 => "\\PC{0,40}".prop_map(String::into_bytes),
        3 => select(known.map(str::as_bytes).map(<[u8]>::to_vec).to_vec()),
    ]
}

fn properties() -> impl Strategy<Value = RawProperties> {
    let texts =
        [CONTENT_TYPE, CONTENT_ENCODING, CORRELATION_ID, REPLY_TO, MESSAGE_ID, TYPE, APP_ID, CLUSTER_ID];
    let mut all: Vec<BoxedStrategy<(u8, Option<Vec<u8>>)>> = texts
        .into_iter()
        .map(|bit| (Just(bit), weighted(0.3, text().prop_map(|text| short(&text)))).boxed())
        .collect();
    let expiration = select(vec!["86400000", "soon", "", "-1"]).prop_map(|text| short(text.as_bytes()));
    all.extend([
        (Just(HEADERS), weighted(0.6, headers())).boxed(),
        // RabbitMQ refuses other modes.
        (Just(DELIVERY_MODE), weighted(0.5, select(vec![vec![1], vec![2]]))).boxed(),
        (Just(PRIORITY), weighted(0.2, vec(any::<u8>(), 1))).boxed(),
        (Just(TIMESTAMP), weighted(0.3, vec(any::<u8>(), 8))).boxed(),
        // RabbitMQ refuses most of these.
        (Just(EXPIRATION), weighted(0.03, expiration)).boxed(),
        (Just(USER_ID), weighted(0.03, select(vec![short(b"guest"), short(b"other")]))).boxed(),
    ]);
    all.prop_map(|all| {
        RawProperties(all.into_iter().filter_map(|(bit, value)| Some((bit, value?))).collect())
    })
}

/// The headers of a message, encoded; a few of them are no table.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let ours = [
        "x-etl-reason",
        "x-etl-attempts",
        "x-etl-first-failed-at",
        "x-etl-original-routing-key",
        "x-etl-redeliveries",
        "x-etl-redrives",
        "x-etl-suspect",
        "x-death",
        "x-first-death-queue",
        "x-delivery-count",
        "x-stream-offset",
        "traceparent",
        "tracestate",
    ];
    let name = prop_oneof![text(), select(ours.map(str::as_bytes).map(<[u8]>::to_vec).to_vec())];
    let entries = vec((name, value()), 0..6).prop_map(|entries| {
        let entries: Vec<_> = entries.iter().map(|(name, value)| (&name[..], value.clone())).collect();
        table(&entries)[1..].to_vec()
    });
    let no_table = vec(any::<u8>(), 0..60)
        .prop_map(|bytes| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat());
    let deep = (1_usize..3000).prop_map(|depth| table(&[(b"deep", nested(depth))])[1..].to_vec());
    prop_oneof![20 => entries, 1 => no_table, 1 => deep]
}

/// The value of a header, encoded, type first.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [("t", 1), ("b", 1), ("B", 1), ("s", 2), ("u", 2), ("I", 4), ("i", 4), ("l", 8), ("L", 8)];
    let more = [("f", 4), ("d", 8), ("D", 5), ("T", 8), ("V", 0)];
    let fixed: Vec<_> = fixed.into_iter().chain(more).collect();
    let fixed = select(fixed).prop_flat_map(|(kind, bytes)| {
        vec(any::<u8>(), bytes).prop_map(move |bytes| [kind.as_bytes(), &bytes].concat())
    });
    let texts =
        (select(vec![b"S", b"x"]), text()).prop_map(|(kind, text)| [&kind[..], &long(&text)[1..]].concat());
    prop_oneof![fixed, texts].prop_recursive(4, 24, 4, |inner| {
        let list = vec(inner.clone(), 0..4).prop_map(|values| {
            let values = values.concat();
            [b"A", &u32::try_from(values.len()).unwrap().to_be_bytes()[..], &values].concat()
        });
        let entries = vec((text(), inner), 0..4).prop_map(|entries| {
            let entries: Vec<_> = entries.iter().map(|(name, value)| (&name[..], value.clone())).collect();
            table(&entries)
        });
        prop_oneof![list, entries]
    })
}

fn body() -> impl Strategy<Value = Body> {
    let others = [
        r#""{n}""#,
        r#"["{n}"]"#,
        r#"{"n":"{n}"}"#,
        r#"{"id":"{n}","type":"PushEvent"}"#,
        r#"{"id":"{n}","created_at":"2015-01-01T00:00:00Z"}"#,
        r#"{"id":"{n}","type":"PushEvent","created_at":"9999-12-31T23:59:59Z"}"#,
        r#"{"id":"{n}","type":"PushEvent","created_at":"2015-01-01T25:00:00Z"}"#,
        r#"{"id":["{n}"],"type":"PushEvent","created_at":"2015-01-01T00:00:00Z"}"#,
        r#"{"id":"{n}","type":"PushEvent","created_at":"2015-01-01T00:00:00Z"} x"#,
        r#"{"id":"{n}","type":"PushEvent","created_at":"2015-01-01T00:00:00Z""#,
        "\u{feff}{n}",
    ];
    let login = prop_oneof!["\\PC{0,20}", Just("a\u{1b}[2J\u{202e}".to_owned())];
    prop_oneof![
        3 => (login, json()).prop_map(|(login, json)| Body::Event { login, json: json.to_string() }),
        1 => select(others.map(str::to_owned).to_vec()).prop_map(Body::Other),
        1 => vec(any::<u8>(), 0..200).prop_map(Body::Bytes),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // The model of the tests reads other fractions with a loss.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}
