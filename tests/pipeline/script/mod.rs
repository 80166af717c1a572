//! The script on a real Redis, called as the loader calls it.

mod broken;
mod event_log;
mod fields;
mod header;
mod once;
mod outage;
mod retention;

use std::time::Duration;

use github_event_etl::config::{EventLog, RedisUrl, Retention};
use github_event_etl::event::Event;
use github_event_etl::store::{Fault, LoadCall, LoadPolicy, Score, Store, Verdict};

use crate::support::dump::dump;
use crate::support::events::EventBuilder;
use crate::support::redis_server::RedisServer;
use crate::support::wait::block_on;

/// An hour's retention and a stream without a cap.
pub const POLICY: LoadPolicy =
    LoadPolicy { stream_maxlen: 0, retention: Retention::For(Duration::from_secs(3600)) };

const NAMESPACE: &str = "ns";

/// A Redis of the test's own, and a store on it.
pub struct Bench {
    pub server: RedisServer,
    pub store: Store,
    pub redis: redis::Connection,
    pub event_log: EventLog,
    pub policy: LoadPolicy,
    /// Points for the actor of every event.
    pub weight: u32,
}

/// Both layouts of the event log.
pub const LAYOUTS: [EventLog; 2] = [EventLog::PerEvent, EventLog::PerSecond];

/// Runs a test in each layout.
pub fn in_each_layout(test: impl Fn(Bench)) {
    LAYOUTS.into_iter().for_each(|layout| test(Bench::new(layout)));
}

impl Bench {
    pub fn new(event_log: EventLog) -> Self {
        Self::on(RedisServer::start(&[]), event_log)
    }

    pub fn on(server: RedisServer, event_log: EventLog) -> Self {
        let url = RedisUrl::parse(&server.url().into(), None).unwrap();
        let store = Store::new(&url, &NAMESPACE.parse().unwrap()).unwrap().with_event_log(event_log);
        let redis = server.connect();
        Self { server, store, redis, event_log, policy: POLICY, weight: 1 }
    }

    /// The key, below the namespace, in which the event log has this event, whose id no other event has.
    pub fn log_key(&self, id: &str, created_at: &str) -> String {
        match self.event_log {
            EventLog::PerEvent => format!("event-log:{id}"),
            EventLog::PerSecond => format!("event-log:{created_at}"),
        }
    }

    /// The same with so many connections, which are opened in turn.
    pub fn with_connections(self, count: usize) -> Self {
        Self { store: self.store.with_connections(count), ..self }
    }

    /// Loads events in one round trip.
    pub fn load_all(&self, events: &[EventBuilder]) -> Vec<Verdict> {
        let bodies: Vec<_> = events.iter().map(EventBuilder::bytes).collect();
        self.load_bodies(&bodies)
    }

    pub fn load_bodies(&self, bodies: &[Vec<u8>]) -> Vec<Verdict> {
        let events: Vec<_> = bodies.iter().map(|body| Event::parse(body).unwrap()).collect();
        let score = |login| Score { login, weight: self.weight };
        let calls: Vec<_> =
            events.iter().map(|event| LoadCall { event, score: event.actor_login().map(score) }).collect();
        block_on(self.store.load(self.policy, &calls))
    }

    pub fn load(&self, event: &EventBuilder) -> Verdict {
        self.load_all(std::slice::from_ref(event)).remove(0)
    }

    pub fn dump(&mut self) -> Vec<String> {
        dump(&mut self.redis, NAMESPACE)
    }

    /// Runs one Redis command given as words.
    pub fn run<T: redis::FromRedisValue>(&mut self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.query(&mut self.redis).unwrap()
    }
}

/// Asserts that the script refused this message, with this reason.
#[track_caller]
pub fn assert_refused(verdict: &Verdict, reason: &str) {
    assert_eq!(*verdict, Verdict::Failed(Fault::ThisMessage(reason.into())));
}
