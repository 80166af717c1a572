//! Fills the event log: through the script, as a loader does, or fast, by a loop inside of Redis.

use anyhow::{Context as _, Result, ensure};
use github_event_etl::config::{EventLog, RedisUrl, Retention};
use github_event_etl::event::Event;
use github_event_etl::store::{LoadCall, LoadPolicy, Score, Store, Verdict};
use secrecy::SecretString;

use crate::redis_server::RedisServer;

pub const LAYOUTS: [EventLog; 2] = [EventLog::PerEvent, EventLog::PerSecond];
pub const NAMESPACE: &str = "bench";
const WEEK_S: u64 = 7 * 24 * 3600;
pub const POLICY: LoadPolicy =
    LoadPolicy { stream_maxlen: 1000, retention: Retention::For(std::time::Duration::from_secs(WEEK_S)) };

/// Loads events into one Redis as a loader does.
pub struct Filler {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl Filler {
    pub fn new(redis: &RedisServer, event_log: EventLog) -> Result<Self> {
        let url = RedisUrl::parse(&SecretString::from(redis.url()), None)?;
        let namespace = NAMESPACE.parse().map_err(anyhow::Error::msg)?;
        let store = Store::new(&url, &namespace)?.with_event_log(event_log);
        Ok(Self { store, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// Loads these in one round trip. Gives the number of events that were new.
    pub fn load(&self, bodies: &[Vec<u8>]) -> Result<usize> {
        let events = bodies.iter().map(|body| Event::parse(body)).collect::<Result<Vec<_>, _>>()?;
        let calls = events.iter().map(|event| {
            let login = event.actor_login().filter(|_| event.kind == "PushEvent");
            LoadCall { event, score: login.map(|login| Score { login, weight: 1 }) }
        });
        let verdicts = self.runtime.block_on(self.store.load(POLICY, &calls.collect::<Vec<_>>()));
        let failed = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Failed(_)));
        ensure!(failed.is_none(), "the script failed: {failed:?}");
        Ok(verdicts.iter().filter(|verdict| **verdict == Verdict::Loaded).count())
    }
}

/// One call enters this many events of the past.
const STEP: u64 = 500_000;
/// Events of the past in a second.
const PER_SECOND: u64 = 58;

/// Enters `count` events, 58 in each second, that are older than all that is loaded afterwards. Their keys are those that the script
/// makes; all expire at `expires_at_ms`.
pub fn preload(redis: &RedisServer, event_log: EventLog, count: u64, expires_at_ms: i64) -> Result<()> {
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
        eval.arg(first).arg(last).arg(expires_at_ms).arg(PER_SECOND);
        eval.query::<()>(&mut connection).context("fill the event log")?;
    }
    Ok(())
}

/// A number of `INFO`.
pub fn info(redis: &RedisServer, name: &str) -> Result<u64> {
    let info: String = redis::cmd("INFO").arg("all").query(&mut redis.connect())?;
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("INFO has no {name}"))
}

/// The version of the server, with its name if it is not Redis.
pub fn version(redis: &RedisServer) -> Result<String> {
    let info: String = redis::cmd("INFO").arg("server").query(&mut redis.connect())?;
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(match value("valkey_version") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {}", value("redis_version").unwrap_or("of unknown version")),
    })
}
