//! Splits an object into its top-level fields, each with the exact JSON text of its value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::NotAnEvent;

/// The most top-level fields taken; GitHub sends 7 or 8. Lua can pass about 8,000 values to one command, a field needs 2.
pub(super) const FIELDS_MAX: usize = 256;

pub(super) struct RawFields<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// Markers carried through serde's error type, which has only text.
const TOO_MANY: &str = "etl: too many fields";
const DUPLICATE: &str = "etl: duplicate field";

pub(super) fn parse(body: &[u8]) -> Result<RawFields<'_>, NotAnEvent> {
    match body.trim_ascii_start().first() {
        None => return Err(NotAnEvent::Empty),
        Some(b'{') => {}
        Some(_) => {
            // Valid JSON of another shape gets the reason that helps; anything else the parser's.
            return Err(match serde_json::from_slice::<&RawValue>(body) {
                Ok(_) => NotAnEvent::NotAnObject,
                Err(error) => NotAnEvent::NotJson(describe(&error)),
            });
        }
    }
    let fields: RawFields = serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        if text.starts_with(TOO_MANY) {
            NotAnEvent::TooManyFields
        } else if text.starts_with(DUPLICATE) {
            NotAnEvent::DuplicateField
        } else {
            NotAnEvent::NotJson(describe(&error))
        }
    })?;
    for (_, value) in &fields.0 {
        if value.get().starts_with('"') && unquote(value.get()).is_none() {
            return Err(NotAnEvent::NotJson("a string holds half of a surrogate pair".into()));
        }
    }
    Ok(fields)
}

/// The value of a JSON string; `None` if `json` is not a string, or one that is not Unicode (a lone surrogate).
pub(super) fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The parser's complaint with its place; serde's text never quotes more than a character of the input.
fn describe(error: &serde_json::Error) -> String {
    error.to_string()
}

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(8);
                while let Some(Name(name)) = map.next_key()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(DUPLICATE));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A key, borrowed where it holds no escapes (serde's own `Cow` always copies).
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
