//! Connections of the benchmark itself: to Redis for looking, to RabbitMQ for filling queues.

use anyhow::Result;
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

/// Bytes that Redis has allocated, without its connections' buffers and its replication backlog.
pub fn redis_data_bytes(connection: &mut redis::Connection) -> Result<u64> {
    let stats: std::collections::HashMap<String, redis::Value> =
        redis::cmd("MEMORY").arg("STATS").query(connection)?;
    match stats.get("dataset.bytes") {
        Some(redis::Value::Int(bytes)) => Ok(u64::try_from(*bytes).unwrap_or(0)),
        other => anyhow::bail!("MEMORY STATS has no dataset.bytes: {other:?}"),
    }
}
