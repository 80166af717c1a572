//! One server: its address, and how to connect and log in there. Every connection of the store is opened here.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisResult,
};
use secrecy::{ExposeSecret, SecretString};

/// A server with the login for it.
#[derive(Clone)]
pub(super) struct Server(ConnectionInfo);

impl Server {
    /// The server of `url`. The error is the kind of mistake, without the URL.
    ///
    /// TLS is set up here: a CA or a client certificate given to the client reaches every server that [`Self::at`] makes of this one.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(|error| error.category().to_owned())?;
        let info = client.get_connection_info().clone();
        Ok(Self(info.set_tcp_settings(TcpSettings::default().set_nodelay(true))))
    }

    /// A server at another address, with the same login and the same TLS.
    pub(super) fn at(&self, new_host: &str, new_port: u16) -> Self {
        let mut address = self.0.addr().clone();
        match &mut address {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                new_host.clone_into(host);
                *port = new_port;
            }
            // A URL with a host makes no other.
            _ => {}
        }
        Self(self.0.clone().set_addr(address))
    }

    /// The same server, where only `password` is asked for, or nothing.
    pub(super) fn with_login(&self, password: Option<&SecretString>) -> Self {
        let login = RedisConnectionInfo::default();
        let login = match password {
            Some(password) => login.set_password(password.expose_secret()),
            None => login,
        };
        Self(self.0.clone().set_redis_settings(login))
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        match self.0.addr() {
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
        Client::open(self.0.clone())?.get_multiplexed_async_connection_with_config(&config).await
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
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
