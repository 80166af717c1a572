//! Opening a connection to the primary, bounded in time, with the script loaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;

use super::event_log::agree;
use super::fault::Fault;
use super::keys::Keys;
use super::primary::Primary;
use super::script::SCRIPT;
use crate::config::EventLog;

/// How long an answer may take. A command that timed out may still run: the mark makes its repetition harmless.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection shared by all calls, and the script's name there.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) multiplexed: MultiplexedConnection,
    pub(super) script_sha: String,
    /// Tells this connection from the one before and after it.
    pub(super) number: u64,
    /// Its place among the store's connections.
    pub(super) slot: usize,
}

impl Connection {
    /// Opens one. With `event_log`, the namespace must have that layout, or none yet: this Redis may be another than before.
    pub(super) async fn open(
        primary: &Primary,
        slot: usize,
        keys: &Keys,
        event_log: Option<EventLog>,
    ) -> Result<Self, Fault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let multiplexed = primary.connect().await?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut connection = Self { multiplexed, script_sha: String::new(), number, slot };
        // Readers do not run the script, and need no right to it.
        if let Some(event_log) = event_log {
            connection.load_script().await.map_err(Fault::of_server)?;
            agree(&mut connection, keys, event_log).await?;
        }
        Ok(connection)
    }

    /// Hands the script to Redis, which forgets it at a restart or `SCRIPT FLUSH`. A server that becomes the primary has never had it.
    pub(super) async fn load_script(&mut self) -> Result<(), Fault> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        self.script_sha =
            load.query_async(&mut self.multiplexed).await.map_err(|error| Fault::from_redis(&error))?;
        Ok(())
    }
}
