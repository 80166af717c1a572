//! Reads: the stream as it grows, and an hour's leaderboard.

use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};

use super::{Fault, Store};
use crate::event::Hour;

/// A developer's points in an hour.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DeveloperScore {
    pub login: String,
    pub score: u64,
}

/// An event in the stream: its flattened fields as they went in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// The stream's own id, such as `1526919030474-55`.
    pub id: String,
    /// Field and value, in no order.
    pub fields: std::collections::HashMap<String, String>,
}

impl Store {
    /// The developers with the most points in `hour`, at most `limit`, best first.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn leaderboard(&self, hour: Hour, limit: u32) -> Result<Vec<DeveloperScore>, Fault> {
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(self.keys.scores(hour)).arg(0).arg(i64::from(limit) - 1).arg("WITHSCORES");
        let rows: Vec<(String, f64)> = self.ask(&range).await?;
        // Scores are whole, not negative and below 2^53: the script sees to it.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(rows.into_iter().map(|(login, score)| DeveloperScore { login, score: score as u64 }).collect())
    }

    /// The newest entries of the stream, at most `count`, oldest first.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn stream_newest(&self, count: usize) -> Result<Vec<StreamEntry>, Fault> {
        let mut newest = redis::cmd("XREVRANGE");
        newest.arg(self.keys.stream()).arg("+").arg("-").arg("COUNT").arg(count);
        let reply: StreamRangeReply = self.ask(&newest).await?;
        Ok(reply.ids.into_iter().rev().map(StreamEntry::from).collect())
    }

    /// At most `count` entries after `after`, oldest first; none when none has come.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn stream_after(&self, after: &str, count: usize) -> Result<Vec<StreamEntry>, Fault> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(count).arg("STREAMS").arg(self.keys.stream()).arg(after);
        let reply: Option<StreamReadReply> = self.ask(&read).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        Ok(entries.map(StreamEntry::from).collect())
    }
}

impl From<StreamId> for StreamEntry {
    fn from(entry: StreamId) -> Self {
        let text = |value| match value {
            redis::Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        };
        let fields = entry.map.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect();
        Self { id: entry.id, fields }
    }
}
