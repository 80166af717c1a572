//! Redis: keys, the script that loads an event, and reads. The only module that names `redis`.
//!
//! All effects of an event go through `lua/load_event.lua`. After any failure of the server or the network, the connections
//! that were open then are not used again; the next calls open new ones. So one outage is noticed once, and a half-dead socket or a
//! demoted node is not used twice. `primary` finds the server to connect to, behind Sentinels and in a Redis Cluster as well.

mod connection;
mod event_log;
mod fault;
mod hours;
mod keys;
mod memory;
mod overview;
mod primary;
mod probe;
mod read;
mod rights;
mod script;
mod server;
mod settings;
mod suspects;
mod tls;

pub use connection::ANSWER_TIMEOUT;
pub use event_log::{Layout, Lookup};
pub use fault::Fault;
pub use hours::HoursFound;
pub use keys::Keys;
pub use memory::MemoryUse;
pub use overview::StreamPosition;
pub use read::{DeveloperScore, StreamEntry};
pub use script::{LoadCall, LoadPolicy, Score, Verdict};
pub use suspects::Suspect;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Mutex;

use crate::config::{EventLog, Namespace, RedisUrl, UsageError};
use connection::Connection;
use primary::Primary;

/// Redis for one program. Calls may run at the same time; they use the connections in turn.
pub struct Store {
    primary: Primary,
    address: String,
    keys: Keys,
    /// The layout that a loader loads in; nothing for readers, who take what they find.
    event_log: Option<EventLog>,
    /// The open connections. A slot is locked only while connecting, so that its callers wait for one attempt together.
    slots: Vec<Mutex<Option<Connection>>>,
    turn: AtomicUsize,
    /// The number of the newest connection.
    newest: AtomicU64,
    /// Connections with lower numbers are not used: Redis has failed since they were opened.
    usable_from: AtomicU64,
    /// Connecting has failed, and no connection was opened since.
    cannot_connect: AtomicBool,
}

impl Store {
    /// A store that is not connected to yet; every call connects when needed.
    ///
    /// # Errors
    /// [`UsageError`] when the URL is not one that the Redis client takes.
    pub fn new(url: &RedisUrl, namespace: &Namespace) -> Result<Self, UsageError> {
        let keys = Keys::new(namespace);
        let primary = Primary::new(url, &keys)?;
        Ok(Self {
            primary,
            address: url.to_string(),
            keys,
            event_log: None,
            slots: vec![Mutex::default()],
            turn: AtomicUsize::new(0),
            newest: AtomicU64::new(0),
            usable_from: AtomicU64::new(0),
            cannot_connect: AtomicBool::new(false),
        })
    }

    /// The same with `count` connections, for many batches at once.
    ///
    /// Redis reads 16 to 40 KB from a connection before it turns to the next. With `appendfsync always`, it flushes once per
    /// round over all connections: more connections make fewer flushes for the same events. More connections also make batches
    /// finish later and at the same time, so the queue is refilled in bursts.
    #[must_use]
    pub fn with_connections(mut self, count: usize) -> Self {
        self.slots = (0..count.max(1)).map(|_| Mutex::default()).collect();
        self
    }

    /// The addresses of the URL, without a password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The names of our keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Asks Redis whether it is there.
    ///
    /// # Errors
    /// [`Fault`] when it is not, or does not let us in.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.ask::<()>(&redis::cmd("PING")).await
    }

    /// Runs one command; a failure of the server costs the connection.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, Fault> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection.multiplexed).await;
        self.look_at(answer, &connection).await
    }

    /// Runs `commands` in one round trip. The first error counts, and keeps its code: redis-rs would hide it in an error of the whole.
    async fn ask_all(&self, commands: &mut redis::Pipeline, connection: &Connection) -> Result<(), Fault> {
        commands.ignore_errors();
        let answers: redis::RedisResult<Vec<redis::RedisResult<redis::Value>>> =
            commands.query_async(&mut connection.multiplexed.clone()).await;
        let first_error =
            answers.and_then(|answers| answers.into_iter().collect::<redis::RedisResult<Vec<_>>>());
        self.look_at(first_error, connection).await.map(drop)
    }

    async fn look_at<T>(&self, answer: redis::RedisResult<T>, used: &Connection) -> Result<T, Fault> {
        match answer {
            Ok(value) => Ok(value),
            Err(error) => {
                let fault = Fault::from_redis(&error);
                self.forget_after(&fault, used).await;
                Err(fault)
            }
        }
    }

    async fn connection(&self) -> Result<Connection, Fault> {
        let slot = self.turn.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let mut place = self.slots[slot].lock().await;
        if let Some(connection) = place.as_ref().filter(|connection| self.is_usable(connection)) {
            return Ok(connection.clone());
        }
        *place = None;
        let connection = self.open(slot).await?;
        *place = Some(connection.clone());
        Ok(connection)
    }

    async fn open(&self, slot: usize) -> Result<Connection, Fault> {
        let opened = Connection::open(&self.primary, slot, &self.keys, self.event_log).await;
        let failed_before = self.cannot_connect.swap(opened.is_err(), Ordering::Relaxed);
        let connection = opened?;
        self.newest.fetch_max(connection.number, Ordering::Relaxed);
        // Not when connecting fails: a Redis that has no place for another client still serves those that it has.
        if failed_before {
            self.usable_from.fetch_max(connection.number, Ordering::Relaxed);
        }
        Ok(connection)
    }

    /// Throws away all connections if Sentinels have replaced the primary. After a planned failover, Sentinels let the old one take
    /// writes for ten seconds and then throw these writes away.
    pub async fn follow_primary(&self) {
        if self.primary.is_replaced().await {
            self.usable_from.fetch_max(self.newest.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    fn is_usable(&self, connection: &Connection) -> bool {
        connection.number >= self.usable_from.load(Ordering::Relaxed)
    }

    /// If `fault` says that the server or the network failed, throws away all connections that are open now. A connection that was
    /// thrown away before costs no other one.
    async fn forget_after(&self, fault: &Fault, used: &Connection) {
        if !fault.is_server_away() {
            return;
        }
        if self.is_usable(used) {
            self.usable_from.fetch_max(self.newest.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        let mut place = self.slots[used.slot].lock().await;
        if place.as_ref().is_some_and(|current| current.number == used.number) {
            *place = None;
        }
    }
}
