//! Options of replay.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::Url;

use super::loader::{event_type, queue_name};
use super::{ServerArgs, TelemetryArgs, UsageError};
use crate::gharchive::What;

/// Publishes old events again: from GH Archive, the archive stream, the dead letters, or to fill gaps.
///
/// It only publishes: the loaders do the rest, and an event that is loaded already changes nothing.
#[derive(clap::Parser)]
#[command(name = "replay", version)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub servers: ServerArgs,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    #[command(subcommand)]
    pub source: ReplaySource,
}

/// Where the events come from.
#[derive(clap::Subcommand)]
pub enum ReplaySource {
    /// Hours of GH Archive, or files of JSON lines
    #[command(name = "gharchive")]
    GhArchive(GhArchiveArgs),
    /// The archive stream in RabbitMQ: everything published in the last 7 days
    Archive(ArchiveArgs),
    /// Dead letters: list them, or send them back to the load queue
    Dead(DeadArgs),
    /// What polling missed: fetch it from GH Archive once its files exist
    Gaps(GapsArgs),
}

impl ReplaySource {
    /// The load queue it is about.
    pub fn queue(&self) -> &str {
        let chosen = match self {
            Self::GhArchive(args) => args.publish.queue.as_deref(),
            Self::Archive(args) => args.publish.queue.as_deref(),
            Self::Gaps(args) => args.publish.queue.as_deref(),
            Self::Dead(args) => Some(args.queue.as_str()),
        };
        chosen.unwrap_or("load")
    }
}

/// `replay gharchive`.
///
/// A rerun of a command that was stopped or killed goes on where the last confirm was.
#[derive(clap::Args)]
pub struct GhArchiveArgs {
    /// Hours (2025-08-10-12, 2025-08-10-0..23, 2025-08-10, 2025-08-10..2025-08-12), files of JSON lines (gzipped or not), or
    /// - for standard input
    #[arg(required = true, value_name = "WHAT")]
    pub what: Vec<What>,
    #[command(flatten)]
    pub mirror: MirrorArgs,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub state: StateArgs,

    /// Exit with 0 even if something was rejected: hours that are missing, lines that are no events
    #[arg(long)]
    pub keep_going: bool,
}

/// `replay archive`.
#[derive(clap::Args)]
pub struct ArchiveArgs {
    /// From when on it was published: a time (2026-01-31T12:00:00Z), a time ago (2h), an offset in the stream (12345), or
    /// `last` for behind the last replay [the beginning when not given]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Position>,

    /// Until when, in the same forms; an offset is included [what is there now when not given]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Position>,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub state: StateArgs,

    /// Exit with 0 even if a part of what was asked for has been removed by retention
    #[arg(long)]
    pub keep_going: bool,
}

/// `replay dead`.
#[derive(clap::Args)]
pub struct DeadArgs {
    /// Show what is there, grouped by reason, and take nothing
    #[arg(long)]
    pub list: bool,

    /// How --list shows it
    #[arg(long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub format: ListFormat,

    /// Only dead letters whose reason contains this
    #[arg(long = "match", value_name = "REASON")]
    pub matching: Option<String>,

    /// The load queue whose dead letters these are, below the namespace; they go back to it
    #[arg(long, default_value = "load", value_parser = queue_name, value_name = "NAME")]
    pub queue: String,
    #[command(flatten)]
    pub pace: PaceArgs,

    /// Send back at most this many
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Say what would be sent back, and take nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `replay gaps`.
#[derive(clap::Args)]
pub struct GapsArgs {
    /// Show the gaps and what they wait for, and fill none
    #[arg(long)]
    pub list: bool,

    /// How --list shows it
    #[arg(long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub format: ListFormat,

    /// Go on for ever: fill gaps as they are recorded and their hours appear
    #[arg(long, conflicts_with_all = ["list", "dry_run"])]
    pub watch: bool,

    /// How often --watch looks
    #[arg(long, default_value = "10m", value_parser = every, value_name = "DURATION")]
    pub every: Duration,

    /// How long after its hour a file of GH Archive may still appear; a gap is then filled without it and says so
    #[arg(long, default_value = "3d", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub patience: Duration,
    #[command(flatten)]
    pub mirror: MirrorArgs,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub state: StateArgs,

    /// Say what would be published, and fill nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Where GH Archive's files are.
#[derive(clap::Args)]
pub struct MirrorArgs {
    /// GH Archive, a mirror of it, or a folder with its files
    #[arg(
        long,
        env = "GHARCHIVE_BASE_URL",
        hide_env_values = true,
        default_value = "https://data.gharchive.org",
        value_name = "URL|FOLDER"
    )]
    base_url: String,
}

/// Where to publish, and how fast.
#[derive(clap::Args, Clone)]
pub struct PublishArgs {
    /// Publish to this load queue only [gharchive and gaps: to the exchange, and so to every load queue and the archive;
    /// archive: load]
    #[arg(long, value_parser = queue_name, value_name = "NAME")]
    pub queue: Option<String>,
    #[command(flatten)]
    pub pace: PaceArgs,
}

/// How fast to publish.
#[derive(clap::Args, Clone)]
pub struct PaceArgs {
    /// Events a second at most [as fast as RabbitMQ confirms when not given]
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,

    /// Wait while the load queue holds more messages than this; 0 never waits
    #[arg(long, default_value_t = 250_000, value_name = "N")]
    pub max_queue: u32,
}

/// Which events.
#[derive(clap::Args, Clone)]
pub struct SelectArgs {
    /// Only these event types, such as PushEvent,WatchEvent [all when not given]
    #[arg(long, value_delimiter = ',', value_parser = event_type, value_name = "TYPE,…")]
    pub types: Vec<String>,

    /// Publish at most this many events
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Say what would be published, by type, and publish nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl SelectArgs {
    /// True for events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == kind)
    }
}

/// Where replay remembers how far it is.
#[derive(clap::Args, Clone)]
pub struct StateArgs {
    /// Folder for positions, downloads and rejected lines
    #[arg(long, env = "REPLAY_STATE_DIR", default_value = ".replay", value_name = "FOLDER")]
    pub state_dir: PathBuf,
}

/// A table for people, or JSON.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For people.
    Table,
    /// One array of objects.
    Json,
}

/// Where GH Archive's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseUrl {
    /// Below this URL.
    Web(Url),
    /// In this folder.
    Folder(PathBuf),
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::Folder(path) => path.display().fmt(f),
        }
    }
}

impl MirrorArgs {
    /// The checked address. Not checked by clap, whose message would print a password in it.
    ///
    /// # Errors
    /// [`UsageError`] that names the flag and the variable.
    pub fn base_url(&self) -> Result<BaseUrl, UsageError> {
        let wrong = |what: String| UsageError(format!("--base-url (GHARCHIVE_BASE_URL): {what}"));
        let folder = match Url::parse(&self.base_url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => {
                if url.password().is_some() || !url.username().is_empty() {
                    return Err(wrong("must not hold a user or password".into()));
                }
                return Ok(BaseUrl::Web(url));
            }
            Ok(url) if url.scheme() == "file" => url.to_file_path().map_err(|()| {
                wrong("a file:// URL must hold a whole path, as in file:///var/gharchive".into())
            })?,
            Ok(url) if url.has_host() => {
                return Err(wrong(format!(
                    "must be http://, https:// or a folder (is '{}://')",
                    url.scheme()
                )));
            }
            _ => PathBuf::from(&self.base_url),
        };
        if !folder.is_dir() {
            return Err(wrong(format!(
                "no folder {} and no URL such as https://data.gharchive.org",
                folder.display()
            )));
        }
        Ok(BaseUrl::Folder(folder))
    }
}

/// A place in the archive stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// When something was published; RabbitMQ knows it by the chunk, that is, to the second or so.
    Time(DateTime<Utc>),
    /// This long ago.
    Ago(Duration),
    /// RabbitMQ's number of a message in the stream, from 0.
    Offset(u64),
    /// Behind the last one that a replay to the same queue has published.
    Last,
}

/// Longer ago than any archive reaches; anything longer is a slip of the finger.
const AGO_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        let ago = humantime::parse_duration(text).ok().filter(|ago| *ago <= AGO_MAX);
        ago.map(Self::Ago).ok_or_else(|| "must be a time such as 2026-01-31T12:00:00Z, a time ago such as 2h, an offset such as 12345, or last".into())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).fmt(f),
            Self::Ago(ago) => write!(f, "{} ago", humantime::format_duration(*ago)),
            Self::Offset(offset) => write!(f, "offset {offset}"),
            Self::Last => f.write_str("last"),
        }
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).map_err(|error| format!("{error}: it must look like 10m"))?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
    if allowed.contains(&every) { Ok(every) } else { Err("must be from 1s to 1day".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_times_times_ago_offsets_or_last() {
        assert_eq!("12345".parse(), Ok(Position::Offset(12345)));
        assert_eq!("last".parse(), Ok(Position::Last));
        let time: Position = "2026-01-31T13:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T12:00:00Z");
        assert_eq!("2h".parse(), Ok(Position::Ago(Duration::from_secs(7200))));
        for bad in ["", "-1", "yesterday", "2026-01-31", "1.5"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_base_url_is_a_web_server_or_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let parse = |text: &str| MirrorArgs { base_url: text.into() }.base_url();
        assert_eq!(parse("http://mirror/x/").unwrap(), BaseUrl::Web("http://mirror/x/".parse().unwrap()));
        assert_eq!(parse(path).unwrap(), BaseUrl::Folder(folder.path().into()));
        assert_eq!(parse(&format!("file://{path}")).unwrap(), BaseUrl::Folder(folder.path().into()));
        for bad in ["", "/no/such/folder", "ftp://host/x", "https://user:hunter2@host/"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("--base-url") && !error.contains("hunter2"), "{error}");
        }
    }
}
