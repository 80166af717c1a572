//! Sides that drain a waiting backlog, and the one that only acks it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use github_event_etl::config::EventLog;
use redis::Connection;

use crate::clients::{NAMESPACE, events_loaded, redis_bytes_at_rest};
use crate::expected::Expected;
use crate::meter::{Meter, Reading};
use crate::publish::node_with;
use crate::queue::messages_left;
use crate::report::Figures;
use crate::servers::{self, Aof};
use crate::verify::verify;
use crate::worker::{Running, Worker};
use crate::workload::Workload;

/// The slowest worker on a slow machine needs less.
const PATIENCE: Duration = Duration::from_secs(240);

/// Workers that drain the load queue, and the Redis that they load into.
#[derive(Clone)]
pub struct Side {
    pub name: String,
    pub worker: Worker,
    pub workers: usize,
    pub event_log: EventLog,
    pub aof: Aof,
}

/// Drains the workload with fresh servers, from the first event in Redis to the last.
pub fn drain(side: &Side, workload: &Workload, expected: &Expected, log: &Path) -> Result<Figures> {
    let redis = servers::redis(side.aof);
    let mut connection = redis.connect();
    let rabbitmq = node_with(&workload.events)?;
    let bytes_before = redis_bytes_at_rest(&mut connection)?;
    let mut meter = Meter::default();
    let mut running = Vec::new();
    for _ in 0..side.workers {
        let worker = Running(side.worker.start(side.event_log, &rabbitmq.url(), &redis.url(), log)?);
        meter.add("worker", worker.0.id());
        running.push(worker);
    }
    meter.add("redis", redis.pid());
    meter.add("rabbitmq", rabbitmq.pid());
    let count = workload.events.len() as u64;
    let span = watch(&mut meter, &mut connection, count, &mut running)?;
    for worker in running {
        worker.stop()?;
    }
    verify(&mut connection, &workload.events, expected, side.event_log)?;
    ensure!(
        messages_left(&rabbitmq)? == 0,
        "the load queue is not empty: a worker has not acked all it loaded"
    );
    let mut figures = span.figures(&meter);
    figures.add("redis_bytes_per_event", bytes_per_event(&mut connection, bytes_before, count)?);
    Ok(figures)
}

/// The time between the first event in Redis and the last.
pub struct Span {
    from: Reading,
    to: Reading,
    /// Events loaded between the readings.
    events: u64,
}

impl Span {
    /// Rate, CPU time and peak memory. What starting a program costs is not in rate and CPU time.
    pub fn figures(&self, meter: &Meter) -> Figures {
        let mut figures = Figures::default();
        let seconds = (self.to.at - self.from.at).as_secs_f64();
        figures.add("events_per_s", self.events as f64 / seconds);
        for (role, cpu_s) in meter.cpu_s_per_100k(&self.from, &self.to, self.events) {
            figures.add(&format!("cpu_s_per_100k.{role}"), cpu_s);
        }
        for (role, mib) in meter.peak_memory_mib() {
            figures.add(&format!("peak_mib.{role}"), mib);
        }
        figures
    }
}

/// Waits until `count` events are in Redis.
pub fn watch(meter: &mut Meter, redis: &mut Connection, count: u64, running: &mut [Running]) -> Result<Span> {
    // Rare enough not to take the two cores' time from the workers.
    const LOOK: Duration = Duration::from_millis(10);
    let start = Instant::now();
    let mut first: Option<(Reading, u64)> = None;
    loop {
        let loaded = events_loaded(redis);
        let reading = meter.read();
        first = match first {
            None if loaded > 0 => Some((reading, loaded)),
            Some((from, before)) if loaded >= count => {
                ensure!(before < count, "all is loaded within {LOOK:?}: too few events to measure");
                return Ok(Span { from, to: reading, events: loaded - before });
            }
            first => first,
        };
        running.iter_mut().try_for_each(Running::check)?;
        if start.elapsed() > PATIENCE {
            bail!("{loaded} of {count} events are loaded after {PATIENCE:?}");
        }
        std::thread::sleep(LOOK);
    }
}

/// Waits until `count` events are in Redis, without measuring.
pub fn wait_until_loaded(redis: &mut Connection, count: u64) -> Result<()> {
    let start = Instant::now();
    while events_loaded(redis) < count {
        ensure!(start.elapsed() < PATIENCE, "{count} events are not loaded after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Bytes that an event adds to Redis for good. The stream is capped, so it does not count and is deleted.
fn bytes_per_event(redis: &mut Connection, bytes_before: u64, count: u64) -> Result<f64> {
    let () = redis::cmd("DEL").arg(format!("{NAMESPACE}:event-stream")).query(redis)?;
    let bytes = redis_bytes_at_rest(redis)?;
    let growth = bytes.checked_sub(bytes_before).context("Redis holds less memory than before the load")?;
    Ok(growth as f64 / count as f64)
}

/// Consumes and acks the workload without Redis, in a process of its own.
pub fn ack_only(workload: &Workload) -> Result<Figures> {
    let rabbitmq = node_with(&workload.events)?;
    let count = workload.events.len() as u64;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["ack", &count.to_string()]).env("AMQP_URL", rabbitmq.url()).stdout(Stdio::piped());
    let mut meter = Meter::default();
    let child = command.spawn().context("start the side that only acks")?;
    meter.add("worker", child.id());
    meter.add("rabbitmq", rabbitmq.pid());
    let from = meter.read();
    let mut to = meter.read();
    while !servers::process::is_zombie(child.id()) {
        std::thread::sleep(Duration::from_millis(10));
        to = meter.read();
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "acking only failed: {}", output.status);
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let span = Span { from, to, events: count };
    let mut figures = span.figures(&meter);
    figures.add("events_per_s", count as f64 / seconds);
    Ok(figures)
}
