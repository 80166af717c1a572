//! The time from publishing an event to its effects in Redis, at a steady rate.
//!
//! Redis tells this process the name of every mark that the script sets, so that each event has its own time. That costs Redis
//! one short message an event. The event log is per-event, because a key of the other layout names no event.

mod listener;
mod publisher;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use github_event_etl::config::EventLog;
use github_event_etl::event::Event;

use crate::clients::NAMESPACE;
use crate::drain::wait_until_loaded;
use crate::queue::wait_for_consumer;
use crate::report::Figures;
use crate::servers::{self, Aof, RabbitNode, wait_until_quiet};
use crate::worker::{Running, Worker};
use crate::workload::Workload;
use listener::Listener;
use publisher::Publisher;

/// Events a second, and for how many seconds: enough events for the last per mille, where that does not take minutes.
pub const RATES: [(u32, u32); 3] = [(100, 10), (1_000, 8), (10_000, 5)];
/// Events before the measurement: the first ones pay for opening connections.
const WARM_UP: usize = 200;

/// Publishes at `rate` for `seconds`, or as long as there are events, while `loader` loads.
pub fn run(workload: &Workload, loader: &Worker, rate: u32, seconds: u32, log: &Path) -> Result<Figures> {
    let redis = servers::redis(Aof::Off);
    redis.run("CONFIG SET notify-keyspace-events E$");
    let rabbitmq = RabbitNode::start();
    let running = Running(loader.start(EventLog::PerEvent, &rabbitmq.url(), &redis.url(), log)?);
    wait_for_consumer(&rabbitmq)?;
    wait_until_quiet(&rabbitmq);
    let mut publisher = Publisher::open(&rabbitmq.url())?;
    let (warm_up, measured) = workload.events.split_at(WARM_UP.min(workload.events.len() / 2));
    publisher.publish(warm_up, Duration::from_millis(5))?;
    wait_until_loaded(&mut redis.connect(), warm_up.len() as u64)?;
    let measured = &measured[..measured.len().min((rate * seconds) as usize)];
    let listener = Listener::start(&redis, measured.len())?;
    let published = publisher.publish(measured, Duration::from_secs(1) / rate)?;
    let loaded = listener.finish()?;
    publisher.close()?;
    running.stop()?;
    let latencies = latencies(measured, &published.sent_at, &loaded)?;
    let mut figures = Figures::default();
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)] {
        figures.add(&format!("latency_ms_{name}"), percentile(&latencies, share));
    }
    figures.add("publisher_late_ms_p99", percentile(&sorted(published.late_ms), 0.99));
    Ok(figures)
}

/// The milliseconds of each event from publishing to loading, sorted.
fn latencies(bodies: &[Vec<u8>], sent_at: &[Instant], loaded: &HashMap<String, Instant>) -> Result<Vec<f64>> {
    let of_event = |(body, sent_at): (&Vec<u8>, &Instant)| {
        let event = Event::parse(body)?;
        let mark = format!("{NAMESPACE}:event-log:{}", event.id);
        let loaded_at = loaded.get(&mark).with_context(|| format!("nothing was told of {mark}"))?;
        Ok(loaded_at.saturating_duration_since(*sent_at).as_secs_f64() * 1000.0)
    };
    let latencies: Vec<f64> = bodies.iter().zip(sent_at).map(of_event).collect::<Result<_>>()?;
    ensure!(!latencies.is_empty(), "no events to measure");
    Ok(sorted(latencies))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value that this share of the sorted values does not exceed.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}
