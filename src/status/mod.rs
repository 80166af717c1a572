//! The status of a long-running program: its name, its problems and its figures. It is published on the status
//! exchange every two seconds, so a program needs neither Redis nor a port of its own to be seen.
//!
//! The stages of a process write their figures to a [`Board`], and [`tell`] publishes them. Publishing never delays the
//! pipeline and never fails it. If RabbitMQ is away, the status is not published.

mod figures;
mod lag;
mod outcomes;
mod source_figures;
mod sources;
mod tell;

pub use figures::{FetcherFigures, LoaderFigures, PollFigures};
pub use outcomes::{Counters, LoadOutcome, Totals};
pub use source_figures::{BLIND_AFTER, SourceFigures, describe_sources};
pub use sources::{SourceState, SourceStatus, SourcesPart};
pub use tell::{SEND_EVERY, tell};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::health::Health;

/// The message on the status exchange, as JSON. Fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `fetcher`, `loader`, `standalone`, …
    pub program: String,
    /// A random name, different for every process and every run.
    pub instance: String,
    /// The machine's name.
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub started_at: DateTime<Utc>,
    /// When this was sent, by the program's clock.
    pub sent_at: DateTime<Utc>,
    /// Number of this message, from 1, because the clock may be set back. 0 from versions that do not count.
    #[serde(default)]
    pub sequence: u64,
    /// As `/readyz` says.
    pub ready: bool,
    /// The servers and extras that the program waits for or works without, with reasons.
    pub problems: Vec<String>,
    /// The last error of a server, whether over or not, and when it began.
    pub last_error: Option<String>,
    pub last_error_at: Option<DateTime<Utc>>,
    /// Only from a process that loads.
    pub loader: Option<LoaderStatus>,
    /// Only from a process that fetches.
    pub fetcher: Option<FetcherStatus>,
}

/// The loaders of one process. Numbers are totals since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoaderStatus {
    /// The load queue, by its name below the namespace. None from versions that do not send it.
    #[serde(default)]
    pub queue: Option<String>,
    /// A field per outcome: `loaded`, `duplicates`, …
    #[serde(flatten)]
    pub totals: Totals,
    /// Events loaded, by type: at most [`TYPES_MAX`], the rest under [`TYPE_OTHER`].
    pub types: BTreeMap<String, u64>,
    /// Seconds from an event's creation to its load, over the last ten seconds. None if none was loaded then.
    pub lag_p50_s: Option<f64>,
    pub lag_p95_s: Option<f64>,
}

/// The fetcher of a process. Numbers are totals since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FetcherStatus {
    /// False while another fetcher of the namespace polls and this one waits to take over.
    #[serde(default)]
    pub on_duty: bool,
    pub polls: u64,
    /// Events published for the first time.
    pub events_new: u64,
    pub gaps: u64,
    pub gap_seconds: u64,
    /// Seconds of all feeds seen / elapsed. None before the first complete poll.
    pub coverage: Option<f64>,
    /// The part of the events that will be missed at present rates, from 0 to 1, because the quota does not suffice for all
    /// sources. None if nothing is planned: with one source, or with `--poll-interval`.
    #[serde(default)]
    pub expected_loss: Option<f64>,
    /// Remaining requests, the whole quota, and its reset time. None if GitHub does not send them.
    pub quota_remaining: Option<u64>,
    pub quota_limit: Option<u64>,
    pub quota_resets_at: Option<DateTime<Utc>>,
    pub last_poll_at: Option<DateTime<Utc>>,
}

/// How many types are counted apart: GitHub has 17, and hostile feeds have any number.
pub const TYPES_MAX: usize = 40;
/// The name under which all further types are counted.
pub const TYPE_OTHER: &str = "other";

/// The figures of a process. Its stages write them, and the status shows them. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Board(Arc<Inner>);

struct Inner {
    instance: String,
    host: String,
    started_at: DateTime<Utc>,
    /// How often the status was sent.
    told: AtomicU64,
    health: Health,
    loader: OnceLock<Arc<LoaderFigures>>,
    fetcher: OnceLock<Arc<FetcherFigures>>,
}

impl Board {
    /// A board of a process whose servers' state is `health`.
    pub fn new(health: Health) -> Self {
        Self(Arc::new(Inner {
            instance: format!("{:016x}", rand::random::<u64>()),
            host: host(),
            started_at: Utc::now(),
            told: AtomicU64::new(0),
            health,
            loader: OnceLock::new(),
            fetcher: OnceLock::new(),
        }))
    }

    /// The state of the servers.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// The figures of this process's loaders, which all consume the load queue `queue`.
    pub fn loader(&self, queue: &str) -> Arc<LoaderFigures> {
        Arc::clone(self.0.loader.get_or_init(|| Arc::new(LoaderFigures::of_queue(queue))))
    }

    /// The figures of this process's fetcher.
    pub fn fetcher(&self) -> Arc<FetcherFigures> {
        Arc::clone(self.0.fetcher.get_or_init(Arc::default))
    }

    /// The next sources of this process's fetcher to send. None while another fetcher polls. There must be only one caller.
    fn next_sources(&self) -> Vec<SourcesPart> {
        let Some(fetcher) = self.0.fetcher.get() else { return Vec::new() };
        let now = Utc::now();
        fetcher.sources().measure(now);
        fetcher.sources().parts(&self.0.instance, now)
    }

    /// The status now. It includes the lag since the last calls, so there must be only one caller.
    fn status(&self, program: &str) -> Status {
        let inner = &*self.0;
        let waiting = inner.health.not_ready();
        let ready = waiting.is_empty();
        let problems = waiting.into_iter().chain(inner.health.degraded());
        let last_error = inner.health.last_error();
        Status {
            program: program.to_owned(),
            instance: inner.instance.clone(),
            host: inner.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: inner.started_at,
            sent_at: Utc::now(),
            sequence: inner.told.fetch_add(1, Ordering::Relaxed) + 1,
            ready,
            problems: problems.map(|(name, why)| format!("{name}: {why}")).collect(),
            last_error_at: last_error.as_ref().map(|error| error.at),
            last_error: last_error.map(|error| error.text),
            loader: inner.loader.get().map(|figures| figures.take()),
            fetcher: inner.fetcher.get().map(|figures| figures.status()),
        }
    }
}

fn host() -> String {
    // Linux has it here. Elsewhere shells set the variable.
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_written_and_later_fields_do_not_matter() {
        let board = Board::new(Health::default());
        let redis = board.health().dependency("Redis at h:1");
        redis.away("refused");
        board.loader("load").settled(&Totals { loaded: 2, duplicates: 1, ..Totals::default() });
        board.fetcher();
        let status = board.status("standalone");
        assert!(!status.ready);
        assert_eq!((status.sequence, board.status("standalone").sequence), (1, 2));
        assert_eq!(status.problems, ["Redis at h:1: refused"]);
        assert_eq!(status.last_error.as_deref(), Some("Redis at h:1: refused"));
        let loader = status.loader.as_ref().unwrap();
        assert_eq!(loader.queue.as_deref(), Some("load"));
        assert_eq!(loader.totals.to_string(), "loaded 2, duplicates 1, unwanted 0, retried 0, dead 0");
        let json = serde_json::to_string(&status).unwrap();
        let later = json.replacen('{', "{\"later\":1,", 1);
        assert_eq!(serde_json::from_str::<Status>(&later).unwrap(), status);
        let older = json.replace(r#""queue":"load","#, "");
        assert_eq!(serde_json::from_str::<Status>(&older).unwrap().loader.unwrap().queue, None);
    }

    #[test]
    fn a_program_that_does_without_an_extra_is_ready_and_tells_the_problem() {
        let board = Board::new(Health::default());
        board.health().extra("the archive").away("no such stream");
        assert_eq!(board.status("fetcher").problems, Vec::<String>::new(), "nobody uses it any more");
        let archive = board.health().extra("the archive");
        archive.away("no such stream");
        let status = board.status("fetcher");
        assert!(status.ready);
        assert_eq!(status.problems, ["the archive: no such stream"]);
    }

    #[test]
    fn stages_that_do_not_run_are_not_told() {
        let status = Board::new(Health::default()).status("fetcher");
        assert!(status.ready && status.loader.is_none() && status.fetcher.is_none());
        assert!(!status.host.is_empty());
    }
}
