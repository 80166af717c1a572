//! One server: its address, and how to connect and log in there. Every connection of the store is opened here.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, RedisResult,
};
use secrecy::{ExposeSecret, SecretString};

use super::{Fault, tls};
use crate::config::{Tls, UsageError};

/// A server with the login for it.
#[derive(Clone)]
pub(super) struct Server {
    info: ConnectionInfo,
    tls: Tls,
}

impl Server {
    /// The server of `url`. The certificates of `tls` are for every server that [`Self::at`] makes of this one, too.
    pub(super) fn parse(url: &str, tls: &Tls) -> Result<Self, UsageError> {
        // The client's own error text may quote the URL and with it the password.
        let wrong = |error: RedisError| {
            let category = error.category();
            UsageError(format!("--redis-url (REDIS_URL): {category}: it must look like redis://host:6379/"))
        };
        let info = url.into_connection_info().map_err(wrong)?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = match info.addr() {
            ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, tls::certificates(tls)?),
            _ => Client::open(info),
        };
        Ok(Self { info: client.map_err(wrong)?.get_connection_info().clone(), tls: tls.clone() })
    }

    /// A server at another address, with the same login and the same TLS.
    pub(super) fn at(&self, new_host: &str, new_port: u16) -> Self {
        let mut address = self.info.addr().clone();
        match &mut address {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                new_host.clone_into(host);
                *port = new_port;
            }
            // A URL with a host makes no other.
            _ => {}
        }
        self.with(self.info.clone().set_addr(address))
    }

    /// The same server, where only `password` is asked for, or nothing.
    pub(super) fn with_login(&self, password: Option<&SecretString>) -> Self {
        let login = RedisConnectionInfo::default();
        let login = match password {
            Some(password) => login.set_password(password.expose_secret()),
            None => login,
        };
        self.with(self.info.clone().set_redis_settings(login))
    }

    fn with(&self, info: ConnectionInfo) -> Self {
        Self { info, tls: self.tls.clone() }
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    /// Connects and logs in within `connect_max`. Every answer must come within `answer_max`.
    pub(super) async fn connect(
        &self,
        connect_max: Duration,
        answer_max: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_max))
            .set_response_timeout(Some(answer_max));
        Client::open(self.info.clone())?.get_multiplexed_async_connection_with_config(&config).await
    }

    /// The reason why [`Self::connect`] has failed.
    pub(super) async fn explain(&self, error: &RedisError) -> Fault {
        tls::explain(error, self.info.addr(), &self.tls).await
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }
                if host.contains(':') =>
            {
                write!(f, "[{host}]:{port}")
            }
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                write!(f, "{host}:{port}")
            }
            other => other.fmt(f),
        }
    }
}
