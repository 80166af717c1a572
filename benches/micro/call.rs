//! The loader's part of a script call: built, written to a Redis that does nothing, answer read. 64 calls are one round trip, as
//! in the loader; the time is that of the round trip, and the rate that of its events' bytes.

use std::time::Duration;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use github_event_etl::config::{RedisUrl, Retention};
use github_event_etl::event::Event;
use github_event_etl::store::{LoadCall, LoadPolicy, Score, Store};
use secrecy::SecretString;

use crate::idle_redis;
use crate::samples::{Sample, samples};

/// Events in a round trip: the loader's default.
const BATCH: usize = 64;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[divan::bench(args = samples())]
fn round_trip_of_64(bencher: Bencher<'_, '_>, sample: &Sample) {
    if let Err(error) = measure(bencher, sample) {
        eprintln!("{sample}: {error:#}");
        std::process::exit(1);
    }
}

fn measure(bencher: Bencher<'_, '_>, sample: &Sample) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = RedisUrl::parse(&SecretString::from(idle_redis::start()?), None)?;
    let store = Store::new(&url, &"bench".parse().map_err(anyhow::Error::msg)?)?;
    let policy = LoadPolicy { stream_maxlen: 1000, retention: Retention::For(WEEK) };
    let event = Event::parse(&sample.body)?;
    let score = || event.actor_login().map(|login| Score { login, weight: 1 });
    let calls: Vec<_> = (0..BATCH).map(|_| LoadCall { event: &event, score: score() }).collect();
    let bencher = bencher.counter(ItemsCount::new(BATCH)).counter(BytesCount::new(BATCH * sample.body.len()));
    bencher.bench_local(|| runtime.block_on(store.load(policy, &calls)));
    Ok(())
}
