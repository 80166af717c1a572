//! Fills the event log fast, by a loop inside of Redis.

use anyhow::{Context as _, Result};
use github_event_etl::config::EventLog;
use redis::Connection;

use crate::clients::NAMESPACE;

/// Far away: 2100.
const NEVER_MS: i64 = 4_102_444_800_000;
/// One call enters this many events of the past.
const STEP: u64 = 500_000;
/// Events of the past in a second.
const PER_SECOND: u64 = 58;

/// Enters `count` events, 58 in each second, that are older than all that is loaded afterwards. Their keys are those that the script
/// makes; they expire after the measurement.
pub fn preload(redis: &mut Connection, event_log: EventLog, count: u64) -> Result<()> {
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
    for first in (0..count).step_by(usize::try_from(STEP)?) {
        let last = (first + STEP).min(count) - 1;
        let mut eval = redis::cmd("EVAL");
        eval.arg(script).arg(1).arg(format!("{NAMESPACE}:event-log:"));
        eval.arg(first).arg(last).arg(NEVER_MS).arg(PER_SECOND);
        eval.query::<()>(redis).context("fill the event log")?;
    }
    Ok(())
}
