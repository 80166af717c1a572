//! Fills the event log fast, by a loop inside of Redis, and asks Redis about itself.

use anyhow::{Context as _, Result};
use github_event_etl::config::EventLog;

use crate::clients::NAMESPACE;
use crate::redis_server::RedisServer;

/// Far away: 2100.
const NEVER_MS: i64 = 4_102_444_800_000;
/// One call enters this many events of the past.
const STEP: u64 = 500_000;
/// Events of the past in a second.
const PER_SECOND: u64 = 58;

/// Enters `count` events, 58 in each second, that are older than all that is loaded afterwards. Their keys are those that the script
/// makes; they expire after the measurement.
pub fn preload(redis: &RedisServer, event_log: EventLog, count: u64) -> Result<()> {
    let script = match event_log {
        EventLog::PerEvent => {
            r#"for n = ARGV[1], ARGV[2] do
                 redis.call('SET', KEYS[1] .. string.format('%d', 1000000000 + n * 7), '{"created_at":"2025-01-01T00:00:00Z"}',
                   'PXAT', ARGV[3])
               end"#
        }
        EventLog::PerSecond => {
            r#"for n = ARGV[1], ARGV[2] do
                 local second = string.format('%07d', math.floor(n / ARGV[4]))
                 local key = KEYS[1] .. '2025-01-01T0' .. second .. 'Z'
                 redis.call('SADD', key, string.format('%d', 1000000000 + n * 7))
                 if n % ARGV[4] == 0 then redis.call('PEXPIREAT', key, ARGV[3]) end
               end"#
        }
    };
    let mut connection = redis.connect();
    for first in (0..count).step_by(usize::try_from(STEP)?) {
        let last = (first + STEP).min(count) - 1;
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(format!("{NAMESPACE}:event-log:"));
        eval.arg(first).arg(last).arg(NEVER_MS).arg(PER_SECOND);
        eval.query::<()>(&mut connection).context("fill the event log")?;
    }
    Ok(())
}

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
