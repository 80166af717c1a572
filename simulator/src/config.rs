//! Options of the simulator.

use std::net::SocketAddr;
use std::path::PathBuf;

use github_event_etl::config::{TelemetryArgs, address, number};

use super::{Fault, Generator};

mod world;

pub use world::WorldArgs;

/// A stand-in for GitHub's Events API: for demonstrations, tests and benchmarks without internet.
///
/// Point a fetcher at it with --api-url http://127.0.0.1:8008. GET /simulator/stats reports what was served.
#[derive(clap::Parser)]
#[command(name = "simulator", version)]
pub struct SimulatorArgs {
    /// Serve at this address; port 0 takes a free one. The URL is the first line on stdout
    #[arg(long, env = "SIMULATOR_LISTEN", default_value = "127.0.0.1:8008", value_parser = address, value_name = "IP:PORT")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub simulate: SimulateArgs,
}

/// Which events exist, when they enter the feed, and which faults occur.
///
/// Events come from the generator, or from files when [`SimulateArgs::events`] has any. They enter in one of three ways:
///
/// - by the clock, `rate` a second. The generator has filled the window before; recorded events start with an empty feed;
/// - `rate` 0: at the start only. The generator fills the window; of recorded events all enter, so the last `window` of them
///   are visible. Polls then get 304;
/// - `per_poll` N: N with each request for the first page of `/events`, but only once every event that entered before was
///   fetched in an undamaged 200, or the client got 304 for the first page. So a client that keeps polling gets each event
///   of a recording, whatever fails. With N at most 100 the first page holds all that is new; with N at most half the
///   window a poller also always sees an overlap; with N the window it never does, which is a gap each time.
///
/// [`SimulateArgs::default`] has the defaults of the command line.
#[derive(clap::Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Seed of the generated events: the same seed, the same events
    #[arg(long, default_value_t = 1, value_parser = number(0, u64::MAX), value_name = "N")]
    pub seed: u64,

    /// Events that enter the feed in a second (0 to 10000, such as 0.5); 0: all enter at the start, and then the feed rests
    #[arg(long, default_value_t = 20.0, value_parser = rate, value_name = "N")]
    pub rate: f64,

    /// In place of --rate: N events enter with each poll of /events, once all before were fetched (1 to --window)
    #[arg(long, conflicts_with = "rate", value_parser = number(1, WINDOW_MAX), value_name = "N")]
    pub per_poll: Option<u32>,

    /// Serve recorded events, byte for byte, in place of generated ones; repeatable, one file after the other. JSON lines
    /// (oldest first) or a JSON array (a page of the API, newest first), gzipped if named .gz
    #[arg(long, value_name = "FILE")]
    pub events: Vec<PathBuf>,

    /// Events that clients can see, the newest (1 to 10000); GitHub shows 300
    #[arg(long, default_value_t = 300, value_parser = number(1, WINDOW_MAX), value_name = "N")]
    pub window: u32,

    /// Size of generated events in the mean, in bytes (1500 to 10000) [their natural size when not given]
    #[arg(long, value_parser = number(*Generator::MEAN_SIZE_BYTES.start(), *Generator::MEAN_SIZE_BYTES.end()), value_name = "BYTES")]
    pub mean_size: Option<u32>,

    /// X-Poll-Interval, in seconds
    #[arg(long, default_value_t = 60, value_parser = number(0, u32::MAX), value_name = "SECONDS")]
    pub poll_interval: u32,

    /// Requests that each token may make in --rate-limit-window, and all clients without one [60 without and 5000 with an
    /// Authorization header]
    #[arg(long, value_parser = number(0, u64::MAX), value_name = "N")]
    pub rate_limit: Option<u64>,

    /// After how long the used requests are forgotten, in seconds (1 or more)
    #[arg(long, default_value_t = 3600, value_parser = number(1, u32::MAX), value_name = "SECONDS")]
    pub rate_limit_window: u32,

    /// A fault of GitHub, such as 502:every=3; repeatable. --help has the list
    #[arg(long = "fault", long_help = Fault::help(), value_name = "FAULT")]
    pub faults: Vec<Fault>,

    #[command(flatten)]
    pub world: WorldArgs,
}

/// The largest window: times the largest event this bounds the memory.
const WINDOW_MAX: u32 = 10_000;

/// The highest rate, about what one core generates.
const RATE_MAX: f64 = 10_000.0;

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("must be a number from 0 to {RATE_MAX}"))
}

impl Default for SimulateArgs {
    /// The values of an empty command line, so that the defaults stand in one place.
    fn default() -> Self {
        use clap::{Args as _, FromArgMatches as _};
        let command = Self::augment_args(clap::Command::new("simulator").no_binary_name(true));
        let matches = command.get_matches_from(std::iter::empty::<String>());
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn parse(line: &str) -> Result<SimulateArgs, String> {
        let words = std::iter::once("simulator").chain(line.split_whitespace());
        SimulatorArgs::try_parse_from(words).map(|args| args.simulate).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_command_line_is_the_default() {
        let (default, parsed) = (SimulateArgs::default(), parse("").unwrap());
        assert_eq!(format!("{default:?}"), format!("{parsed:?}"));
        assert_eq!((default.seed, default.window, default.poll_interval), (1, 300, 60));
    }

    #[test]
    fn faults_repeat_and_an_unknown_one_is_refused_with_the_list() {
        assert_eq!(parse("--fault 500:first=1 --fault hang").unwrap().faults.len(), 2);
        let error = parse("--fault rain").unwrap_err();
        assert!(error.contains("'rain'") && error.contains("too-many-requests"), "{error}");
    }

    #[test]
    fn limits_are_held() {
        for bad in [
            "--rate -1",
            "--rate 10001",
            "--rate NaN",
            "--window 0",
            "--window 10001",
            "--mean-size 100",
            "--per-poll 0",
            "--per-poll 5 --rate 3",
            "--rate-limit-window 0",
            "--listen here",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
