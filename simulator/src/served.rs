//! What clients asked and got, for the assertions of tests.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::answer::Answer;
use super::asked::Asked;
use super::fault::Fault;
use super::feed::Tally;
use super::world::Sum;

/// Counts of requests and answers since the start; `GET /simulator/stats` has the same as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Served {
    /// Requests to anything but `/simulator/…`.
    pub requests: u64,
    /// Requests that carried an `Authorization` header.
    pub authorised: u64,
    /// Answers by status, including those of faults. A hanging request counts with 200, which is never sent.
    pub statuses: BTreeMap<u16, u64>,
    /// How often each fault struck, by its kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Requests of each token, by its number: 1 for the first that was seen.
    pub tokens: BTreeMap<usize, u64>,
    /// What became of the feed's events; in a world of repositories, of those of all repositories' own feeds.
    pub events: Tally,
    /// Repositories' feeds by state, organisations' feeds and the feed of all events, in sum. Only of a world.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub world: BTreeMap<&'static str, Sum>,
    /// The last requests, newest last; at most [`Served::RECENT_MAX`].
    pub recent: VecDeque<Seen>,
}

/// A request as it came, and the status of its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// When it came.
    #[serde(serialize_with = "as_text")]
    pub at: DateTime<Utc>,
    /// `GET`, mostly.
    pub method: String,
    /// The `Host` header: a client that was lured to another host is seen by it.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// Whether there was an `Authorization` header.
    pub authorised: bool,
    /// The number of its token, from 1 in the order in which tokens were seen.
    pub token: Option<usize>,
    /// Headers by lower-case name, cut to 200 characters; the value of `authorization` is not kept.
    pub headers: BTreeMap<String, String>,
}

/// The longest header value kept, in characters.
const HEADER_CHARS_MAX: usize = 200;

impl Served {
    /// How many requests are kept in [`Served::recent`].
    pub const RECENT_MAX: usize = 500;

    /// Answers with this status.
    pub fn with_status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    /// How often faults of a kind struck, such as `secondary-limit`.
    pub fn struck(&self, kind: &str) -> u64 {
        self.faults.get(kind).copied().unwrap_or_default()
    }

    pub(super) fn note_fault(&mut self, fault: &Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    pub(super) fn note(&mut self, asked: &Asked, answer: &Answer, token: Option<usize>, at: DateTime<Utc>) {
        self.requests += 1;
        if let Some(number) = token {
            *self.tokens.entry(number).or_default() += 1;
        }
        self.authorised += u64::from(asked.authorised());
        *self.statuses.entry(answer.status.as_u16()).or_default() += 1;
        if self.recent.len() == Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Seen {
            at,
            method: asked.method.to_string(),
            host: asked.host.clone(),
            path: asked.uri.to_string(),
            status: answer.status.as_u16(),
            authorised: asked.authorised(),
            token,
            headers: asked
                .headers
                .iter()
                .map(|(name, value)| kept(name.as_str(), value.as_bytes()))
                .collect(),
        });
    }
}

fn as_text<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

fn kept(name: &str, value: &[u8]) -> (String, String) {
    let value = match name {
        "authorization" => "(not kept)".to_owned(),
        _ => String::from_utf8_lossy(value).chars().take(HEADER_CHARS_MAX).collect(),
    };
    (name.to_owned(), value)
}
