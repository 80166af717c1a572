//! Options of the dashboard.

use std::net::{IpAddr, SocketAddr};

use secrecy::{ExposeSecret, SecretString};

use super::kind::event_type;
use super::loader::queue_name;
use super::values::{address, yes_or_no};
use super::{Environment, ServerArgs, TelemetryArgs, UsageError};
use crate::event::{Filter, NamePattern, TypeFilter};

/// A web page, a JSON API and live events, to watch the pipeline.
///
/// Open http://127.0.0.1:8080/ in a browser. With --tail it prints events on the terminal as they load, and serves nothing.
#[derive(clap::Parser)]
#[command(name = "dashboard", version)]
pub struct DashboardArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub serve: ServeArgs,

    /// Load queue to show, below the namespace
    #[arg(long, default_value = "load", value_parser = queue_name, value_name = "NAME")]
    pub queue: String,

    #[command(flatten)]
    pub tail: TailArgs,
}

/// Where to serve, and to whom.
#[derive(clap::Args, Clone)]
pub struct ServeArgs {
    /// Serve at this address; port 0 takes a free one. Beyond this machine a token is needed: DASHBOARD_TOKEN or DASHBOARD_TOKEN_FILE
    #[arg(long, env = "DASHBOARD_LISTEN", default_value = LISTEN_DEFAULT, value_parser = address, value_name = "IP:PORT")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub access: AccessArgs,
}

/// The default address of the dashboard.
pub(super) const LISTEN_DEFAULT: &str = "127.0.0.1:8080";

/// Who may see the dashboard.
#[derive(clap::Args, Clone)]
pub struct AccessArgs {
    /// Answer requests for this host name too, besides localhost and the address listened at; repeatable
    #[arg(long = "allow-host", env = "DASHBOARD_ALLOW_HOST", value_delimiter = ',', value_parser = host_name, value_name = "NAME")]
    pub allow_hosts: Vec<String>,

    /// Listen beyond this machine without a token: for a container whose port is published on 127.0.0.1 only. The variable
    /// says yes, true, on or 1, or else no, false, off or 0
    #[arg(long, env = "DASHBOARD_TRUST_NETWORK", value_parser = yes_or_no)]
    pub trust_network: bool,
}

/// Printing events in place of serving.
#[derive(clap::Args, Clone)]
pub struct TailArgs {
    /// Print events on stdout as they load; --type, --repo and --actor choose
    #[arg(long)]
    pub tail: bool,

    /// Only events of this type, or of one of these [all types when not given]
    #[arg(long = "type", requires = "tail", value_parser = types, value_name = "TYPE,…")]
    pub kinds: Option<TypeFilter>,

    /// Only events in this repository; a * at the end stands for anything [all repositories when not given]
    #[arg(long, requires = "tail", value_name = "OWNER/NAME")]
    pub repo: Option<NamePattern>,

    /// Only events of this account; a * at the end stands for anything [all accounts when not given]
    #[arg(long, requires = "tail", value_name = "LOGIN")]
    pub actor: Option<NamePattern>,

    /// A line for people, or each event's JSON in a line
    #[arg(long, requires = "tail", value_enum, default_value_t = TailFormat::Text, value_name = "FORMAT")]
    pub format: TailFormat,
}

/// How `--tail` prints an event.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailFormat {
    /// Time, type, actor and repository, with control characters escaped.
    Text,
    /// The event's JSON.
    Json,
}

impl TailArgs {
    /// Which events are wanted.
    pub fn filter(&self) -> Filter {
        Filter { kinds: self.kinds.clone(), repo: self.repo.clone(), actor: self.actor.clone() }
    }
}

/// Who may see the dashboard, checked.
#[derive(Clone)]
pub struct Access {
    /// Names that `Host` may have, in lower case, without a port.
    pub hosts: Vec<String>,
    /// What visitors must know, if anything.
    pub token: Option<SecretString>,
}

/// A token that can be guessed is none.
const TOKEN_BYTES_MIN: usize = 16;

impl AccessArgs {
    /// Who may see a dashboard that listens at `listen`.
    ///
    /// # Errors
    /// [`UsageError`] when anybody could, or the token is too short.
    pub fn check(&self, listen: SocketAddr, environment: &Environment) -> Result<Access, UsageError> {
        let token = environment.secret("DASHBOARD_TOKEN")?;
        if token.as_ref().is_some_and(|token| token.expose_secret().len() < TOKEN_BYTES_MIN) {
            return Err(UsageError(format!(
                "DASHBOARD_TOKEN: it must have at least {TOKEN_BYTES_MIN} characters, such as those of: openssl rand -hex 16"
            )));
        }
        if !listen.ip().is_loopback() && token.is_none() && !self.trust_network {
            return Err(UsageError(format!(
                "{listen} can be reached from other machines: set DASHBOARD_TOKEN (or DASHBOARD_TOKEN_FILE) to at least \
                 {TOKEN_BYTES_MIN} characters that visitors must know, or listen on 127.0.0.1"
            )));
        }
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into();
        if !listen.ip().is_unspecified() {
            hosts.push(match listen.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        hosts.extend(self.allow_hosts.iter().cloned());
        Ok(Access { hosts, token })
    }
}

fn types(text: &str) -> Result<TypeFilter, String> {
    for kind in text.split(',') {
        event_type(kind)?;
    }
    text.parse()
}

/// A host's name or address, without a port.
fn host_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let name = if text.starts_with('[') {
        url::Host::parse(text)
    } else {
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        if plain { url::Host::parse(text) } else { Err(url::ParseError::InvalidDomainCharacter) }
    };
    name.map(|name| name.to_string())
        .map_err(|_| "must be a host name without a port, such as etl.example.org".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str], trust_network: bool) -> AccessArgs {
        AccessArgs { allow_hosts: hosts.iter().map(ToString::to_string).collect(), trust_network }
    }

    fn environment() -> Environment {
        Environment::load().unwrap()
    }

    #[test]
    fn beyond_this_machine_a_token_is_needed() {
        for open in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80"] {
            let open = open.parse().unwrap();
            let error = access(&[], false).check(open, &environment()).err().unwrap().to_string();
            assert!(error.contains("DASHBOARD_TOKEN") && error.contains(&open.to_string()), "{error}");
            assert!(access(&[], true).check(open, &environment()).is_ok());
        }
        for safe in ["127.0.0.1:80", "[::1]:80", "127.1.2.3:80"] {
            assert!(access(&[], false).check(safe.parse().unwrap(), &environment()).is_ok(), "{safe}");
        }
    }

    #[test]
    fn hosts_are_loopback_the_address_and_what_is_allowed() {
        let hosts = |listen: &str| {
            access(&["etl.example.org"], true).check(listen.parse().unwrap(), &environment()).unwrap().hosts
        };
        assert_eq!(
            hosts("192.0.2.1:80"),
            ["localhost", "127.0.0.1", "[::1]", "192.0.2.1", "etl.example.org"]
        );
        assert!(hosts("[2001:db8::1]:80").contains(&"[2001:db8::1]".to_owned()));
        assert!(!hosts("0.0.0.0:80").contains(&"0.0.0.0".to_owned()));
    }

    #[test]
    fn host_names_have_no_port_and_no_wildcard() {
        assert_eq!(host_name(" Etl.Example.org").as_deref(), Ok("etl.example.org"));
        assert_eq!(host_name("[2001:DB8::1]").as_deref(), Ok("[2001:db8::1]"));
        for bad in ["", "*", "a:80", "http://a", "a/b", "*.example.org"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
    }
}
