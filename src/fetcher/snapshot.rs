//! The snapshot of a feed, saved for the next process. Pure.
//!
//! It is read from a queue that other users of RabbitMQ may write to. So values that could make a feed lose events, or send
//! junk to GitHub, are rejected.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use super::memory::{LATE_MAX, Mark};
use super::schedule::Rate;
use crate::github::is_fit_etag;

/// Clocks differ by so much at most. With a newest event from the future, every poll would seem to overlap.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);
/// GitHub opened in 2008. With an earlier newest event, the gap would span centuries.
const GITHUB_OPENED_S: i64 = 1_199_145_600;

/// The memory of one feed. Thousands are saved together, so names are short and unknown values are left out. Members are only
/// ever added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct FeedSnapshot {
    #[serde(rename = "e", skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The index of the token that got the ETag. If the tokens were changed since, it may be another token. Then GitHub answers
    /// 200 once in place of 304, which costs one request. So nothing is saved that could tell one token from another.
    #[serde(rename = "t", skip_serializing_if = "is_zero")]
    pub token: usize,
    /// When the newest event known was created.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// Of the newest events known, oldest first.
    #[serde(rename = "m", with = "marks", skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// All visible events from before this time are known, without marks. None if all of them have marks.
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub known_before: Option<DateTime<Utc>>,
    #[serde(rename = "c", skip_serializing_if = "Coverage::is_empty")]
    pub coverage: Coverage,
    /// The pause that GitHub asks for between two polls, if it is not the usual one.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// How active the source is, as of its last good poll.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// When the answer to that poll came.
    #[serde(
        rename = "p",
        with = "chrono::serde::ts_seconds_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub polled: Option<DateTime<Utc>>,
}

impl FeedSnapshot {
    /// The snapshot, if it makes sense at `now`.
    ///
    /// # Errors
    /// The reason why it does not.
    pub(super) fn checked(mut self, now: DateTime<Utc>) -> Result<Self, String> {
        let is_sound =
            |newest: &DateTime<Utc>| newest.timestamp() >= GITHUB_OPENED_S && *newest <= now + AHEAD_MAX;
        if let Some(newest) = self.newest.filter(|newest| !is_sound(newest)) {
            return Err(format!("its newest event is of {newest}, which is no time of an event"));
        }
        // Without a newest event nothing is known, and a 304 would hide all that is there.
        let is_of_use = |etag: &String| self.newest.is_some() && is_fit_etag(etag.as_bytes());
        self.etag = self.etag.filter(is_of_use);
        // Events that come later must not be taken for known ones.
        let latest = self.newest.and_then(|newest| newest.checked_sub_signed(LATE_MAX));
        self.known_before = self.known_before.filter(|before| latest.is_some_and(|latest| *before <= latest));
        self.polled = self.polled.filter(|polled| *polled <= now + AHEAD_MAX);
        self.rate = self.rate.filter(|rate| rate.is_sound() && self.polled.is_some());
        Ok(self)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// Marks as one string: base64 of little-endian numbers.
mod marks {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::super::memory::REMEMBERED_MAX;
    use super::Mark;

    const MARK_BYTES: usize = size_of::<Mark>();

    pub(super) fn serialize<S: Serializer>(marks: &[Mark], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = marks.iter().flat_map(|mark| mark.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mark>, D::Error> {
        let bytes = STANDARD_NO_PAD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (marks, rest) = bytes.as_chunks::<MARK_BYTES>();
        if !rest.is_empty() {
            return Err(D::Error::custom(format!("its marks are {} bytes, not 8 for each", bytes.len())));
        }
        if marks.len() > REMEMBERED_MAX {
            return Err(D::Error::custom(format!(
                "it has {} marks, more than {REMEMBERED_MAX}",
                marks.len()
            )));
        }
        Ok(marks.iter().map(|mark| Mark::from_le_bytes(*mark)).collect())
    }
}

#[cfg(test)]
mod tests;
