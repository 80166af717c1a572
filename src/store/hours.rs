//! The hours that have counts: an index for readers, who need not look at millions of keys. The script adds an hour with its first
//! event. Versions without the index left namespaces that a loader indexes once.

use chrono::{DateTime, Utc};

use super::{Fault, Store};
use crate::event::Hour;

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
    /// Hours that have counts, at most `count`, in no order. Of more, those that expire first are left out; of those that never
    /// expire, the oldest.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn hours(&self, count: usize) -> Result<Vec<Hour>, Fault> {
        let mut range = redis::cmd("ZREVRANGEBYSCORE");
        range.arg(self.keys.hours()).arg("+inf").arg(after_now());
        range.arg("LIMIT").arg(0).arg(count);
        let hours: Vec<String> = self.ask(&range).await?;
        Ok(hours.iter().filter_map(|hour| hour.parse().ok()).collect())
    }

    /// When the first hour expires; nothing if none does.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not answer.
    pub async fn first_expiry(&self) -> Result<Option<DateTime<Utc>>, Fault> {
        let mut first = redis::cmd("ZRANGEBYSCORE");
        first.arg(self.keys.hours()).arg(after_now()).arg("(+inf");
        first.arg("WITHSCORES").arg("LIMIT").arg(0).arg(1);
        let hours: Vec<(String, f64)> = self.ask(&first).await?;
        // Milliseconds of this century.
        #[allow(clippy::cast_possible_truncation)]
        Ok(hours.first().and_then(|(_, at_ms)| DateTime::from_timestamp_millis(*at_ms as i64)))
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

    /// Enters `hour` in the index, unless it is there.
    ///
    /// # Errors
    /// [`Fault`] when Redis does not take it.
    pub async fn index_hour(&self, hour: Hour) -> Result<(), Fault> {
        let expires_at_ms: i64 = self.ask(redis::cmd("PEXPIRETIME").arg(self.keys.counts(hour))).await?;
        let score = match expires_at_ms {
            -2 => return Ok(()),
            -1 => "+inf".to_owned(),
            at => at.to_string(),
        };
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys.hours()).arg("NX").arg(score).arg(hour.to_string());
        self.ask(&add).await
    }
}

/// The scores of hours that have not expired begin here.
fn after_now() -> String {
    format!("({}", Utc::now().timestamp_millis())
}
