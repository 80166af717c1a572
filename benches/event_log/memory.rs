//! Bytes of Redis for each event, in memory and on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chrono::SecondsFormat;
use clap::ValueEnum as _;
use github_event_etl::config::EventLog;

use crate::clients::NAMESPACE;
use crate::direct::DirectLoader;
use crate::feeds::{self, Feed};
use crate::files;
use crate::redis_info::{arguments, info, version};
use crate::redis_server::RedisServer;

const BATCH: usize = 500;

/// What one Redis holds after a feed.
struct Held {
    events: usize,
    /// Bytes of the event log alone.
    log: f64,
    /// Bytes of all keys.
    all: f64,
    /// Bytes of a snapshot: what the append-only file has after Redis has rewritten it.
    snapshot: f64,
}

/// Measures each feed in each layout and prints a table.
pub fn run(millions: f64, data: &[PathBuf], settings: &[String]) -> Result<()> {
    let arguments = arguments(settings);
    println!("{} {}", version()?, settings.join(" "));
    println!(
        "| feed | events | layout | bytes of event log an event | bytes of all keys an event | bytes of a snapshot an event |"
    );
    println!("|---|--:|---|--:|--:|--:|");
    let feeds: [&dyn Fn() -> Feed; 4] =
        [&|| feeds::whole(crate::events(millions)), &feeds::polled, &feeds::day_of_2015, &feeds::repository];
    for feed in feeds {
        for layout in EventLog::value_variants() {
            let Feed { name, entries } = feed();
            let bodies = entries.map(|entry| {
                let time = entry.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
                format!(r#"{{"id":"{}","type":"PushEvent","created_at":"{time}"}}"#, entry.id).into_bytes()
            });
            show(name, *layout, &measure(bodies, *layout, &arguments)?);
        }
    }
    if !data.is_empty() {
        for layout in EventLog::value_variants() {
            let bodies = files::events(data, usize::MAX)?.into_iter();
            show("real events of GH Archive", *layout, &measure(bodies, *layout, &arguments)?);
        }
    }
    Ok(())
}

fn show(name: &str, layout: EventLog, held: &Held) {
    println!(
        "| {name} | {} | {layout} | {:.1} | {:.1} | {:.1} |",
        held.events, held.log, held.all, held.snapshot
    );
}

fn measure(mut bodies: impl Iterator<Item = Vec<u8>>, layout: EventLog, arguments: &[&str]) -> Result<Held> {
    let redis = RedisServer::start(arguments);
    let loader = DirectLoader::new(&redis.url(), layout)?;
    loader.load(&[])?;
    let empty = info(&redis, "used_memory")?;
    let mut count = 0;
    loop {
        let batch: Vec<_> = bodies.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            break;
        }
        count += loader.load(&batch)?;
    }
    ensure!(count > 0, "no events");
    let all = info(&redis, "used_memory")?.saturating_sub(empty) as f64;
    let log = all - others(&redis)? as f64;
    let events = count as f64;
    let snapshot = snapshot_bytes(&redis)? as f64 / events;
    Ok(Held { events: count, log: log / events, all: all / events, snapshot })
}

/// Lets Redis write a snapshot; its size. With `aof-use-rdb-preamble`, Redis's default, a rewritten append-only file is a snapshot.
fn snapshot_bytes(redis: &RedisServer) -> Result<u64> {
    let mut connection = redis.connect();
    redis::cmd("SAVE").query::<()>(&mut connection).context("write a snapshot")?;
    let (_, folder): (String, String) = redis::cmd("CONFIG").arg("GET").arg("dir").query(&mut connection)?;
    Ok(fs::metadata(Path::new(&folder).join("dump.rdb")).context("look at the snapshot")?.len())
}

/// Bytes of the keys that are not the event log.
fn others(redis: &RedisServer) -> Result<u64> {
    let mut connection = redis.connect();
    let mut bytes = 0;
    for pattern in ["event-count:*", "dev-score:*", "event-stream", "hours", "first-inserted-at"] {
        let pattern = format!("{}:{pattern}", NAMESPACE);
        let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut connection)?;
        for key in keys {
            let mut usage = redis::cmd("MEMORY");
            usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
            bytes += usage.query::<u64>(&mut connection)?;
        }
    }
    Ok(bytes)
}
