//! Options that every program shares.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::values::address;
use super::{AmqpUrl, Environment, Namespace, RedisUrl, Tls, TlsArgs, UsageError};

/// Log format and metrics.
#[derive(clap::Args, Clone)]
pub struct TelemetryArgs {
    /// Log lines on stderr as text for people or JSON for machines; RUST_LOG filters them
    #[arg(long, global = true, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Serve /metrics, /healthz and /readyz at this address, such as 127.0.0.1:9100 [off when not given]
    #[arg(long, global = true, env = "METRICS_LISTEN", value_parser = address, value_name = "IP:PORT")]
    pub metrics_listen: Option<SocketAddr>,
}

/// Log lines on stderr.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The addresses of the servers, and the prefix of our names there.
#[derive(clap::Args, Clone)]
pub struct ServerArgs {
    /// RabbitMQ; amqps:// for TLS; several URLs with commas between are the nodes of one cluster. Prefer AMQP_URL or AMQP_URL_FILE: a command line is visible to every user
    #[arg(long, global = true, env = "AMQP_URL", hide_env_values = true, value_parser = secret, value_name = "URL",
          default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    amqp_url: SecretString,

    /// Redis: redis://host:port/, or redis-sentinel://host:port,host:port/service/db, or redis-cluster://host:port,host:port/; rediss,
    /// rediss-sentinel, rediss-cluster for TLS. REDIS_PASSWORD fills in a missing password, REDIS_SENTINEL_PASSWORD is the Sentinels'
    /// own. Prefer REDIS_URL or REDIS_URL_FILE
    #[arg(long, global = true, env = "REDIS_URL", hide_env_values = true, value_parser = secret, value_name = "URL",
          default_value = "redis://127.0.0.1:6379/")]
    redis_url: SecretString,

    /// Prefix of the exchange, every queue and every key
    #[arg(long, global = true, env = "ETL_NAMESPACE", default_value = "github-events", value_name = "NAME")]
    pub namespace: Namespace,

    #[command(flatten)]
    tls: TlsArgs,
}

impl ServerArgs {
    /// The certificates for connections with TLS, read and checked.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag, the variable and the file.
    pub fn tls(&self) -> Result<Tls, UsageError> {
        self.tls.read()
    }

    /// The checked addresses of RabbitMQ's nodes.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn amqp(&self, tls: &Tls) -> Result<AmqpUrl, UsageError> {
        Ok(AmqpUrl::parse(&self.amqp_url)?.with_tls(tls))
    }

    /// The checked address of Redis, with its passwords filled in, for keys of our namespace.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn redis(&self, environment: &Environment, tls: &Tls) -> Result<RedisUrl, UsageError> {
        let url = RedisUrl::parse(&self.redis_url, environment.secret("REDIS_PASSWORD")?.as_ref())?;
        let url = url.with_sentinel_password(environment.secret("REDIS_SENTINEL_PASSWORD")?);
        url.check_namespace(&self.namespace)?;
        Ok(url.with_tls(tls))
    }
}

/// Takes any text: checking happens in [`ServerArgs`], because clap's own message would print the value.
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.to_owned()))
}
