//! Rows 32 to 37: what is wrong with the message around the body. Headers are hints by whoever sent it: none of them
//! keeps an event from loading, and none breaks the way into the dead letters.

use std::io::Write as _;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::{Row, dead, loads};
use crate::support::corner::properties;
use crate::support::events::event;

const NOT_AN_EVENT: &str = "{}";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        with(properties("header-only").with_content_type("".into()), dead(32, "empty", "")),
        with(
            properties("gzip").with_content_encoding("gzip".into()),
            dead(33, "not-json", gzip(&event("gzip").bytes())),
        ),
        with(
            properties("m").with_content_type("text/html".into()).with_content_encoding("br".into()),
            loads(33, "other-content-type", event("other-content-type").bytes()),
        ),
        with(properties("another-id"), loads(34, "own-id", event("own-id").bytes())),
        with(properties(""), loads(34, "no-id", event("no-id").bytes())),
        // The design asks for an event, not for who sent it.
        with(BasicProperties::default(), loads(37, "stranger", event("stranger").bytes())),
    ];
    for (n, (number, headers)) in hostile_headers().into_iter().enumerate() {
        let properties = properties("hostile").with_headers(headers);
        let id = format!("headers-{n}");
        rows.push(with(properties.clone(), loads(number, &id, event(&id).bytes())));
        rows.push(with(properties, dead(number, "missing-field", NOT_AN_EVENT)));
    }
    rows
}

fn with(properties: BasicProperties, row: Row) -> Row {
    Row { properties, ..row }
}

fn hostile_headers() -> Vec<(u8, FieldTable)> {
    let attempts = [
        AMQPValue::LongLongInt(i64::MAX),
        AMQPValue::LongLongInt(i64::MIN),
        AMQPValue::LongString("many".into()),
        AMQPValue::Boolean(true),
        AMQPValue::Double(1e308),
        AMQPValue::Void,
        AMQPValue::FieldTable(FieldTable::default()),
    ];
    let mut all: Vec<_> =
        attempts.into_iter().map(|value| (35, table([("x-etl-attempts", value)]))).collect();
    let numbers: Vec<String> = (0..10_000).map(|n| format!("h{n}")).collect();
    all.push((35, table(numbers.iter().map(|name| (name.as_str(), AMQPValue::Boolean(true))))));
    let nested = (0..50).fold(FieldTable::default(), |inner, _| table([("t", AMQPValue::FieldTable(inner))]));
    all.push((35, nested));
    let reason = AMQPValue::LongString("\x1b[2J forged".into());
    let death = AMQPValue::FieldTable(table([("count", AMQPValue::LongLongInt(999))]));
    let forged = [("x-death", death), ("x-etl-attempts", AMQPValue::LongInt(999)), ("x-etl-reason", reason)];
    all.push((36, table(forged)));
    all
}

fn table<'a>(pairs: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
