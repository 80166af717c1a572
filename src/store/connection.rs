//! Opening a connection to Redis, bounded in time, with the script loaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisError};

use super::event_log::agree;
use super::fault::Fault;
use super::keys::Keys;
use super::script::SCRIPT;
use super::tls;
use crate::config::{EventLog, RedisUrl, Tls, UsageError};

/// How long connecting and logging in may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
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

/// The client for `url`.
pub(super) fn client(url: &RedisUrl) -> Result<redis::Client, UsageError> {
    // The client's own error text may quote the URL and with it the password.
    let wrong = |error: RedisError| {
        let category = error.category();
        UsageError(format!("--redis-url (REDIS_URL): {category}: it must look like redis://host:6379/"))
    };
    let info = url.expose().into_connection_info().map_err(wrong)?;
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    match info.addr() {
        ConnectionAddr::TcpTls { .. } => redis::Client::build_with_tls(info, tls::certificates(url.tls())?),
        _ => redis::Client::open(info),
    }
    .map_err(wrong)
}

impl Connection {
    /// Opens one. With `event_log`, the namespace must have that layout, or none yet: this Redis may be another than before.
    pub(super) async fn open(
        client: &redis::Client,
        tls: &Tls,
        slot: usize,
        keys: &Keys,
        event_log: Option<EventLog>,
    ) -> Result<Self, Fault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        let multiplexed = match opening.await {
            Ok(connection) => connection,
            Err(error) => return Err(tls::explain(&error, client.get_connection_info().addr(), tls).await),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut connection = Self { multiplexed, script_sha: String::new(), number, slot };
        // Readers do not run the script, and need no right to it.
        if let Some(event_log) = event_log {
            connection.load_script().await.map_err(Fault::of_server)?;
            agree(&mut connection, keys, event_log).await?;
        }
        Ok(connection)
    }

    /// Hands the script to Redis, which forgets it at a restart or `SCRIPT FLUSH`.
    pub(super) async fn load_script(&mut self) -> Result<(), Fault> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(SCRIPT);
        self.script_sha =
            load.query_async(&mut self.multiplexed).await.map_err(|error| Fault::from_redis(&error))?;
        Ok(())
    }
}
