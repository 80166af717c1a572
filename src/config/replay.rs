//! Options of replay.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::event_type;
use super::loader::queue_name;
use super::values::{DAY, duration, number};
use super::{
    DeadArgs, ExportArgs, MirrorArgs, Namespace, Position, ServerArgs, TelemetryArgs, UsageError, What,
};

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
    ///
    /// A rerun of a command that was stopped or killed continues after the last confirm, unless --anew.
    #[command(name = "gharchive")]
    GhArchive(GhArchiveArgs),
    /// The archive stream in RabbitMQ: everything that the fetcher published in the last 7 days
    ///
    /// It reports events that the archive lacks, and the command that loads them.
    Archive(ArchiveArgs),
    /// Dead letters: list them, send them back to the load queue, save them to a file, or discard them
    Dead(DeadArgs),
    /// What polling missed: fetch it from GH Archive once its files exist
    ///
    /// A gap's record is removed when it is filled; with --queue it stays, because other queues may lack the same events. A gap that
    /// GH Archive lacks stays on record for 90 days.
    Gaps(GapsArgs),
    /// The archive stream as hourly files in GH Archive's form, each event once
    ///
    /// It publishes nothing. Others can use the folder as a mirror of GH Archive, and `replay gharchive FOLDER` loads its files.
    Export(ExportArgs),
}

impl ReplaySource {
    /// The load queue it is about.
    pub fn queue(&self) -> &str {
        let chosen = match self {
            Self::GhArchive(args) => args.publish.queue.as_deref(),
            Self::Archive(args) => args.publish.queue.as_deref(),
            Self::Gaps(args) => args.publish.queue.as_deref(),
            Self::Dead(args) => Some(args.load_queue()),
            Self::Export(_) => None,
        };
        chosen.unwrap_or(LOAD)
    }
}

/// The load queue where none is named.
pub(super) const LOAD: &str = "load";

/// `replay gharchive`.
///
/// A rerun of a command that was stopped or killed continues after the last confirm.
#[derive(clap::Args)]
pub struct GhArchiveArgs {
    /// Hours (2025-08-10-12, 2025-08-10-0..23, 2025-08-10, 2025-08-10..2025-08-12), files of JSON lines (gzipped or not),
    /// folders of such files (.json.gz and .json), or - for standard input
    #[arg(required = true, value_name = "WHAT")]
    pub what: Vec<What>,
    #[command(flatten)]
    pub mirror: MirrorArgs,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub copies: CopyArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub resume: ResumeArgs,

    /// Exit with 0 even if something was rejected: hours that are missing, lines that are no events
    #[arg(long)]
    pub keep_going: bool,
}

/// `replay archive`.
#[derive(clap::Args)]
pub struct ArchiveArgs {
    /// From when on it was published: a time (2026-01-31T12:00:00Z), a time ago (2h), an offset in the stream (12345), or
    /// `last` for the end of the last replay to the same queue, without --types or with the same ones [the beginning when not given]
    #[arg(long, value_name = "WHEN")]
    pub since: Option<Position>,

    /// Until when, in the same forms; an offset is included [what is there now when not given]
    #[arg(long, value_name = "WHEN")]
    pub until: Option<Position>,

    /// Read the archive of another namespace, to fill this one from it [this namespace's own when not given]
    #[arg(long, value_name = "NAMESPACE")]
    pub from: Option<Namespace>,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub select: SelectArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub resume: ResumeArgs,

    /// Exit with 0 even if retention has removed a part of the range, or the archive lacks events
    #[arg(long)]
    pub keep_going: bool,

    /// Delete the archive and declare it again, for a stream that RabbitMQ has lost; asks first. Publishes nothing
    #[arg(long, conflicts_with_all = ["since", "until", "from", "queue", "rate", "max_queue", "types", "limit", "dry_run", "anew", "keep_going"])]
    pub reset: bool,

    /// Do not ask before --reset; needed where there is no terminal
    #[arg(long, requires = "reset")]
    pub yes: bool,
}

/// `replay gaps`.
#[derive(clap::Args)]
pub struct GapsArgs {
    /// Show the gaps and their state, and fill none
    #[arg(long)]
    pub list: bool,

    /// How --list shows them [table when not given]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ListFormat>,

    /// Fill gaps for ever, as they are recorded and their files appear; not with --list, --dry-run or --queue
    #[arg(long, conflicts_with_all = ["list", "dry_run", "queue"])]
    pub watch: bool,

    /// How often --watch looks (1s to 1day)
    #[arg(long, default_value = "10m", value_parser = duration(Duration::from_secs(1), DAY, "10m"), value_name = "DURATION")]
    pub every: Duration,

    /// How long after its hour a file of GH Archive may still appear; a gap is then filled without it and says so
    #[arg(long, default_value = "3d", value_parser = duration(Duration::ZERO, 365_250 * DAY, "3d"), value_name = "DURATION")]
    pub patience: Duration,
    #[command(flatten)]
    pub mirror: MirrorArgs,
    #[command(flatten)]
    pub publish: PublishArgs,
    #[command(flatten)]
    pub copies: CopyArgs,
    #[command(flatten)]
    pub state: StateArgs,

    /// Say what would be published, and fill nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl GapsArgs {
    /// Refuses flags that do not go together.
    ///
    /// # Errors
    /// [`UsageError`] that names them.
    pub fn check(&self) -> Result<(), UsageError> {
        let wants_list = self.format.is_some() && !self.list;
        let refused = || {
            UsageError("--format says how --list shows the gaps: write replay gaps --list --format …".into())
        };
        if wants_list { Err(refused()) } else { Ok(()) }
    }
}

/// Where to publish, and how fast.
#[derive(clap::Args, Clone)]
pub struct PublishArgs {
    /// Publish to this load queue only [when not given: gharchive and gaps publish to every load queue, archive to load]
    #[arg(long, value_parser = queue_name, value_name = "NAME")]
    pub queue: Option<String>,
    #[command(flatten)]
    pub pace: PaceArgs,
}

impl PublishArgs {
    /// The load queue that was named, or the one where none is.
    pub fn load_queue(&self) -> &str {
        self.queue.as_deref().unwrap_or(LOAD)
    }
}

/// Whether the archive gets the published events.
#[derive(clap::Args, Clone)]
pub struct CopyArgs {
    /// Write the events into the archive stream as well, and wait for it when it is away; it holds 20 GB at most, so old
    /// events can push out new ones
    #[arg(long)]
    pub archive: bool,
}

/// How fast to publish.
#[derive(clap::Args, Clone)]
pub struct PaceArgs {
    /// Events a second at most [as fast as RabbitMQ confirms when not given]
    #[arg(long, value_parser = number(NonZeroU32::MIN, NonZeroU32::MAX), value_name = "N")]
    pub rate: Option<NonZeroU32>,

    /// Wait while the load queue holds more messages than this; 0 never waits
    #[arg(long, default_value_t = 250_000, value_parser = number(0, u32::MAX), value_name = "N")]
    pub max_queue: u32,
}

/// Which events.
#[derive(clap::Args, Clone)]
pub struct SelectArgs {
    /// Only these event types, such as PushEvent,WatchEvent [all when not given]
    #[arg(long, value_delimiter = ',', value_parser = event_type, value_name = "TYPE,…")]
    pub types: Vec<String>,

    /// Publish at most this many events
    #[arg(long, value_parser = number(0, u64::MAX), value_name = "N")]
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

/// Whether to continue an earlier run.
#[derive(clap::Args, Clone)]
pub struct ResumeArgs {
    /// Begin at the start, even if an earlier run of the same command was stopped or killed
    #[arg(long)]
    pub anew: bool,
}

/// A table for people, or JSON.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For people.
    Table,
    /// One array of objects.
    Json,
}
