//! Server addresses and the namespace: checked once, printed without passwords.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::UsageError;

/// Checks `text`: one of `schemes`, a host, and no sign of a password that is not percent-encoded.
pub(super) fn parse_url(
    text: &SecretString,
    what: &str,
    schemes: &[&str],
    example: &str,
) -> Result<Url, UsageError> {
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

/// `host:port` of a URL.
pub(super) fn address(url: &Url, default_port: u16) -> String {
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

    /// True if it has a part in braces, which alone decides the slot of a key in a Redis Cluster: all our keys are in one slot then
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
    pub(super) fn has_hash_tag(&self) -> bool {
        let inside = self.0.split_once('{').and_then(|(_, behind)| behind.split_once('}'));
        inside.is_some_and(|(tag, _)| !tag.is_empty())
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

    #[test]
    fn namespaces_are_short_and_plain() {
        assert!("github-events".parse::<Namespace>().is_ok());
        assert!("{github-events}".parse::<Namespace>().is_ok());
        for bad in ["", "a b", "a\n", "ä", &"x".repeat(101)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_hash_tag_is_what_redis_takes_for_one() {
        for (namespace, has) in [
            ("{github-events}", true),
            ("a{b}c", true),
            ("github-events", false),
            ("{}{a}", false),
            ("}a{", false),
        ] {
            assert_eq!(namespace.parse::<Namespace>().unwrap().has_hash_tag(), has, "{namespace}");
        }
    }
}
