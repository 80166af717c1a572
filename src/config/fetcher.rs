//! Options of the fetcher.

use std::path::PathBuf;
use std::time::Duration;

use super::values::{DAY, duration};
use super::{ServerArgs, TelemetryArgs, UsageError};
use crate::source::Source;

/// Polls GitHub's Events API and publishes each event, as sent, to RabbitMQ.
///
/// GITHUB_TOKEN (or GITHUB_TOKEN_FILE) raises GitHub's limit from 60 to 5,000 requests an hour. GITHUB_TOKENS (or
/// GITHUB_TOKENS_FILE) has more tokens, between commas or one a line.
#[derive(clap::Parser)]
#[command(name = "fetcher", version)]
pub struct FetcherArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub fetch: FetchArgs,

    /// Poll each source once and exit; exit code 1 if a poll failed
    #[arg(long)]
    pub once: bool,
}

/// Which sources to poll, and how often.
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

    /// What to poll; repeatable: events, repos/OWNER/REPO, orgs/ORG, users/USER, networks/OWNER/REPO [when not given: the
    /// sources of the file, or all public events]
    #[arg(long = "source", value_name = "SOURCE")]
    given_sources: Vec<Source>,

    /// A file with sources to poll, beside those of --source: one a line, with a weight (0.01 to 100) behind it if that is not 1;
    /// # begins a comment. Read again when it changes
    #[arg(long, env = "SOURCES_FILE", value_name = "PATH")]
    pub sources_file: Option<PathBuf>,

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
    /// The sources that flags name. Where no flag names any, and no file: all public events.
    pub fn sources(&self) -> Vec<Source> {
        match &self.given_sources[..] {
            [] if self.sources_file.is_none() => vec![Source::Events],
            given => given.to_vec(),
        }
    }

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

/// The shortest interval we poll at, whatever the user or GitHub says.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// A sweep costs two requests more than a poll.
const SWEEP_EVERY_MIN: Duration = Duration::from_secs(1);
