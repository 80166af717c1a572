//! Compares what a side has left in Redis with what must be there.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use github_event_etl::config::EventLog;
use github_event_etl::event::Event;
use redis::Connection;
use redis::streams::StreamRangeReply;
use serde_json::Value;

use crate::clients::{NAMESPACE, events_loaded};
use crate::expected::Expected;

/// Questions in one round trip.
const AT_ONCE: usize = 1000;

/// Fails if counts, scores, event log or stream differ from those that the workload must leave.
pub fn verify(redis: &mut Connection, bodies: &[Vec<u8>], expected: &Expected, log: EventLog) -> Result<()> {
    let loaded = events_loaded(redis);
    ensure!(loaded == bodies.len() as u64, "{loaded} of {} events are loaded", bodies.len());
    verify_hashes(redis, expected)?;
    verify_log(redis, expected, log)?;
    verify_stream(redis, bodies, expected)
}

fn verify_hashes(redis: &mut Connection, expected: &Expected) -> Result<()> {
    for (hour, counts) in &expected.counts {
        let found: HashMap<String, u64> =
            redis::cmd("HGETALL").arg(format!("{NAMESPACE}:event-count:{hour}")).query(redis)?;
        ensure!(found == *counts, "counts of {hour}: {found:?} in place of {counts:?}");
    }
    for (hour, scores) in &expected.scores {
        let mut range = redis::cmd("ZRANGE");
        range.arg(format!("{NAMESPACE}:dev-score:{hour}")).arg(0).arg(-1).arg("WITHSCORES");
        let found: HashMap<String, u64> = range.query(redis)?;
        ensure!(found == *scores, "the scores of {hour} differ");
    }
    let hours: usize = redis::cmd("ZCARD").arg(format!("{NAMESPACE}:hours")).query(redis)?;
    ensure!(hours == expected.counts.len(), "{hours} hours in place of {}", expected.counts.len());
    Ok(())
}

/// Every event is in the log.
fn verify_log(redis: &mut Connection, expected: &Expected, log: EventLog) -> Result<()> {
    let names: Vec<_> = expected.events.keys().collect();
    for names in names.chunks(AT_ONCE) {
        let mut pipeline = redis::pipe();
        for (id, created_at) in names {
            match log {
                EventLog::PerEvent => pipeline.cmd("EXISTS").arg(format!("{NAMESPACE}:event-log:{id}")),
                EventLog::PerSecond => {
                    pipeline.cmd("SISMEMBER").arg(format!("{NAMESPACE}:event-log:{created_at}")).arg(id)
                }
            };
        }
        let known: Vec<u64> = pipeline.query(redis)?;
        let missing = known.iter().position(|known| *known == 0);
        ensure!(missing.is_none(), "{:?} is not in the event log", missing.map(|place| names[place]));
    }
    Ok(())
}

/// Every entry of the capped stream has the fields of its event.
fn verify_stream(redis: &mut Connection, bodies: &[Vec<u8>], expected: &Expected) -> Result<()> {
    let mut range = redis::cmd("XRANGE");
    range.arg(format!("{NAMESPACE}:event-stream")).arg("-").arg("+");
    let stream: StreamRangeReply = range.query(redis)?;
    ensure!(stream.ids.len() >= bodies.len().min(1000), "the stream has {} entries", stream.ids.len());
    for entry in stream.ids {
        let field =
            |name: &str| entry.get::<String>(name).with_context(|| format!("an entry without {name}"));
        let name = (field("id")?, field("created_at")?);
        let Some(place) = expected.events.get(&name) else {
            bail!("the stream has {name:?}, which nobody sent")
        };
        let event = Event::parse(&bodies[*place])?;
        ensure!(entry.map.len() == event.flattened().len(), "{name:?} has {} fields", entry.map.len());
        for (field, value) in event.flattened() {
            let found: Option<String> = entry.get(field);
            ensure!(
                found.as_deref().is_some_and(|found| same(found, &value)),
                "{name:?}: {field} is {found:?}"
            );
        }
    }
    Ok(())
}

/// Byte for byte, or the same JSON: languages differ in how they escape characters.
fn same(found: &str, expected: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text).ok();
    found == expected || parsed(found).is_some_and(|found| Some(found) == parsed(expected))
}
