//! The script without RabbitMQ: the store's calls for each event, from this process.

use anyhow::{Context as _, Result, bail};
use github_event_etl::config::{EventLog, RedisUrl, Retention};
use github_event_etl::event::Event;
use github_event_etl::store::{LoadCall, LoadPolicy, Score, Store, Verdict};
use secrecy::SecretString;

use crate::clients::{namespace, runtime};
use crate::expected::{Expected, scores};
use crate::meter::Meter;
use crate::report::Figures;
use crate::servers::{self, Aof};
use crate::verify::verify;
use crate::workload::Workload;

/// Calls in a round trip: the loader's default.
const BATCH: usize = 64;
/// Round trips at once, so that Redis never waits for this process.
const CONNECTIONS: usize = 4;
const POLICY: LoadPolicy = LoadPolicy {
    stream_maxlen: 1000,
    retention: Retention::For(std::time::Duration::from_secs(7 * 24 * 3600)),
};

/// Runs the script for all events; with `again`, once more, and that is measured.
pub fn run(workload: &Workload, expected: &Expected, event_log: EventLog, again: bool) -> Result<Figures> {
    let redis = servers::redis(Aof::Off);
    let mut meter = Meter::default();
    meter.add("client", std::process::id());
    meter.add("redis", redis.pid());
    if again {
        load_all(&redis.url(), workload, event_log, &Verdict::Loaded)?;
    }
    let verdict = if again { Verdict::Duplicate } else { Verdict::Loaded };
    let from = meter.read();
    load_all(&redis.url(), workload, event_log, &verdict)?;
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

fn load_all(url: &str, workload: &Workload, event_log: EventLog, verdict: &Verdict) -> Result<()> {
    let part = workload.events.len().div_ceil(CONNECTIONS);
    std::thread::scope(|scope| {
        let threads = workload
            .events
            .chunks(part)
            .map(|bodies| scope.spawn(move || load(url, bodies, event_log, verdict)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread of the script's part panicked"),
        })
    })
}

fn load(url: &str, bodies: &[Vec<u8>], event_log: EventLog, expected: &Verdict) -> Result<()> {
    let url = RedisUrl::parse(&SecretString::from(url.to_owned()), None)?;
    let store = Store::new(&url, &namespace()?)?.with_event_log(event_log);
    let runtime = runtime()?;
    for bodies in bodies.chunks(BATCH) {
        let events: Vec<Event<'_>> =
            bodies.iter().map(|body| Event::parse(body)).collect::<Result<_, _>>()?;
        let calls = events.iter().map(|event| {
            let login = event.actor_login().filter(|_| scores(&event.kind));
            LoadCall { event, score: login.map(|login| Score { login, weight: 1 }) }
        });
        let verdicts = runtime.block_on(store.load(POLICY, &calls.collect::<Vec<_>>()));
        let other = verdicts.iter().find(|verdict| *verdict != expected);
        other
            .map_or(Ok(()), |other| bail!("the script says {other:?} in place of {expected:?}"))
            .context("load")?;
    }
    Ok(())
}
