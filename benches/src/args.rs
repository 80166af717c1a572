//! The command line of the benchmark.

use std::path::PathBuf;

use github_event_etl::config::EventLog;

/// What this pipeline costs, beside other workers.
#[derive(clap::Parser)]
#[command(name = "bench", version, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Only these parts, comma-separated [all when not given]
    #[arg(long, value_delimiter = ',', value_name = "PART,…")]
    pub only: Vec<String>,

    /// Real events in place of generated ones: files of JSON lines, gzipped or not; folders are searched for them
    #[arg(long, value_delimiter = ',', value_name = "PATH,…")]
    pub data: Vec<PathBuf>,

    /// Events of each side of a round
    #[arg(long, default_value_t = 50_000, value_name = "N")]
    pub events: usize,

    /// Rounds; figures are their medians
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rounds: usize,

    /// No round begins that would end later than this after the start
    #[arg(long, default_value_t = 15.0, value_name = "MINUTES")]
    pub minutes: f64,

    /// Folder for results, generated files and the packages of the peers
    #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
    pub folder: PathBuf,
}

impl Args {
    /// Where the programs that are measured write what they have to say.
    pub fn log(&self) -> PathBuf {
        self.folder.join("workers.log")
    }
}

#[derive(clap::Subcommand)]
pub enum Command {
    /// Consume and ack so many messages from AMQP_URL: the side `acking only`, in a process of its own
    #[command(hide = true)]
    Ack {
        /// How many messages.
        count: u64,
    },
    /// Whether a loader keeps its rate: over a long backlog, into an empty Redis and into one with a full event log
    Growth {
        /// Events that wait in the queue, in thousands
        #[arg(long, default_value_t = 2_000, value_name = "THOUSANDS")]
        backlog: usize,
        /// Events in the log before, in millions
        #[arg(long, default_values_t = [0, 30], value_delimiter = ',', value_name = "MILLIONS,…")]
        log: Vec<u64>,
        /// The layouts; both if not given
        #[arg(long)]
        event_log: Vec<EventLog>,
    },
    /// Draw the chart of results that an earlier run has written
    Chart {
        /// The results, JSON.
        from: PathBuf,
        /// The chart, SVG.
        to: PathBuf,
    },
}
