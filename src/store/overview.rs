//! Reads for the dashboard: an hour's counts, which hours exist, and the position of the stream.

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

/// One step of looking through all keys for hours.
pub struct HoursFound {
    /// Hours that have counts, perhaps repeated.
    pub hours: Vec<Hour>,
    /// Where to go on; 0 when all keys have been seen.
    pub cursor: u64,
}

/// Keys that Redis looks at in one step: about a millisecond of its time.
const SCAN_COUNT: usize = 1000;

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

    /// Those of `hours` that have counts, in the same order.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn hours_among(&self, hours: &[Hour]) -> Result<Vec<Hour>, Fault> {
        let mut connection = self.connection().await?;
        let mut ask = redis::pipe();
        for hour in hours {
            ask.cmd("EXISTS").arg(self.keys.counts(*hour));
        }
        let answer: redis::RedisResult<Vec<bool>> = ask.query_async(&mut connection.multiplexed).await;
        let exist = self.look_at(answer, &connection).await?;
        Ok(hours.iter().zip(exist).filter(|(_, exists)| *exists).map(|(hour, _)| *hour).collect())
    }

    /// Looks at some more keys, from `cursor` on (0 at first), for hours that have counts.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn scan_hours(&self, cursor: u64) -> Result<HoursFound, Fault> {
        let prefix = self.keys.counts_prefix();
        let mut scan = redis::cmd("SCAN");
        // A namespace has no character that means something in a pattern.
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(SCAN_COUNT);
        let (cursor, keys): (u64, Vec<String>) = self.ask(&scan).await?;
        let hours = keys.iter().filter_map(|key| key.strip_prefix(&prefix)?.parse().ok());
        Ok(HoursFound { hours: hours.collect(), cursor })
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
