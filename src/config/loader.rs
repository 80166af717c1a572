//! Options of the loader.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::kind::event_type;
use super::values::{DAY, duration, number};
use super::{EventLog, ServerArgs, TelemetryArgs};

/// Consumes events from RabbitMQ and loads each into Redis; start as many as you like.
#[derive(clap::Parser)]
#[command(name = "loader", version)]
pub struct LoaderArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(flatten)]
    pub load: LoadArgs,

    /// Exit with 0 once the queue and its retry queues are empty and all deliveries of this loader are acked
    #[arg(long)]
    pub drain: bool,
}

/// What to load, and how.
#[derive(clap::Args, Clone)]
pub struct LoadArgs {
    /// Queue to consume, below the namespace; each queue has its own retry queues and dead letters
    #[arg(long, default_value = "load", value_parser = queue_name, value_name = "NAME")]
    pub queue: String,

    /// Deliveries RabbitMQ may send ahead of our acks (1 to 2000)
    #[arg(long, default_value_t = 1000, value_parser = number(1_u16, 2000), value_name = "N")]
    pub prefetch: u16,

    /// Most events in one round trip to Redis (1 to 1000). Batches are smaller if the queue is empty, events are large or the link
    /// is slow
    #[arg(long, default_value_t = 64, value_parser = number(1_u16, 1000), value_name = "N")]
    pub batch_size: u16,

    /// Batches in flight at once, two on each connection to Redis (1 to 64)
    #[arg(long, default_value_t = 16, value_parser = number(1_u8, 64), value_name = "N")]
    pub concurrency: u8,

    /// Events the Redis stream keeps, about (up to 10^12); 0 keeps all
    #[arg(long, default_value_t = 1000, value_parser = number(0, STREAM_MAXLEN_MAX), value_name = "N")]
    pub stream_maxlen: u64,

    /// Points for the actor of an event of this type; repeatable, replaces the defaults
    #[arg(long = "score", default_values = ["PushEvent=1", "PullRequestEvent=1"], value_name = "TYPE=WEIGHT")]
    pub scores: Vec<ScoreWeight>,

    /// How Redis remembers which events are loaded: a key for each event, or a set of ids for each second, which takes a
    /// tenth of the memory or less with GitHub's whole feed; a namespace keeps the one it began with
    #[arg(long, env = "LOADER_EVENT_LOG", value_enum, default_value_t = EventLog::PerEvent, value_name = "LAYOUT")]
    pub event_log: EventLog,

    /// How long an hour's counts, scores and marks live from the hour's first load, such as 7d, or forever. If loaders differ,
    /// the loader that loads an hour's first event decides for that hour
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    pub retention: Retention,

    /// Whether bots, accounts whose login ends in `[bot]`, get a developer score; their events are loaded either way
    #[arg(long, value_enum, default_value_t = Bots::Include, value_name = "WHETHER")]
    pub bots: Bots,

    /// Load only these event types, such as PushEvent,WatchEvent; events of other types are acked and gone [all when not given]
    #[arg(long, value_delimiter = ',', value_parser = event_type, value_name = "TYPE,…")]
    pub types: Vec<String>,

    /// Failures of one event before it goes to the dead letters (1 to 100). It waits 1, 3, 9, 27, then 81 s between attempts, so 5
    /// attempts take 40 s
    #[arg(long, default_value_t = 5, value_parser = number(1_u32, 100), value_name = "N")]
    pub max_attempts: u32,

    /// How long deliveries that cannot be loaded wait here before they go back to the queue (1s to 1day); keep it well below
    /// RabbitMQ's consumer_timeout, which is 30m unless changed
    #[arg(long, default_value = "10m", value_parser = duration(Duration::from_secs(1), DAY, "10m"), value_name = "DURATION")]
    pub hold_max: Duration,
}

/// Far more than a stream can hold; numbers in the script are doubles, which Redis does not take back beyond 10^17.
const STREAM_MAXLEN_MAX: u64 = 1_000_000_000_000;

/// Whether bots score.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bots {
    /// Like everyone.
    Include,
    /// Not at all.
    Exclude,
}

/// Points for the actor of each event of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreWeight {
    /// Event type, such as `PushEvent`.
    pub kind: String,
    /// Points, 0 to [`ScoreWeight::WEIGHT_MAX`].
    pub weight: u32,
}

impl ScoreWeight {
    /// The largest weight: sorted-set scores are doubles, exact up to 2^53, and hours hold well under 2^33 events.
    pub const WEIGHT_MAX: u32 = 1_000_000;
}

impl FromStr for ScoreWeight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || format!("must be TYPE=WEIGHT with a weight of 0 to {}, such as PushEvent=1", Self::WEIGHT_MAX);
        let (kind, weight) = text.split_once('=').ok_or_else(expected)?;
        let weight = weight.parse().ok().filter(|w| *w <= Self::WEIGHT_MAX).ok_or_else(expected)?;
        Ok(Self { kind: event_type(kind)?, weight })
    }
}

/// How long an hour's keys live after its first event was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// They never expire.
    Forever,
    /// They expire after this long.
    For(Duration),
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let retention = humantime::parse_duration(text).ok();
        let allowed = Duration::from_secs(1)..=Duration::from_secs(100 * 366 * 24 * 3600);
        retention
            .filter(|retention| allowed.contains(retention))
            .map(Self::For)
            .ok_or_else(|| "must be a duration from 1s to 100years, such as 7d, or forever".into())
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For(duration) => write!(f, "{}", humantime::format_duration(*duration)),
        }
    }
}

/// A queue's name below the namespace: short, and never one of the names that the pipeline uses for something else.
pub(super) fn queue_name(text: &str) -> Result<String, String> {
    const TAKEN: [&str; 5] = ["archive", "fetcher", "gaps", "status", "unrouted"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err("must be 1 to 64 letters, digits, _ or -".into());
    }
    if TAKEN.contains(&text) {
        return Err(format!("must not be one of {}: the pipeline uses these names", TAKEN.join(", ")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_whole_and_bounded() {
        let weight: ScoreWeight = "PushEvent=3".parse().unwrap();
        assert_eq!((weight.kind.as_str(), weight.weight), ("PushEvent", 3));
        for bad in [
            "PushEvent",
            "=1",
            "pushevent=1",
            "PushEvent=",
            "PushEvent=-1",
            "PushEvent=1.5",
            "PushEvent=1000001",
        ] {
            assert!(bad.parse::<ScoreWeight>().is_err(), "{bad}");
        }
    }

    #[test]
    fn retention_is_a_duration_or_forever() {
        assert_eq!("7d".parse(), Ok(Retention::For(Duration::from_secs(604_800))));
        assert_eq!("forever".parse(), Ok(Retention::Forever));
        for bad in ["7", "0s", "never", "", "1ms", "1000years"] {
            assert!(bad.parse::<Retention>().is_err(), "{bad}");
        }
    }

    #[test]
    fn queue_names_are_plain_and_not_taken() {
        assert!(queue_name("eu").is_ok());
        for bad in ["", "a.b", "gaps", "load dead", &"x".repeat(65)] {
            assert!(queue_name(bad).is_err(), "{bad}");
        }
    }
}
