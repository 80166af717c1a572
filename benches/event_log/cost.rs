//! Redis's CPU for each call of the script. All sides alternate in blocks, so that they share the machine's noise.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta};
use clap::ValueEnum as _;
use github_event_etl::config::EventLog;
use github_event_etl::event::Event;
use github_event_etl_simulator::Generator;

use crate::clients::NAMESPACE;
use crate::direct::DirectLoader;
use crate::expected::scores;
use crate::preload::preload;
use crate::process::cpu_seconds;
use crate::redis_info::{arguments, version};
use crate::redis_server::RedisServer;

const BLOCK: usize = 10_000;
const BATCH: usize = 64;
/// The whole feed has 58 events a second.
const INTERVAL_MS: i64 = 17;

/// Loads a batch.
type Loading = dyn FnMut(&[Vec<u8>]) -> Result<()>;

/// A side: how it loads a batch.
struct Side {
    name: String,
    event_log: EventLog,
    redis: RedisServer,
    load: Box<Loading>,
    cpu_s: Vec<f64>,
}

impl Side {
    /// The median of its sorted blocks.
    fn median(&self) -> f64 {
        self.cpu_s[self.cpu_s.len() / 2]
    }
}

/// Measures with each number of events in the log and prints a table.
pub fn run(millions: &[f64], blocks: usize, older: Option<&Path>, size: u32) -> Result<()> {
    println!("{}", version()?);
    println!(
        "| events in the log before | side | CPU s for 100,000 events, median (range) | ratio to the first side |"
    );
    println!("|--:|---|--:|--:|");
    for before in millions {
        let mut sides = sides(older)?;
        for side in &sides {
            preload(&mut side.redis.connect(), side.event_log, crate::events(*before))?;
        }
        alternate(&mut sides, blocks, size)?;
        sides.iter_mut().for_each(|side| side.cpu_s.sort_by(f64::total_cmp));
        let reference = sides[0].median();
        for side in &sides {
            let (low, median, high) = (side.cpu_s[0], side.median(), side.cpu_s[side.cpu_s.len() - 1]);
            println!(
                "| {before} million | {} | {median:.2} ({low:.2} to {high:.2}) | {:.2} |",
                side.name,
                median / reference
            );
        }
    }
    Ok(())
}

fn sides(older: Option<&Path>) -> Result<Vec<Side>> {
    let mut sides = Vec::new();
    if let Some(path) = older {
        let redis = start();
        let script = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let load = Box::new(older_loader(&redis, &script)?);
        sides.push(Side {
            name: "the older script".into(),
            event_log: EventLog::PerEvent,
            redis,
            load,
            cpu_s: Vec::new(),
        });
    }
    for event_log in EventLog::value_variants().iter().copied() {
        let redis = start();
        let loader = DirectLoader::new(&redis.url(), event_log)?;
        let load = Box::new(move |bodies: &[Vec<u8>]| {
            let loaded = loader.load(bodies)?;
            ensure!(loaded == bodies.len(), "{loaded} of {} are new", bodies.len());
            Ok(())
        });
        sides.push(Side { name: event_log.to_string(), event_log, redis, load, cpu_s: Vec::new() });
    }
    Ok(sides)
}

fn start() -> RedisServer {
    RedisServer::start(&arguments(&[]))
}

/// Calls a script as it was before there were layouts.
fn older_loader(redis: &RedisServer, script: &str) -> Result<impl FnMut(&[Vec<u8>]) -> Result<()> + use<>> {
    let mut connection = redis.connect();
    let sha: String = redis::cmd("SCRIPT").arg("LOAD").arg(script).query(&mut connection)?;
    Ok(move |bodies: &[Vec<u8>]| {
        let mut pipeline = redis::pipe();
        for body in bodies {
            let event = Event::parse(body)?;
            let (id, time, hour) = (&event.id, &event.created_at, event.hour());
            let login = event.actor_login().filter(|_| scores(&event.kind));
            let weight = u8::from(login.is_some());
            let call = pipeline.cmd("EVALSHA").arg(&sha).arg(6);
            for key in [
                format!("event-log:{id}"),
                format!("event-log:{id}@{time}"),
                "event-stream".into(),
                format!("dev-score:{hour}"),
                format!("event-count:{hour}"),
                "first-inserted-at".into(),
            ] {
                call.arg(format!("{NAMESPACE}:{key}"));
            }
            call.arg(time.as_ref()).arg(event.kind.as_ref()).arg("2026-01-01T00:00:00Z");
            call.arg(1000).arg(604_800_000).arg(login.as_deref().unwrap_or("")).arg(weight);
            for (name, value) in event.flattened() {
                call.arg(name).arg(value.as_ref());
            }
        }
        let answers: Vec<i64> = pipeline.query(&mut connection)?;
        ensure!(answers.iter().all(|answer| *answer == 1), "the older script has not loaded an event");
        Ok(())
    })
}

fn alternate(sides: &mut [Side], blocks: usize, size: u32) -> Result<()> {
    let mut generator = Generator::new(1).with_mean_size(size);
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_500);
    let mut place = 0;
    // The first block opens hours and grows tables: it is not counted.
    for block in 0..=blocks {
        let bodies: Vec<_> = (0..BLOCK)
            .map(|_| {
                place += 1;
                generator.next_event(start + TimeDelta::milliseconds(INTERVAL_MS * place)).into_bytes()
            })
            .collect();
        let count = sides.len();
        for turn in 0..count {
            let side = &mut sides[(turn + block) % count];
            let before = cpu_seconds(side.redis.pid());
            for batch in bodies.chunks(BATCH) {
                (side.load)(batch)?;
            }
            if block > 0 {
                let used = cpu_seconds(side.redis.pid()) - before;
                side.cpu_s.push(used * 100_000.0 / BLOCK as f64);
            }
        }
    }
    Ok(())
}
