//! Converts headers to JSON, for output and for files.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value, json};

use super::Envelope;

/// Values nested deeper are named and left out.
const DEPTH_MAX: usize = 16;

impl Envelope {
    /// All headers. Bytes that are not UTF-8 come as `{"base64": "…"}`.
    pub fn headers_json(&self) -> Map<String, Value> {
        self.0.headers().as_ref().map(|headers| table(headers, 0)).unwrap_or_default()
    }
}

fn table(headers: &FieldTable, depth: usize) -> Map<String, Value> {
    headers.inner().iter().map(|(name, value)| (name.to_string(), of(value, depth + 1))).collect()
}

fn of(value: &AMQPValue, depth: usize) -> Value {
    match value {
        AMQPValue::FieldTable(_) | AMQPValue::FieldArray(_) if depth > DEPTH_MAX => {
            json!("(nested too deeply)")
        }
        AMQPValue::FieldTable(headers) => Value::Object(table(headers, depth)),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(|value| of(value, depth + 1)).collect(),
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::DecimalValue(value) => json!({ "scale": value.scale, "value": value.value }),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => bytes(text.as_bytes()),
        AMQPValue::ByteArray(array) => bytes(array.as_slice()),
        AMQPValue::Timestamp(seconds) => json!(seconds),
        AMQPValue::Void => Value::Null,
    }
}

fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": BASE64_STANDARD.encode(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::*;

    #[test]
    fn headers_of_every_kind_are_shown_and_nesting_is_bounded() {
        let mut headers = FieldTable::default();
        let mut deep = AMQPValue::Void;
        for _ in 0..100 {
            deep = AMQPValue::FieldArray(vec![deep].into());
        }
        for (name, value) in [
            ("text", AMQPValue::LongString("größer".into())),
            ("bytes", AMQPValue::LongString(vec![0xff, 0].into())),
            ("number", AMQPValue::LongLongInt(-7)),
            ("nan", AMQPValue::Double(f64::NAN)),
            ("deep", deep),
        ] {
            headers.insert(name.into(), value);
        }
        let shown = Envelope(BasicProperties::default().with_headers(headers)).headers_json();
        assert_eq!(shown["text"], "größer");
        assert_eq!(shown["bytes"], json!({ "base64": "/wA=" }));
        assert_eq!((&shown["number"], &shown["nan"]), (&json!(-7), &json!(null)));
        assert!(shown["deep"].to_string().contains("nested too deeply"), "{}", shown["deep"]);
        assert!(Envelope(BasicProperties::default()).headers_json().is_empty());
    }
}
