//! Builds an event's JSON from its flattened fields, to show it, never to store it.

use std::collections::HashMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The order in which GitHub sends them; others follow by name.
const ORDER: [&str; 8] = ["id", "type", "actor", "repo", "payload", "public", "created_at", "org"];
/// Fields that are text, also if they look like JSON.
const ALWAYS_TEXT: [&str; 3] = ["id", "type", "created_at"];
/// The field that is left out first if the event is too large.
const LARGEST: &str = "payload";

/// Serialises as the event that its flattened fields came from, in one line.
///
/// A flattened string may itself be the JSON of an object, an array, true, false or null. The event then has that value, because the
/// fields do not distinguish the two. GitHub's events have no such strings. Numbers become strings, because a browser would round
/// them.
pub struct Rebuilt<'a> {
    fields: &'a HashMap<String, String>,
    is_cut: bool,
}

impl<'a> Rebuilt<'a> {
    /// From flattened fields, by name. With more than `bytes_max`, only the fields that every event has are shown, without the
    /// payload and with `"truncated":true`.
    pub fn new(fields: &'a HashMap<String, String>, bytes_max: usize) -> Self {
        let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        Self { fields, is_cut: bytes > bytes_max }
    }
}

impl Serialize for Rebuilt<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const CUT_VALUE_BYTES_MAX: usize = 4096;
        let mut names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        let place = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
        names.sort_by_key(|name| (place(name), *name));
        if self.is_cut {
            names.retain(|name| *name != LARGEST && ORDER.contains(name));
            names.retain(|name| self.fields[*name].len() <= CUT_VALUE_BYTES_MAX);
        }
        let mut map = serializer.serialize_map(None)?;
        for name in names {
            let value = &self.fields[name];
            match json(name, value) {
                Some(json) => map.serialize_entry(name, &json)?,
                None => map.serialize_entry(name, value)?,
            }
        }
        if self.is_cut {
            map.serialize_entry("truncated", &true)?;
        }
        map.end()
    }
}

/// `value` as JSON in one line, if it is to be shown as such.
fn json(name: &str, value: &str) -> Option<Box<RawValue>> {
    let is_structured = value.starts_with(['{', '[']) || ["true", "false", "null"].contains(&value);
    if ALWAYS_TEXT.contains(&name) || !is_structured {
        return None;
    }
    // Inside strings JSON has no line breaks; between its parts a space means the same.
    let line = value.replace(['\n', '\r'], " ");
    RawValue::from_string(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn rebuilt(body: &str, bytes_max: usize) -> String {
        let event = Event::parse(body.as_bytes()).unwrap();
        let fields: HashMap<String, String> =
            event.flattened().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        serde_json::to_string(&Rebuilt::new(&fields, bytes_max)).unwrap()
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let body = r#"{"id":"12345678901","type":"PushEvent","actor":{"id":1,"login":"a\u001b"},"payload":{"n":9007199254740993},"public":true,"created_at":"2026-01-01T00:00:00Z","zoo":null}"#;
        assert_eq!(rebuilt(body, 10_000), body);
    }

    #[test]
    fn line_breaks_cannot_leave_their_line() {
        let body = "{\"id\":\"1\",\"type\":\"a\\n\\nevent: evil\",\"payload\":{\r\n \"x\":\n[\r1]},\"created_at\":\"2026-01-01T00:00:00Z\",\"s\":\"{\\\"open\\n\"}";
        let line = rebuilt(body, 10_000);
        assert!(!line.contains(['\n', '\r']), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["type"], "a\n\nevent: evil");
        assert_eq!(value["payload"]["x"][0], 1);
        assert_eq!(value["s"], "{\"open\n");
    }

    #[test]
    fn ids_that_look_like_json_stay_text_and_numbers_become_text() {
        let line = rebuilt(
            r#"{"id":"null","type":"{}","n":9007199254740993,"created_at":"2026-01-01T00:00:00Z"}"#,
            10_000,
        );
        assert_eq!(
            line,
            r#"{"id":"null","type":"{}","created_at":"2026-01-01T00:00:00Z","n":"9007199254740993"}"#
        );
    }

    #[test]
    fn what_is_too_large_is_shown_without_its_payload() {
        let body = format!(
            r#"{{"id":"1","type":"PushEvent","actor":{{"login":"a"}},"payload":{{"t":"{}"}},"created_at":"2026-01-01T00:00:00Z"}}"#,
            "x".repeat(500)
        );
        assert_eq!(
            rebuilt(&body, 300),
            r#"{"id":"1","type":"PushEvent","actor":{"login":"a"},"created_at":"2026-01-01T00:00:00Z","truncated":true}"#
        );
    }
}
