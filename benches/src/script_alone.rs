//! The script without RabbitMQ: the store's calls for each event, from this process.

use anyhow::{Result, bail, ensure};
use github_event_etl::config::EventLog;

use crate::direct::DirectLoader;
use crate::expected::Expected;
use crate::meter::Meter;
use crate::report::Figures;
use crate::servers::{self, Aof};
use crate::verify::verify;
use crate::workload::Workload;

/// Calls in a round trip: the loader's default.
const BATCH: usize = 64;
/// Round trips at once, so that Redis never waits for this process.
const CONNECTIONS: usize = 4;

/// Runs the script for all events; with `again`, once more, and that is measured.
pub fn run(workload: &Workload, expected: &Expected, event_log: EventLog, again: bool) -> Result<Figures> {
    let redis = servers::redis(Aof::Off);
    let mut meter = Meter::default();
    meter.add("client", std::process::id());
    meter.add("redis", redis.pid());
    if again {
        load_all(&redis.url(), workload, event_log, true)?;
    }
    let from = meter.read();
    load_all(&redis.url(), workload, event_log, !again)?;
    let to = meter.read();
    verify(&mut redis.connect(), &workload.events, expected, event_log)?;
    let count = workload.events.len() as u64;
    let mut figures = Figures::default();
    figures.add("events_per_s", count as f64 / (to.at - from.at).as_secs_f64());
    for (role, cpu_s) in meter.cpu_s_per_100k(&from, &to, count) {
        figures.add(&format!("cpu_s_per_100k.{role}"), cpu_s);
    }
    Ok(figures)
}

fn load_all(url: &str, workload: &Workload, event_log: EventLog, are_new: bool) -> Result<()> {
    let part = workload.events.len().div_ceil(CONNECTIONS);
    std::thread::scope(|scope| {
        let threads = workload
            .events
            .chunks(part)
            .map(|bodies| scope.spawn(move || load(url, bodies, event_log, are_new)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread of the script's part panicked"),
        })
    })
}

/// Loads them. Either all are new, or all are loaded already.
fn load(url: &str, bodies: &[Vec<u8>], event_log: EventLog, are_new: bool) -> Result<()> {
    let loader = DirectLoader::new(url, event_log)?;
    for bodies in bodies.chunks(BATCH) {
        let (new, expected) = (loader.load(bodies)?, if are_new { bodies.len() } else { 0 });
        ensure!(new == expected, "{new} of {} events are new, and {expected} should be", bodies.len());
    }
    Ok(())
}
