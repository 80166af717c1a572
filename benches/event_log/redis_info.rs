//! Starts Redis, and asks it about itself.

use anyhow::{Context as _, Result};

use crate::redis_server::RedisServer;

/// The arguments of a Redis that keeps nothing on disk, with more settings.
pub fn arguments(settings: &[String]) -> Vec<&str> {
    ["--appendonly", "no"].into_iter().chain(settings.iter().map(String::as_str)).collect()
}

/// A number of `INFO`.
pub fn info(redis: &RedisServer, name: &str) -> Result<u64> {
    let info: String = redis::cmd("INFO").arg("all").query(&mut redis.connect())?;
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("INFO has no {name}"))
}

/// The version of the servers, with the name if it is not Redis.
pub fn version() -> Result<String> {
    let redis = RedisServer::start(&arguments(&[]));
    let info: String = redis::cmd("INFO").arg("server").query(&mut redis.connect())?;
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(match value("valkey_version") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {}", value("redis_version").unwrap_or("of unknown version")),
    })
}
