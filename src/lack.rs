//! The record of events that the archive stream lacks: the fetcher writes it into the stream in their place, and
//! `replay archive` reports it. Pure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::gap::seconds;

/// The property `type` of a record's message. No event's type has a hyphen.
pub const KIND: &str = "archive-lack";

/// Events that were published and loaded, and are not in the archive.
///
/// ```json
/// {"from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","events":91}
/// ```
///
/// They were published from `from` to `to`, both included. A fetcher that was killed cannot know whether the last ones were
/// stored after all: then `events` counts a few too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// When the first of them was published.
    #[serde(with = "seconds")]
    pub from: DateTime<Utc>,
    /// When the last of them was published.
    #[serde(with = "seconds")]
    pub to: DateTime<Utc>,
    pub events: u64,
}

impl Lack {
    /// The lack of one event.
    pub fn of_one(published: DateTime<Utc>) -> Self {
        Self { from: published, to: published, events: 1 }
    }

    /// The stretch that covers both.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            events: self.events.saturating_add(other.events),
        }
    }

    /// The part from `start` on, with a share of the events. None if all were published before.
    pub fn since(self, start: DateTime<Utc>) -> Option<Self> {
        if start <= self.from {
            return Some(self);
        }
        let (whole, part) = ((self.to - self.from).num_seconds(), (self.to - start).num_seconds());
        let share =
            u128::from(self.events) * u128::try_from(part).ok()? / u128::try_from(whole.max(1)).ok()?;
        Some(Self { from: start, events: u64::try_from(share).unwrap_or(u64::MAX), ..self })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, with the reason.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    /// Its JSON.
    pub fn json(&self) -> Vec<u8> {
        // Times and a number into memory: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_grows_over_both_ends() {
        let json = r#"{"from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","events":91}"#;
        let lack = Lack::parse(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(lack.json()).unwrap(), json);
        let earlier = Lack::of_one("2026-01-01T12:00:00Z".parse().unwrap());
        let both = lack.clone().with(&earlier);
        assert_eq!((both.from, both.to, both.events), (earlier.from, lack.to, 92));
        assert!(Lack::parse(b"{}").is_err());
    }
}
