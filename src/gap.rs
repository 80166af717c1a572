//! The record of a gap: a time in which polling missed events. The fetcher writes it into the queue of gaps, `replay gaps` reads it.
//! Pure.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// The record of a gap, the JSON body of a message in the queue of gaps. Later versions may add fields, never change any.
///
/// ```json
/// {"source":"events","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,
///  "detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}
/// ```
///
/// Events created from `from` to `to`, both included (a second holds many events), may be missing. `from` ≤ `to`, and
/// `seconds` is their difference, which may be 0. The same gap may be recorded twice; its `message_id` is then the same.
///
/// A record is removed when its gap is filled. If GH Archive lacks the gap, `replay gaps` adds `lacked_by`, `searched_at` and
/// `files_read`, and removes the record 90 days after the last search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// The feed, as `--source` names it.
    pub source: String,
    /// When the newest event known before was created, or six hours before the last complete poll, whichever is later.
    #[serde(with = "seconds")]
    pub from: DateTime<Utc>,
    /// When the oldest event of the poll that found the gap was created.
    #[serde(with = "seconds")]
    pub to: DateTime<Utc>,
    pub seconds: u64,
    #[serde(with = "seconds")]
    pub detected_at: DateTime<Utc>,
    /// The number of events of this poll, new or not.
    pub events_in_poll: usize,
    /// GitHub's number of the repository, of a source `repos/…` whose poll told it. It stays when the repository is renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_id: Option<u64>,
    /// The mirrors of GH Archive whose files of all its hours `replay gaps` read, and that hold no event of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacked_by: Vec<String>,
}

impl GapRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, with the reason.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if record.to < record.from { Err("it ends before it begins".into()) } else { Ok(record) }
    }

    /// Its JSON.
    pub fn json(&self) -> Vec<u8> {
        // Strings and numbers into memory: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The `message_id`, which is the same for two records of one gap.
    pub fn id(&self) -> String {
        format!("gap {} {} {}", self.source, text(self.from), text(self.to))
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(crate) mod seconds {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"source":"repos/a/b","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#;

    #[test]
    fn a_record_is_read_as_it_was_written_and_later_fields_do_not_matter() {
        let record = GapRecord::parse(JSON.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(record.json()).unwrap(), JSON);
        assert_eq!(record.id(), "gap repos/a/b 2026-01-01T12:00:09Z 2026-01-01T12:01:40Z");
        assert_eq!(GapRecord::parse(JSON.replace('{', "{\"later\":1,").as_bytes()), Ok(record));
    }

    #[test]
    fn what_only_some_records_have_is_written_where_it_is() {
        let more = JSON.replace('}', r#","repo_id":7,"lacked_by":["https://data.gharchive.org"]}"#);
        let record = GapRecord::parse(more.as_bytes()).unwrap();
        assert_eq!((record.repo_id, record.lacked_by.len()), (Some(7), 1));
        assert_eq!(String::from_utf8(record.json()).unwrap(), more);
    }

    #[test]
    fn what_is_no_gap_is_refused() {
        let backwards = JSON.replace("2026-01-01T12:01:40Z", "2026-01-01T11:00:00Z");
        for bad in ["", "{}", "[]", &backwards, &JSON.replace("2026-01-01T12:00:09Z", "yesterday")] {
            assert!(GapRecord::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
