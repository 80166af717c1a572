//! Loads events into Redis by the store's calls, without RabbitMQ.

use anyhow::{Result, ensure};
use github_event_etl::config::{EventLog, RedisUrl, Retention};
use github_event_etl::event::Event;
use github_event_etl::store::{LoadCall, LoadPolicy, Score, Store, Verdict};
use secrecy::SecretString;

use crate::clients::{namespace, runtime};
use crate::expected::scores;

/// The loader's defaults.
const POLICY: LoadPolicy = LoadPolicy {
    stream_maxlen: 1000,
    retention: Retention::For(std::time::Duration::from_secs(7 * 24 * 3600)),
};

/// One connection to Redis, and a runtime for it.
pub struct DirectLoader {
    store: Store,
    runtime: tokio::runtime::Runtime,
}

impl DirectLoader {
    pub fn new(redis_url: &str, event_log: EventLog) -> Result<Self> {
        let url = RedisUrl::parse(&SecretString::from(redis_url.to_owned()), None)?;
        let store = Store::new(&url, &namespace()?)?.with_event_log(event_log);
        Ok(Self { store, runtime: runtime()? })
    }

    /// Loads these in one round trip. Gives the number of events that were new.
    pub fn load(&self, bodies: &[Vec<u8>]) -> Result<usize> {
        let events = bodies.iter().map(|body| Event::parse(body)).collect::<Result<Vec<_>, _>>()?;
        let calls = events.iter().map(|event| {
            let login = event.actor_login().filter(|_| scores(&event.kind));
            LoadCall { event, score: login.map(|login| Score { login, weight: 1 }) }
        });
        let verdicts = self.runtime.block_on(self.store.load(POLICY, &calls.collect::<Vec<_>>()));
        let failed = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Failed(_)));
        ensure!(failed.is_none(), "the script failed: {failed:?}");
        Ok(verdicts.iter().filter(|verdict| **verdict == Verdict::Loaded).count())
    }
}
