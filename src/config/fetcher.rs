//! Options of the fetcher.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::values::{DAY, duration};
use super::{ServerArgs, TelemetryArgs, UsageError};

/// Polls GitHub's Events API and publishes each event, as sent, to RabbitMQ.
///
/// GITHUB_TOKEN (or GITHUB_TOKEN_FILE) raises GitHub's limit from 60 to 5,000 requests an hour.
#[derive(clap::Parser)]
#[command(name = "fetcher", version)]
pub struct FetcherArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub fetch: FetchArgs,

    /// Poll every source once, publish what is there, and exit
    #[arg(long)]
    pub once: bool,
}

/// What to poll, and how often.
#[derive(clap::Args, Clone)]
pub struct FetchArgs {
    /// GitHub's API, or a stand-in such as the simulator
    #[arg(
        long,
        env = "GITHUB_API_URL",
        hide_env_values = true,
        default_value = "https://api.github.com",
        value_name = "URL"
    )]
    api_url: String,

    /// What to poll; repeatable: events, repos/OWNER/REPO, orgs/ORG, users/USER, networks/OWNER/REPO
    #[arg(long = "source", default_value = "events", value_name = "SOURCE")]
    pub sources: Vec<Source>,

    /// Poll each source at this interval (100ms to 1day), whatever GitHub asks for, until its quota is used up [when not
    /// given: GitHub's X-Poll-Interval, or longer where that would use up the quota before its time]
    #[arg(long, value_parser = duration(POLL_INTERVAL_MIN, DAY, "30s"), value_name = "DURATION")]
    pub poll_interval: Option<Duration>,

    /// How often a poll of a source reads all pages, to find events that GitHub shows late (1s to 1day). It happens only
    /// while more than half of the quota is left
    #[arg(long, default_value = "10m", value_parser = duration(SWEEP_EVERY_MIN, DAY, "10m"), value_name = "DURATION")]
    pub sweep_every: Duration,
}

impl FetchArgs {
    /// The checked address of the API. Not checked by clap, whose message would print a password in it.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn api_url(&self) -> Result<url::Url, UsageError> {
        let wrong = |what: String| UsageError(format!("--api-url (GITHUB_API_URL): {what}"));
        let url = url::Url::parse(&self.api_url).map_err(|error| {
            wrong(format!("not a URL ({error}): it must look like https://api.github.com"))
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("must be an http:// or https:// URL with a host".into()));
        }
        if url.password().is_some() || !url.username().is_empty() {
            return Err(wrong("must not hold a user or password: use GITHUB_TOKEN".into()));
        }
        Ok(url)
    }
}

/// A feed of GitHub's Events API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source(String);

impl Source {
    /// The path below the API's root: `events`, `repos/O/R/events`, …
    /// (<https://docs.github.com/en/rest/activity/events>).
    pub fn path(&self) -> String {
        if self.0 == "events" { self.0.clone() } else { format!("{}/events", self.0) }
    }

    /// `events`, `repos`, `orgs`, `users` or `networks`: fit for a metric's label, as names of repositories are not.
    pub fn kind(&self) -> &'static str {
        let first = self.0.split('/').next();
        ["repos", "orgs", "users", "networks"]
            .into_iter()
            .find(|kind| first == Some(kind))
            .unwrap_or("events")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = |part: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            !part.is_empty() && part.len() <= 100 && part.chars().all(plain) && part != "." && part != ".."
        };
        let valid = match text.split('/').collect::<Vec<_>>()[..] {
            ["events"] => true,
            ["orgs" | "users", who] => name(who),
            ["repos" | "networks", owner, repo] => name(owner) && name(repo),
            _ => false,
        };
        if !valid {
            return Err(
                "must be events, repos/OWNER/REPO, orgs/ORG, users/USER or networks/OWNER/REPO".into()
            );
        }
        Ok(Self(text.to_owned()))
    }
}

/// The shortest interval we poll at, whatever the user or GitHub says.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A sweep costs two requests more than a poll.
const SWEEP_EVERY_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_githubs_feeds_and_nothing_else() {
        for (text, path) in [
            ("events", "events"),
            ("repos/rust-lang/rust", "repos/rust-lang/rust/events"),
            ("orgs/github", "orgs/github/events"),
            ("users/octo-cat", "users/octo-cat/events"),
            ("networks/rust-lang/rust", "networks/rust-lang/rust/events"),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.path(), path);
            assert_eq!(source.kind(), text.split('/').next().unwrap());
        }
        for bad in ["", "event", "repos/a", "repos/a/b/c", "users/", "users/a?b", "users/../x", "orgs/.."] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }
}
