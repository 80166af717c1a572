//! The address of RabbitMQ: one URL, or those of the nodes of one cluster.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::address::{address, parse_url};
use super::{Tls, UsageError};

/// The nodes of RabbitMQ, at least one, in the order in which they are tried. Displays as their `host:port`.
#[derive(Clone)]
pub struct AmqpUrl {
    nodes: Vec<AmqpNode>,
    tls: Tls,
}

/// One node. Displays as `host:port`; the whole URL, with its password, only through [`AmqpNode::expose`].
#[derive(Clone)]
pub struct AmqpNode {
    whole: SecretString,
    address: String,
}

const FLAG: &str = "--amqp-url (AMQP_URL)";
const EXAMPLE: &str = "amqp://user:password@host:5672/%2f";
const EXAMPLE_OF_CLUSTER: &str = "amqp://user:password@host1:5672/%2f,amqp://host2:5672,amqp://host3:5672";
/// AMQP's limit for the name of a virtual host, as for any short string; the client panics beyond it.
const VIRTUAL_HOST_BYTES_MAX: usize = 255;
/// RabbitMQ refuses smaller frames since 4.1 (<https://www.rabbitmq.com/release-information>, 4.1.0). 0 is AMQP's "no limit".
const FRAME_BYTES_MIN: u32 = 8192;

impl AmqpUrl {
    /// Checks `text`: URLs with commas between. Each has `amqp://` or `amqps://`, a host, user and password percent-encoded, `/vhost`
    /// percent-encoded. A later URL takes from the first what it does not have; what it has must be the same.
    ///
    /// # Errors
    /// [`UsageError`] with the reason, without the password.
    pub fn parse(text: &SecretString) -> Result<Self, UsageError> {
        let mut urls: Vec<Url> = Vec::new();
        for text in split(text.expose_secret()) {
            let mut url = parse_one(text)?;
            match urls.first() {
                Some(first) => complete(&mut url, first)?,
                // "/" is literally a virtual host with an empty name, which hardly exists. The user means the default one.
                None if matches!(url.path(), "" | "/") => url.set_path("/%2f"),
                None => {}
            }
            if urls.iter().any(|other| address_of(other) == address_of(&url)) {
                return Err(UsageError(format!("{FLAG}: {} is there twice", address_of(&url))));
            }
            urls.push(url);
        }
        Ok(Self { nodes: urls.into_iter().map(AmqpNode::new).collect(), tls: Tls::default() })
    }

    /// The same nodes, with these certificates if the scheme asks for TLS.
    #[must_use]
    pub fn with_tls(self, tls: &Tls) -> Self {
        Self { tls: tls.clone(), ..self }
    }

    /// The certificates for connections with TLS, which all nodes share.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// The nodes, in the order in which they are tried.
    pub fn nodes(&self) -> &[AmqpNode] {
        &self.nodes
    }
}

impl AmqpNode {
    fn new(url: Url) -> Self {
        Self { address: address_of(&url), whole: SecretString::from(String::from(url)) }
    }

    /// The URL with its password, for the broker client only.
    pub fn expose(&self) -> &str {
        self.whole.expose_secret()
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        f.write_str(&addresses.join(", "))
    }
}

impl fmt::Display for AmqpNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// The URLs in `text`: a comma before a scheme ends a URL. Other commas are part of a URL, because a password may contain them.
fn split(text: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut rest = text;
    let begins_url = |part: &str| {
        let scheme = part.trim_start().split_once("://").map_or("", |(scheme, _)| scheme);
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    while let Some((at, _)) = rest.match_indices(',').find(|(at, _)| begins_url(&rest[at + 1..])) {
        urls.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    urls.push(rest);
    urls
}

fn parse_one(text: &str) -> Result<Url, UsageError> {
    let url = parse_url(&SecretString::from(text.to_owned()), FLAG, &["amqp", "amqps"], EXAMPLE);
    let url = url.map_err(|UsageError(reason)| {
        let hint =
            if text.contains(',') { format!(", and several as {EXAMPLE_OF_CLUSTER}") } else { String::new() };
        UsageError(format!("{reason}{hint}"))
    })?;
    if url.host_str().is_some_and(|host| host.contains(',')) || url.path().contains(',') {
        return Err(UsageError(format!(
            "{FLAG}: a comma must stand before the next URL, as in {EXAMPLE_OF_CLUSTER}; in the name of a virtual host it is %2C"
        )));
    }
    check_virtual_host(url.path())?;
    check_frame_max(&url)?;
    Ok(url)
}

/// Takes what `url` does not have from `first`, the URL of another node of the same cluster.
fn complete(url: &mut Url, first: &Url) -> Result<(), UsageError> {
    if url.username().is_empty() {
        // This and the next fail only for URLs that cannot have a user, and `parse_url` has required a host.
        let _ = url.set_username(first.username());
    }
    if url.password().is_none() {
        let _ = url.set_password(first.password());
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(first.path());
    }
    if url.query().is_none() {
        url.set_query(first.query());
    }
    let differs = [
        ("scheme", url.scheme() != first.scheme()),
        ("user", url.username() != first.username()),
        ("password", url.password() != first.password()),
        ("virtual host", url.path() != first.path()),
        ("options behind ?", url.query() != first.query()),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((part, _)) => Err(UsageError(format!(
            "{FLAG}: {} and {} differ in {part}: nodes of one cluster have the same, and only the first URL needs it, as in {EXAMPLE_OF_CLUSTER}",
            address_of(first),
            address_of(url)
        ))),
    }
}

fn check_virtual_host(path: &str) -> Result<(), UsageError> {
    let encoded = path.strip_prefix('/').unwrap_or(path);
    let bytes = encoded.len() - 2 * encoded.matches('%').count();
    if bytes > VIRTUAL_HOST_BYTES_MAX {
        return Err(UsageError(format!(
            "{FLAG}: the virtual host behind the host has {bytes} bytes, at most {VIRTUAL_HOST_BYTES_MAX} are possible: it must look like {EXAMPLE}"
        )));
    }
    Ok(())
}

fn check_frame_max(url: &Url) -> Result<(), UsageError> {
    let given = url.query_pairs().find(|(name, _)| name == "frame_max");
    match given.and_then(|(_, value)| value.parse::<u32>().ok()) {
        Some(bytes @ 1..FRAME_BYTES_MIN) => Err(UsageError(format!(
            "{FLAG}: frame_max={bytes} is too small: RabbitMQ 4.1 and later refuse frames below {FRAME_BYTES_MIN} bytes; leave it out, as in {EXAMPLE}"
        ))),
        _ => Ok(()),
    }
}

fn address_of(url: &Url) -> String {
    address(url, if url.scheme() == "amqps" { 5671 } else { 5672 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AmqpUrl, UsageError> {
        AmqpUrl::parse(&SecretString::from(text.to_owned()))
    }

    fn exposed(text: &str) -> Vec<String> {
        parse(text).unwrap().nodes().iter().map(|node| node.expose().to_owned()).collect()
    }

    #[track_caller]
    fn refusal(text: &str) -> String {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted")).to_string();
        assert!(error.starts_with("--amqp-url (AMQP_URL): "), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{text}: {error}");
        error
    }

    #[test]
    fn an_address_shows_host_and_port_and_never_the_password() {
        assert_eq!(parse("amqps://etl:hunter2@mq.example/%2f").unwrap().to_string(), "mq.example:5671");
        assert_eq!(exposed("amqp://h/"), ["amqp://h/%2f"]);
    }

    #[test]
    fn several_urls_are_the_nodes_of_one_cluster_in_their_order() {
        let cluster = parse("amqp://etl:hunter2@a/%2f, amqp://b:5673 ,amqp://etl@c/").unwrap();
        assert_eq!(cluster.to_string(), "a:5672, b:5673, c:5672");
        let completed = "amqp://u:p%2Fw@a/v?heartbeat=7,amqp://b,amqp://u@c/v,amqp://u:p%2Fw@d?heartbeat=7";
        let of = |host: &str| format!("amqp://u:p%2Fw@{host}/v?heartbeat=7");
        assert_eq!(exposed(completed), ["a", "b", "c", "d"].map(of));
        assert_eq!(exposed("amqp://a,amqp://b"), ["amqp://a/%2f", "amqp://b/%2f"]);
        assert_eq!(exposed("amqp://a/,amqp://b/%2f"), ["amqp://a/%2f", "amqp://b/%2f"]);
    }

    #[test]
    fn a_comma_in_a_password_ends_no_url() {
        assert_eq!(exposed("amqp://u:a,b@h/v,amqp://i"), ["amqp://u:a,b@h/v", "amqp://u:a,b@i/v"]);
    }

    #[test]
    fn nodes_that_cannot_be_of_one_cluster_are_refused_by_what_differs() {
        for (second, differs) in [
            ("amqps://u:hunter2@b/v", "in scheme"),
            ("amqp://w:hunter2@b/v", "in user"),
            ("amqp://u:hunter22@b/v", "in password"),
            ("amqp://b/w", "in virtual host"),
            ("amqp://b/v?heartbeat=9", "in options"),
        ] {
            let error = refusal(&format!("amqp://u:hunter2@a/v,{second}"));
            assert!(error.contains(differs) && error.contains("a:5672 and b:567"), "{error}");
        }
        assert!(refusal("amqp://a,amqp://u:hunter2@b").contains("in user"));
        assert!(refusal("amqp://u:hunter2@a,amqp://b,amqp://a:5672").contains("a:5672 is there twice"));
        assert!(refusal("amqp://u:hunter2@a,http://u:hunter2@b").contains("is 'http'"));
    }

    #[test]
    fn a_list_of_hosts_is_told_how_to_write_it() {
        for bad in [
            "amqp://u:hunter2@a,b/%2f",
            "amqp://u:hunter2@a:5672,b:5672/%2f",
            "amqp://u:hunter2@a/%2f,",
            "amqp://u:hunter2@a/%2f,b",
        ] {
            assert!(refusal(bad).contains(EXAMPLE_OF_CLUSTER), "{bad}");
        }
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
            "amqp://h,amqp://u:hunter2@",
        ] {
            assert!(refusal(bad).contains("amqp://"), "{bad}");
        }
    }

    #[test]
    fn a_virtual_host_has_at_most_as_many_bytes_as_amqp_can_name() {
        for (name, bytes) in [("x", 1), ("%C3%A9", 2)] {
            let at = |count: usize| format!("amqp://u:hunter2@h/{}", name.repeat(count / bytes));
            assert!(parse(&at(254)).is_ok(), "{name}");
            let error = refusal(&at(256));
            assert!(error.contains("255") && error.contains("256"), "{error}");
        }
    }

    #[test]
    fn frames_smaller_than_rabbitmq_takes_are_refused() {
        for (bytes, is_good) in
            [("4096", false), ("8191", false), ("8192", true), ("131072", true), ("0", true)]
        {
            assert_eq!(
                parse(&format!("amqp://h/%2f?heartbeat=9&frame_max={bytes}")).is_ok(),
                is_good,
                "{bytes}"
            );
        }
        assert!(refusal("amqp://u:hunter2@h/?frame_max=4096").contains("frame_max=4096"));
    }
}
