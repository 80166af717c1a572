//! Server addresses and the namespace: checked once, printed without passwords.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Tls, UsageError};

/// Where RabbitMQ is. Displays as `host:port`; the whole URL, with its password, only through [`AmqpUrl::expose`].
#[derive(Clone)]
pub struct AmqpUrl {
    whole: SecretString,
    address: String,
    tls: Tls,
}

/// Where Redis is. Displays as `host:port`; the whole URL, with its password, only through [`RedisUrl::expose`].
#[derive(Clone)]
pub struct RedisUrl {
    whole: SecretString,
    address: String,
    tls: Tls,
}

impl AmqpUrl {
    /// Checks `text`: `amqp://` or `amqps://`, a host, user and password percent-encoded, `/vhost` percent-encoded.
    ///
    /// # Errors
    /// [`UsageError`] with the reason, without the password.
    pub fn parse(text: &SecretString) -> Result<Self, UsageError> {
        let mut url = parse_url(text, "--amqp-url (AMQP_URL)", &["amqp", "amqps"], AMQP_EXAMPLE)?;
        let default_port = if url.scheme() == "amqps" { 5671 } else { 5672 };
        if url.path() == "/" {
            // Literally a virtual host with an empty name, which hardly exists. The user means the default one.
            url.set_path("/%2f");
        }
        check_virtual_host(url.path())?;
        Ok(Self {
            address: address(&url, default_port),
            whole: SecretString::from(String::from(url)),
            tls: Tls::default(),
        })
    }

    /// The same address, with these certificates if it has TLS.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        Self { tls: tls.clone(), ..self }
    }

    /// The certificates for connections with TLS.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The URL with its password, for the broker client only.
    pub fn expose(&self) -> &str {
        self.whole.expose_secret()
    }
}

impl RedisUrl {
    /// Checks `text`: `redis://` or `rediss://`, a host, optionally user, password and `/database`; fills in `password`
    /// where the URL has none.
    ///
    /// # Errors
    /// [`UsageError`] with the reason, without the password.
    pub fn parse(text: &SecretString, password: Option<&SecretString>) -> Result<Self, UsageError> {
        let mut url = parse_url(text, "--redis-url (REDIS_URL)", &["redis", "rediss"], REDIS_EXAMPLE)?;
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && !database.parse::<i32>().is_ok_and(|number| number >= 0) {
            return Err(UsageError(format!(
                "--redis-url (REDIS_URL): the path must be the number of a database, below 16 unless Redis is set otherwise, as in {REDIS_EXAMPLE}0"
            )));
        }
        if let (None, Some(password)) = (url.password(), password) {
            // A password of its own is not percent-encoded. `set_password` encodes all characters but the percent sign.
            let encoded = password.expose_secret().replace('%', "%25");
            // Fails only for URLs that cannot have a password, and `parse_url` has required a host.
            let _ = url.set_password(Some(&encoded));
        }
        Ok(Self {
            address: address(&url, 6379),
            whole: SecretString::from(String::from(url)),
            tls: Tls::default(),
        })
    }

    /// The same address, with these certificates if it has TLS.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        Self { tls: tls.clone(), ..self }
    }

    /// The certificates for connections with TLS.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The URL with its password, for the Redis client only.
    pub fn expose(&self) -> &str {
        self.whole.expose_secret()
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// AMQP's limit for the name of a virtual host, as for any short string; the client panics beyond it.
const VIRTUAL_HOST_BYTES_MAX: usize = 255;

fn check_virtual_host(path: &str) -> Result<(), UsageError> {
    let encoded = path.strip_prefix('/').unwrap_or(path);
    let bytes = encoded.len() - 2 * encoded.matches('%').count();
    if bytes > VIRTUAL_HOST_BYTES_MAX {
        return Err(UsageError(format!(
            "--amqp-url (AMQP_URL): the virtual host behind the host has {bytes} bytes, at most {VIRTUAL_HOST_BYTES_MAX} are possible: it must look like {AMQP_EXAMPLE}"
        )));
    }
    Ok(())
}

const AMQP_EXAMPLE: &str = "amqp://user:password@host:5672/%2f";
const REDIS_EXAMPLE: &str = "redis://host:6379/";

fn parse_url(text: &SecretString, what: &str, schemes: &[&str], example: &str) -> Result<Url, UsageError> {
    let url = Url::parse(text.expose_secret()).map_err(|error| {
        UsageError(format!(
            "{what}: not a URL ({error}): it must look like {example}, with any of :/?#[]@% in user, password or vhost percent-encoded"
        ))
    })?;
    if !schemes.contains(&url.scheme()) {
        return Err(UsageError(format!(
            "{what}: the scheme must be {}:// (is '{}'), as in {example}",
            schemes.join(":// or "),
            url.scheme()
        )));
    }
    // A password that begins with digits and is not encoded is taken for a port, and the rest of it for a path or a query.
    if [Some(url.path()), url.query(), url.fragment()].into_iter().flatten().any(|part| part.contains('@')) {
        return Err(UsageError(format!(
            "{what}: there is an @ behind the host: any of :/?#[]@% in user or password must be percent-encoded, as in {example}"
        )));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UsageError(format!("{what}: the host is missing: it must look like {example}")));
    }
    Ok(url)
}

fn address(url: &Url, default_port: u16) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(default_port))
}

/// The prefix of the exchange, every queue and every key (`github-events`, or `{github-events}` for Redis Cluster).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(String);

impl Namespace {
    /// The longest namespace: queue names are AMQP short strings of at most 255 bytes, and ours add to it.
    pub const LENGTH_MAX: usize = 100;

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:{}-".contains(c);
        if text.is_empty() || text.len() > Self::LENGTH_MAX || !text.chars().all(allowed) {
            return Err(format!("must be 1 to {} letters, digits or . _ : - {{ }}", Self::LENGTH_MAX));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn addresses_show_host_and_port_and_never_the_password() {
        let amqp = AmqpUrl::parse(&secret("amqps://etl:hunter2@mq.example/%2f")).unwrap();
        assert_eq!(amqp.to_string(), "mq.example:5671");
        assert_eq!(AmqpUrl::parse(&secret("amqp://h/")).unwrap().expose(), "amqp://h/%2f");
        let redis = RedisUrl::parse(&secret("redis://:hunter2@[::1]:7000/3"), None).unwrap();
        assert_eq!(redis.to_string(), "[::1]:7000");
    }

    #[test]
    fn a_bad_url_names_the_flag_and_what_it_may_be_without_the_password() {
        for bad in [
            "amqp:/hunter2@",
            "http://u:hunter2@h/",
            "u:hunter2",
            "amqp://u:hunter2@",
            "amqp://u:hunter2@h:99999/",
            "amqp://u:1234/hunter2@h/",
        ] {
            let error = AmqpUrl::parse(&secret(bad)).err().expect(bad).to_string();
            assert!(
                error.starts_with("--amqp-url (AMQP_URL): ") && error.contains("amqp://"),
                "{bad}: {error}"
            );
            assert!(!error.contains("hunter2"), "{bad}: {error}");
        }
        assert!(RedisUrl::parse(&secret("redis://h/zero"), None).is_err());
    }

    #[test]
    fn a_virtual_host_has_at_most_as_many_bytes_as_amqp_can_name() {
        for (name, bytes) in [("x", 1), ("%C3%A9", 2)] {
            let at = |count: usize| format!("amqp://u:hunter2@h/{}", name.repeat(count / bytes));
            assert!(AmqpUrl::parse(&secret(&at(254))).is_ok(), "{name}");
            let error = AmqpUrl::parse(&secret(&at(256))).err().unwrap().to_string();
            assert!(error.contains("255") && error.contains("256") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_redis_password_fills_in_only_a_missing_one() {
        let filled = RedisUrl::parse(&secret("redis://h:6379/"), Some(&secret("p@ss/w"))).unwrap();
        assert_eq!(filled.expose(), "redis://:p%40ss%2Fw@h:6379/");
        let kept = RedisUrl::parse(&secret("redis://:own@h:6379/"), Some(&secret("other"))).unwrap();
        assert_eq!(kept.expose(), "redis://:own@h:6379/");
    }

    #[test]
    fn namespaces_are_short_and_plain() {
        assert!("github-events".parse::<Namespace>().is_ok());
        assert!("{github-events}".parse::<Namespace>().is_ok());
        for bad in ["", "a b", "a\n", "ä", &"x".repeat(101)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad:?}");
        }
    }
}
