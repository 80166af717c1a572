//! Growth: the rate of one loader over the first and the last events of a long backlog, and the memory of all processes meanwhile.
//!
//! Redis keeps no file, so that nothing but the queue and the event log grows.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta};
use clap::ValueEnum as _;
use github_event_etl::config::EventLog;
use github_event_etl_simulator::Generator;
use redis::Connection;

use crate::args::Args;
use crate::clients::events_loaded;
use crate::machine::Machine;
use crate::meter::Meter;
use crate::preload::preload;
use crate::publish::{CHUNK, publish};
use crate::queue::messages_left;
use crate::servers::{self, Aof, RabbitNode, wait_until_quiet};
use crate::worker::{Running, Worker, our_program};

/// Events of which the rate is taken at both ends.
const WINDOW: u64 = 100_000;
const EVENT_BYTES: u32 = 2_900;
/// The whole feed has 58 events a second.
const INTERVAL_MS: i64 = 17;
/// How often the number of loaded events is read.
const LOOK: Duration = Duration::from_millis(10);
/// A loader that loads nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures each layout with each number of millions of events in the log, and prints a table.
pub fn run(args: &Args, backlog_thousands: usize, log_millions: &[u64], layouts: &[EventLog]) -> Result<()> {
    let backlog = backlog_thousands * 1000;
    ensure!(backlog as u64 >= 3 * WINDOW, "--backlog must be at least 300: its two ends have 100 each");
    std::fs::create_dir_all(&args.folder)?;
    println!("{}", Machine::this().sentence());
    println!("Backlog: {backlog} events of {EVENT_BYTES} bytes in the mean.\n");
    println!(
        "| event log | events in it before | first 100,000, events/s | last 100,000, events/s | last / first | loader peak MiB | \
         RabbitMQ peak MiB | Redis peak MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let layouts = if layouts.is_empty() { EventLog::value_variants() } else { layouts };
    for event_log in layouts {
        for millions in log_millions {
            println!("{}", side(args, backlog, *event_log, *millions)?);
        }
    }
    Ok(())
}

/// One row. Peaks are those after the first 100,000 events and at the end.
fn side(args: &Args, backlog: usize, event_log: EventLog, log_millions: u64) -> Result<String> {
    let redis = servers::redis(Aof::Off);
    let mut connection = redis.connect();
    preload(&mut connection, event_log, log_millions * 1_000_000)?;
    let rabbitmq = RabbitNode::start();
    publish(&rabbitmq.url(), chunks(backlog))?;
    wait_until_quiet(&rabbitmq);
    let loader = Worker::Loader { program: our_program("loader")? };
    let mut running = Running(loader.start(event_log, &rabbitmq.url(), &redis.url(), &args.log())?);
    let mut meter = Meter::default();
    meter.add("loader", running.0.id());
    meter.add("rabbitmq", rabbitmq.pid());
    meter.add("redis", redis.pid());

    let backlog = backlog as u64;
    let mut until = |count| until(count, &mut connection, &mut running, &mut meter);
    let first = (until(1)?, until(WINDOW)?);
    let last = (until(backlog - WINDOW)?, until(backlog)?);
    running.stop()?;
    ensure!(
        messages_left(&rabbitmq)? == 0,
        "the load queue is not empty: the loader has not acked all it loaded"
    );
    let (rate_first, rate_last) = (rate(&first), rate(&last));
    let mut row = format!(
        "| {} | {log_millions} million | {rate_first:.0} | {rate_last:.0} | {:.2} |",
        event_log.name(),
        rate_last / rate_first
    );
    for (first, last) in first.1.peaks_mib.iter().zip(&last.1.peaks_mib) {
        row += &format!(" {first:.0} and {last:.0} |");
    }
    Ok(row)
}

/// A moment of the drain.
struct Moment {
    at: Instant,
    /// Events loaded.
    loaded: u64,
    /// The most memory of each process so far.
    peaks_mib: Vec<f64>,
}

/// Waits until at least `count` events are loaded.
fn until(count: u64, redis: &mut Connection, loader: &mut Running, meter: &mut Meter) -> Result<Moment> {
    let (mut before, mut progress) = (0, Instant::now());
    loop {
        let loaded = events_loaded(redis);
        if loaded >= count {
            let at = meter.read().at;
            let peaks_mib = meter.peak_memory_mib().into_iter().map(|(_, mib)| mib).collect();
            return Ok(Moment { at, loaded, peaks_mib });
        }
        if loaded > before {
            (before, progress) = (loaded, Instant::now());
        }
        loader.check()?;
        ensure!(progress.elapsed() < PATIENCE, "{loaded} events are loaded, and none for {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

/// Events a second between two moments.
fn rate((from, to): &(Moment, Moment)) -> f64 {
    (to.loaded - from.loaded) as f64 / (to.at - from.at).as_secs_f64()
}

/// So many generated events, in chunks, so that they are never all in memory.
fn chunks(count: usize) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let mut generator = Generator::new(1).with_mean_size(EVENT_BYTES);
    let start = DateTime::UNIX_EPOCH + TimeDelta::days(20_240);
    let mut event = move |place: usize| {
        generator.next_event(start + TimeDelta::milliseconds(INTERVAL_MS * place as i64)).into_bytes()
    };
    (0..count).step_by(CHUNK).map(move |first| (first..count.min(first + CHUNK)).map(&mut event).collect())
}
