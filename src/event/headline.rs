//! The fields of an event that fit on one line: time, type, actor and repository.

use std::borrow::Cow;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Hour, fields};

/// Type, actor and repository of an event, read from its flattened fields; empty where the event does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headline {
    pub kind: String,
    pub created_at: String,
    pub actor: String,
    pub repo: String,
}

impl Headline {
    /// Reads the headline from flattened fields, given by name.
    pub fn from_fields<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name: &str| field(name).unwrap_or_default().to_owned();
        Self {
            kind: text("type"),
            created_at: text("created_at"),
            actor: field("actor").and_then(|json| name_in(json, "login")).unwrap_or_default().into_owned(),
            repo: field("repo").and_then(|json| name_in(json, "name")).unwrap_or_default().into_owned(),
        }
    }

    /// The hour that the event is counted in. None if `created_at` is no time.
    pub fn hour(&self) -> Option<Hour> {
        DateTime::parse_from_rfc3339(&self.created_at).ok().map(|time| Hour::of(time.to_utc()))
    }
}

/// The string `name` (`login` or `name`) of the object `json`.
pub(super) fn name_in<'a>(json: &'a str, name: &str) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        login: Option<&'a RawValue>,
        #[serde(borrow)]
        name: Option<&'a RawValue>,
    }
    let named: Named<'_> = serde_json::from_str(json).ok()?;
    let value = if name == "login" { named.login } else { named.name };
    fields::unquote(value?.get())
}

/// The number `id` of the object `json`.
pub(super) fn id_in(json: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let numbered: Numbered<'_> = serde_json::from_str(json).ok()?;
    numbered.id?.get().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headline_takes_what_is_there() {
        let fields = [
            ("type", "PushEvent"),
            ("created_at", "2026-01-01T00:00:00Z"),
            ("actor", r#"{"id":1,"login":"octo\u0063at"}"#),
            ("repo", r#"{"name":"o/r","id":2}"#),
        ];
        let find = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1);
        let headline = Headline::from_fields(find);
        assert_eq!(
            (headline.kind.as_str(), headline.actor.as_str(), headline.repo.as_str()),
            ("PushEvent", "octocat", "o/r")
        );
        assert_eq!(headline.hour().unwrap().to_string(), "2026-01-01-00");
        assert_eq!(Headline::from_fields(|_| Some("null")).actor, "");
        assert_eq!(Headline::from_fields(|_| None), Headline::default());
        assert_eq!(Headline::default().hour(), None);
    }

    #[test]
    fn a_repository_has_a_number_or_none() {
        for (json, id) in [
            (r#"{"name":"o/r","id":2}"#, Some(2)),
            (r#"{"id":null}"#, None),
            (r#"{"id":"2"}"#, None),
            (r#"{"name":"o/r"}"#, None),
            ("7", None),
        ] {
            assert_eq!(id_in(json), id, "{json}");
        }
    }
}
