//! Connections of the benchmark itself: to Redis for looking, to RabbitMQ for filling queues.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use github_event_etl::broker::{Broker, Names};
use github_event_etl::config::{AmqpUrl, Namespace};
use secrecy::SecretString;

/// The namespace of every side.
pub const NAMESPACE: &str = "bench";
/// Messages that RabbitMQ may send ahead of acks, on every side: the loader's default.
pub const PREFETCH: u16 = 1000;

pub fn namespace() -> Result<Namespace> {
    NAMESPACE.parse().map_err(anyhow::Error::msg)
}

pub fn broker(amqp_url: &str) -> Result<Broker> {
    let url = AmqpUrl::parse(&SecretString::from(amqp_url.to_owned()))?;
    Ok(Broker::new(&url, Names::new(&namespace()?, "load"), "bench")?)
}

/// A runtime as our programs have.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Events ever added to the stream; 0 before the first.
pub fn events_loaded(connection: &mut redis::Connection) -> u64 {
    let mut info = redis::cmd("XINFO");
    info.arg("STREAM").arg(format!("{NAMESPACE}:event-stream"));
    // An error means that the stream does not exist yet. The loop that asks has a time limit.
    let fields: std::collections::HashMap<String, redis::Value> = info.query(connection).unwrap_or_default();
    match fields.get("entries-added") {
        Some(redis::Value::Int(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Bytes that Redis has allocated, once nothing changes any more: connections that were closed give their buffers back a
/// moment later.
pub fn redis_bytes_at_rest(connection: &mut redis::Connection) -> Result<u64> {
    const LOOK: Duration = Duration::from_millis(50);
    const SAME_READINGS: u32 = 4;
    let start = Instant::now();
    let (mut bytes, mut same) = (redis_bytes(connection)?, 0);
    while same < SAME_READINGS {
        ensure!(start.elapsed() < Duration::from_secs(10), "the memory of Redis still changes after 10 s");
        std::thread::sleep(LOOK);
        let now = redis_bytes(connection)?;
        same = if now == bytes { same + 1 } else { 0 };
        bytes = now;
    }
    Ok(bytes)
}

fn redis_bytes(connection: &mut redis::Connection) -> Result<u64> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query(connection)?;
    info.get("used_memory").context("INFO memory has no used_memory")
}
