//! Reads for the dashboard: an hour's counts, and the position of the stream.

use std::collections::{BTreeMap, HashMap};

use redis::streams::StreamRangeReply;

use super::{Fault, Store, StreamEntry};
use crate::event::Hour;

/// The position of the event stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// Entries ever added, whether still there or not.
    pub added: u64,
    /// The id of the last one added; `0-0` before the first.
    pub last_id: String,
}

impl Store {
    /// The number of events loaded in `hour`, by type; nothing when the hour is not there.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn hour_counts(&self, hour: Hour) -> Result<BTreeMap<String, u64>, Fault> {
        let mut all = redis::cmd("HGETALL");
        all.arg(self.keys.counts(hour));
        self.ask(&all).await
    }

    /// The position of the stream.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn stream_position(&self) -> Result<StreamPosition, Fault> {
        let mut info = redis::cmd("XINFO");
        info.arg("STREAM").arg(self.keys.stream());
        let info: HashMap<String, redis::Value> = match self.ask(&info).await {
            Ok(info) => info,
            Err(Fault::Misconfigured(text)) if text.contains("no such key") => HashMap::new(),
            Err(fault) => return Err(fault),
        };
        let text = |name: &str| match info.get(name) {
            Some(redis::Value::BulkString(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Some(redis::Value::Int(number)) => Some(number.to_string()),
            _ => None,
        };
        Ok(StreamPosition {
            added: text("entries-added").and_then(|added| added.parse().ok()).unwrap_or(0),
            last_id: text("last-generated-id").unwrap_or_else(|| "0-0".into()),
        })
    }

    /// The newest entries at or before `last`, at most `count`, newest first. `(1-0` stands for what is before `1-0`.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn stream_back_from(&self, last: &str, count: usize) -> Result<Vec<StreamEntry>, Fault> {
        let mut range = redis::cmd("XREVRANGE");
        range.arg(self.keys.stream()).arg(last).arg("-").arg("COUNT").arg(count);
        let reply: StreamRangeReply = self.ask(&range).await?;
        Ok(reply.ids.into_iter().map(StreamEntry::from).collect())
    }
}
