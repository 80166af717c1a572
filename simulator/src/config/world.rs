//! Options of a world of many repositories.

use github_event_etl::config::number;

use crate::State;

/// Serve many repositories, each with its feed, in place of one feed for all.
///
/// Their rates follow a power law with `rate` in sum, and events come in bursts. Each feed has a history, up to 90 days old, and
/// shows its newest `window` events, of all types. A third of the repositories belong to organisations, whose feeds are the
/// merged feeds of their repositories; `/events` merges all. Feeds of users do not exist. ETags belong to a token. Links lead to
/// `/repositories/ID` and `/organizations/ID`. `GET /simulator/sources` lists the repositories.
#[derive(clap::Args, Clone, Debug)]
pub struct WorldArgs {
    /// Serve so many repositories (1 to 20000) with their own feeds, --rate events a second in sum; GET /simulator/sources
    /// lists them for --sources-file
    #[arg(long, conflicts_with_all = ["per_poll", "events", "mean_size"], value_parser = number(1, REPOSITORIES_MAX), value_name = "N")]
    pub repositories: Option<u32>,

    /// The share of them (0 to 1) that were renamed: 301 under the listed name
    #[arg(long, default_value_t = 0.0, requires = "repositories", value_parser = share, value_name = "SHARE")]
    pub renamed: f64,

    /// The share of them (0 to 1) that are gone: 404
    #[arg(long, default_value_t = 0.0, requires = "repositories", value_parser = share, value_name = "SHARE")]
    pub gone: f64,

    /// The share of them (0 to 1) that are blocked: 451
    #[arg(long, default_value_t = 0.0, requires = "repositories", value_parser = share, value_name = "SHARE")]
    pub blocked: f64,

    /// The share of them (0 to 1) that GitHub refuses: 403 without Retry-After
    #[arg(long, default_value_t = 0.0, requires = "repositories", value_parser = share, value_name = "SHARE")]
    pub refused: f64,
}

/// Times the window this bounds the memory: with 300 events, to 250 MB.
const REPOSITORIES_MAX: u32 = 20_000;

impl WorldArgs {
    /// The share of the repositories in each state but the usual one.
    pub(crate) fn shares(&self) -> [(State, f64); 4] {
        [
            (State::Renamed, self.renamed),
            (State::Gone, self.gone),
            (State::Blocked, self.blocked),
            (State::Refused, self.refused),
        ]
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}
