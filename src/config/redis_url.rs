//! Where Redis is: one server, Sentinels that know the primary, or nodes of a Redis Cluster. Checked once, printed without passwords.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::address::{address, parse_url};
use super::{Namespace, Tls, UsageError};

const FLAG: &str = "--redis-url (REDIS_URL)";
const EXAMPLE: &str = "redis://host:6379/";
const SENTINEL_EXAMPLE: &str = "redis-sentinel://host:26379,host:26379,host:26379/service";
const CLUSTER_EXAMPLE: &str = "redis-cluster://host:6379,host:6379,host:6379/";
const SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"];

/// Where Redis is. Displays as the addresses, without a password; URLs with passwords only through [`RedisUrl::expose`].
#[derive(Clone)]
pub struct RedisUrl {
    kind: RedisKind,
    /// Every server of the URL as if it were alone, with user, password and database.
    servers: Vec<SecretString>,
    shown: String,
    tls: Tls,
}

/// How the primary is found. The primary is the server that takes writes to our keys.
#[derive(Clone, Debug)]
pub enum RedisKind {
    /// The one server is the primary.
    Single,
    /// The servers are Sentinels.
    Sentinel {
        /// The name that the Sentinels have for the primary and its replicas.
        service: String,
        /// The password of the Sentinels themselves, if they have one.
        password: Option<SecretString>,
    },
    /// The servers are nodes of a Redis Cluster.
    Cluster,
}

impl RedisUrl {
    /// Checks `text`. Its forms are `redis://host/database`, `redis-sentinel://host,host/service/database` and
    /// `redis-cluster://host,host/`. With TLS they begin with `rediss`. Port, user and password may be left out. Fills in `password` where
    /// the URL has none.
    ///
    /// # Errors
    /// [`UsageError`] with the reason, without the password.
    pub fn parse(text: &SecretString, password: Option<&SecretString>) -> Result<Self, UsageError> {
        let (scheme, behind) = text.expose_secret().split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "redis-sentinel" => Self::sentinel("redis", behind, password),
            "rediss-sentinel" => Self::sentinel("rediss", behind, password),
            "redis-cluster" => Self::cluster("redis", behind, password),
            "rediss-cluster" => Self::cluster("rediss", behind, password),
            _ => Self::single(text, password),
        }
    }

    fn single(text: &SecretString, password: Option<&SecretString>) -> Result<Self, UsageError> {
        let url = parse_url(text, FLAG, &SCHEMES, EXAMPLE)?;
        let database = url.path().trim_start_matches('/');
        if !database.is_empty() && !is_database(database) {
            return Err(wrong(format!("the path must be {DATABASE}, as in {EXAMPLE}0")));
        }
        Ok(Self::new(RedisKind::Single, 6379, "", vec![url], password))
    }

    fn sentinel(scheme: &str, behind: &str, password: Option<&SecretString>) -> Result<Self, UsageError> {
        let mut urls = each_alone(scheme, behind, SENTINEL_EXAMPLE)?;
        let path = urls[0].path().trim_start_matches('/').trim_end_matches('/').to_owned();
        let (service, database) = path.split_once('/').unwrap_or((&path, ""));
        // The characters that Sentinel allows.
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if service.is_empty() || !service.chars().all(allowed) {
            return Err(wrong(format!(
                "the path must begin with the name that the Sentinels have for the primary, letters, digits or . _ -, as in {SENTINEL_EXAMPLE}"
            )));
        }
        if !database.is_empty() && !is_database(database) {
            return Err(wrong(format!("behind the service must be {DATABASE}, as in {SENTINEL_EXAMPLE}/0")));
        }
        urls.iter_mut().for_each(|url| url.set_path(database));
        let kind = RedisKind::Sentinel { service: service.to_owned(), password: None };
        Ok(Self::new(kind, 26379, &format!("/{service}"), urls, password))
    }

    fn cluster(scheme: &str, behind: &str, password: Option<&SecretString>) -> Result<Self, UsageError> {
        let urls = each_alone(scheme, behind, CLUSTER_EXAMPLE)?;
        if !["", "/", "/0"].contains(&urls[0].path()) {
            return Err(wrong(format!(
                "a Redis Cluster has database 0 only: nothing may stand behind the hosts, as in {CLUSTER_EXAMPLE}"
            )));
        }
        Ok(Self::new(RedisKind::Cluster, 6379, "", urls, password))
    }

    fn new(
        kind: RedisKind,
        default_port: u16,
        shown_behind: &str,
        mut urls: Vec<Url>,
        password: Option<&SecretString>,
    ) -> Self {
        for url in &mut urls {
            // Both fail only for URLs that cannot have a port or a password, and `parse_url` has required a host.
            let _ = url.set_port(Some(url.port().unwrap_or(default_port)));
            if let (None, Some(password)) = (url.password(), password) {
                // A password of its own is not percent-encoded. `set_password` encodes all characters but the percent sign.
                let encoded = password.expose_secret().replace('%', "%25");
                let _ = url.set_password(Some(&encoded));
            }
        }
        let addresses: Vec<_> = urls.iter().map(|url| address(url, default_port)).collect();
        let shown = format!("{}{shown_behind}", addresses.join(","));
        let servers = urls.into_iter().map(String::from).map(SecretString::from).collect();
        Self { kind, servers, shown, tls: Tls::default() }
    }

    /// The same, with these certificates if the scheme asks for TLS.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        Self { tls: tls.clone(), ..self }
    }

    /// The certificates for connections with TLS.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The same with a password for the Sentinels themselves, if there are any.
    #[must_use]
    pub fn with_sentinel_password(mut self, sentinel_password: Option<SecretString>) -> Self {
        if let RedisKind::Sentinel { password, .. } = &mut self.kind {
            *password = sentinel_password;
        }
        self
    }

    /// Checks that the keys of `namespace` can be in this Redis: in a Redis Cluster, the script needs all of them in one slot.
    ///
    /// # Errors
    /// [`UsageError`] with the namespace to write instead.
    pub fn check_namespace(&self, namespace: &Namespace) -> Result<(), UsageError> {
        if !matches!(self.kind, RedisKind::Cluster) || namespace.has_hash_tag() {
            return Ok(());
        }
        let namespace = namespace.as_str();
        let plain = namespace.replace(['{', '}'], "");
        let plain = if plain.is_empty() { "github-events" } else { &plain };
        Err(UsageError(format!(
            "--namespace (ETL_NAMESPACE): '{namespace}' has no part in braces, and in a Redis Cluster ({FLAG}) that keeps all keys in \
             one slot: write --namespace '{{{plain}}}' for every program, or ETL_NAMESPACE={{{plain}}}"
        )))
    }

    /// How the primary is found.
    pub fn kind(&self) -> &RedisKind {
        &self.kind
    }

    /// The URL of each server with its password, for the Redis client only. There is at least one.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

const DATABASE: &str = "the number of a database, below 16 unless Redis is set otherwise";

fn is_database(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|number| number >= 0)
}

fn wrong(why: String) -> UsageError {
    UsageError(format!("{FLAG}: {why}"))
}

/// The URL of each server in `login@host:port,host:port/path`, as if it were alone.
fn each_alone(scheme: &str, text: &str, example: &str) -> Result<Vec<Url>, UsageError> {
    let (authority, path) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
    let login_end = authority.rfind('@').map_or(0, |at| at + 1);
    let (login, hosts) = authority.split_at(login_end);
    let urls: Vec<Url> = hosts
        .split(',')
        .map(|host| {
            let alone = SecretString::from(format!("{scheme}://{login}{}{path}", host.trim()));
            parse_url(&alone, FLAG, &[scheme], example)
        })
        .collect::<Result<_, _>>()?;
    if urls[0].query().is_some() {
        return Err(wrong(format!("there are no parameters behind a ?: it must look like {example}")));
    }
    Ok(urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisUrl {
        RedisUrl::parse(&SecretString::from(text.to_owned()), None).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn refusal(text: &str) -> String {
        RedisUrl::parse(&SecretString::from(text.to_owned()), None).err().expect(text).to_string()
    }

    fn servers(url: &RedisUrl) -> Vec<&str> {
        url.expose().collect()
    }

    #[test]
    fn one_server_is_shown_by_host_and_port() {
        let url = parsed("redis://:hunter2@[::1]:7000/3");
        assert_eq!(url.to_string(), "[::1]:7000");
        assert_eq!(servers(&url), ["redis://:hunter2@[::1]:7000/3"]);
        assert_eq!(servers(&parsed("rediss://h")), ["rediss://h:6379"]);
    }

    #[test]
    fn sentinels_have_a_service_and_perhaps_a_database() {
        let url = parsed("redis-sentinel://u:hunter2@a,b:7000,[::1]/my.service-1/3");
        assert_eq!(url.to_string(), "a:26379,b:7000,[::1]:26379/my.service-1");
        let alone =
            ["redis://u:hunter2@a:26379/3", "redis://u:hunter2@b:7000/3", "redis://u:hunter2@[::1]:26379/3"];
        assert_eq!(servers(&url), alone);
        assert!(matches!(url.kind(), RedisKind::Sentinel { service, .. } if service == "my.service-1"));
        assert_eq!(servers(&parsed("rediss-sentinel://a/s/")), ["rediss://a:26379"]);
    }

    #[test]
    fn nodes_of_a_cluster_are_hosts_only() {
        let url = parsed("rediss-cluster://:p%40ss,w@a, b:7000/");
        assert_eq!(url.to_string(), "a:6379,b:7000");
        assert_eq!(servers(&url), ["rediss://:p%40ss,w@a:6379/", "rediss://:p%40ss,w@b:7000/"]);
        assert!(matches!(url.kind(), RedisKind::Cluster));
    }

    #[test]
    fn a_bad_url_names_the_flag_and_what_to_write_without_the_password() {
        for (bad, example) in [
            ("redis://:hunter2@h/zero", "redis://host"),
            ("http://:hunter2@h/", "redis-cluster://"),
            ("redis-sentinel:hunter2@h/s", "redis://host"),
            ("redis-sentinel://:hunter2@h/", "redis-sentinel://host"),
            ("redis-sentinel://:hunter2@h", "redis-sentinel://host"),
            ("redis-sentinel://:hunter2@h/s p/0", "redis-sentinel://host"),
            ("redis-sentinel://:hunter2@h/s/first", "redis-sentinel://host"),
            ("redis-sentinel://:hunter2@h,/s", "redis-sentinel://host"),
            ("redis-sentinel://:hunter2@h:x,h/s", "redis-sentinel://host"),
            ("redis-sentinel://:12/hunter2@h/s", "redis-sentinel://host"),
            ("redis-sentinel://h/s?sentinel_password=hunter2", "redis-sentinel://host"),
            ("redis-cluster://:hunter2@h,h/1", "redis-cluster://host"),
            ("redis-cluster://", "redis-cluster://host"),
        ] {
            let error = refusal(bad);
            assert!(
                error.starts_with("--redis-url (REDIS_URL): ") && error.contains(example),
                "{bad}: {error}"
            );
            assert!(!error.contains("hunter2"), "{bad}: {error}");
        }
    }

    #[test]
    fn the_password_fills_in_only_a_missing_one() {
        let filled = |text: &str| {
            let password = SecretString::from("p@ss/w%".to_owned());
            RedisUrl::parse(&SecretString::from(text.to_owned()), Some(&password)).unwrap()
        };
        assert_eq!(servers(&filled("redis://h:6379/")), ["redis://:p%40ss%2Fw%25@h:6379/"]);
        assert_eq!(servers(&filled("redis://:own@h:6379/")), ["redis://:own@h:6379/"]);
        let cluster = filled("redis-cluster://u@a,b");
        assert_eq!(servers(&cluster), ["redis://u:p%40ss%2Fw%25@a:6379", "redis://u:p%40ss%2Fw%25@b:6379"]);
    }

    #[test]
    fn in_a_cluster_the_namespace_has_braces() {
        let cluster = parsed("redis-cluster://a,b/");
        let check = |url: &RedisUrl, namespace: &str| url.check_namespace(&namespace.parse().unwrap());
        assert!(check(&cluster, "{github-events}").is_ok());
        assert!(check(&parsed("redis://h/"), "github-events").is_ok());
        for (namespace, write) in [("mine", "--namespace '{mine}'"), ("{}", "--namespace '{github-events}'")]
        {
            let error = check(&cluster, namespace).unwrap_err().to_string();
            assert!(error.contains(&format!("'{namespace}'")) && error.contains(write), "{error}");
        }
    }
}
