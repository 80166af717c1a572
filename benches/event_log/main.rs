//! `make bench-event-log`: what the two layouts of the event log cost in memory, in Redis's CPU, and when an hour expires.
//!
//! Each measurement has Redis servers of its own. Which version: that of the `redis-server` on the PATH.

// Modules of `bench` and of the tests. This program needs a part of each.
#[allow(dead_code, reason = "bench uses the rest")]
#[path = "../src/clients.rs"]
mod clients;
mod cost;
#[path = "../src/direct.rs"]
mod direct;
#[allow(dead_code, reason = "bench uses the rest")]
#[path = "../src/expected.rs"]
mod expected;
mod expiry;
mod feeds;
#[allow(dead_code, reason = "bench uses the rest")]
#[path = "../src/files.rs"]
mod files;
mod memory;
#[path = "../src/preload.rs"]
mod preload;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/support/process.rs"]
mod process;
mod redis_info;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use github_event_etl::config::EventLog;

/// The layouts of the event log, measured
#[derive(Parser)]
#[command(name = "bench-event-log")]
enum Command {
    /// Bytes of Redis for each event, in memory and on disk, for several feeds
    Memory {
        /// Events of the whole feed's day, in millions
        #[arg(long, default_value_t = 5.0)]
        millions: f64,
        /// Files of GH Archive, gzipped or not, for the row of real events
        #[arg(long, value_delimiter = ',')]
        data: Vec<PathBuf>,
        /// More settings of Redis, such as --set-max-intset-entries 4096
        #[arg(last = true)]
        settings: Vec<String>,
    },
    /// CPU of Redis for each call of the script, with few and with many events in the log
    Cost {
        /// Events in the log before, in millions
        #[arg(long, default_values_t = [0.0, 30.0])]
        millions: Vec<f64>,
        /// Blocks of 10,000 events for each side; the sides alternate
        #[arg(long, default_value_t = 30)]
        blocks: usize,
        /// An older version of the script, from before there were layouts, as one more side
        #[arg(long)]
        older: Option<PathBuf>,
        /// Mean size of an event in bytes
        #[arg(long, default_value_t = 2_900)]
        size: u32,
    },
    /// How long a loader waits for Redis while the keys of an hour expire
    Expiry {
        /// Events in the log, in millions: seven days
        #[arg(long, default_value_t = 35.0)]
        millions: f64,
        /// Events of the hour that expires
        #[arg(long, default_value_t = 208_000)]
        hour: u64,
        /// The layouts; both if not given
        #[arg(long)]
        event_log: Vec<EventLog>,
        /// More settings of Redis, such as --lazyfree-lazy-expire yes
        #[arg(last = true)]
        settings: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Memory { millions, data, settings } => memory::run(millions, &data, &settings),
        Command::Cost { millions, blocks, older, size } => {
            cost::run(&millions, blocks, older.as_deref(), size)
        }
        Command::Expiry { millions, hour, event_log, settings } => {
            expiry::run(millions, hour, &event_log, &settings)
        }
    }
}

/// `millions` as a number of events.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a flag's value, far below 2^53")]
fn events(millions: f64) -> u64 {
    (millions * 1e6) as u64
}
