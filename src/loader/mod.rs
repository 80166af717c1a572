//! The loader: consumes events, runs the script for each, acks after the load.
//!
//! [`run`] owns the loop over broker sessions. `session` pumps one session's deliveries into batches, several in flight.
//! `batch` decides what becomes of each delivery, `suspect` of those that may be killing loaders. `failures` publishes what failed to the retry queues and dead
//! letters. `acks` knows which tags may be acked.

mod acks;
mod batch;
mod counts;
mod failures;
mod progress;
mod rules;
mod session;
mod suspect;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::{ARCHIVE_RETENTION, Broker};
use crate::config::{LoadArgs, Retention};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};
use crate::store::{Fault, LoadPolicy, Store, Suspect};
use counts::Counts;
use failures::FailureLane;
use rules::Rules;
use session::End;

/// Everything the parts of one loader share.
struct Loader {
    /// Tells this loader from every other, also from those before it in the same place.
    name: String,
    broker: Broker,
    store: Store,
    redis: Dependency,
    rabbitmq: Dependency,
    rules: Rules,
    policy: LoadPolicy,
    counts: Counts,
    prefetch: u16,
    batch_size: usize,
    concurrency: usize,
    /// The suspect that may have a note of ours standing.
    noted: Mutex<Option<Suspect>>,
    /// How long deliveries may wait unacked.
    hold_max: Duration,
    /// End once the queue is empty and all is acked.
    drain: bool,
}

/// Loads events until told to stop or, with `drain`, until the queue is empty and all is acked.
///
/// # Errors
/// When RabbitMQ refuses us at the very first session for a reason that waiting does not mend. Everything else is retried.
pub async fn run(
    args: &LoadArgs,
    drain: bool,
    broker: Broker,
    store: Store,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let publisher = broker.publisher(health, false);
    let loader = Arc::new(Loader {
        name: format!("{:016x}", rand::random::<u64>()),
        redis: health.dependency(format!("Redis at {}", store.address())),
        rabbitmq: health.dependency(format!("RabbitMQ at {} (consuming)", broker.address())),
        rules: Rules::new(args),
        policy: LoadPolicy { stream_maxlen: args.stream_maxlen, retention: args.retention },
        counts: Counts::new(),
        prefetch: args.prefetch,
        batch_size: usize::from(args.batch_size),
        concurrency: usize::from(args.concurrency),
        hold_max: args.hold_max,
        noted: Mutex::const_new(None),
        drain,
        broker,
        store: store.with_connections(usize::from(args.concurrency)),
    });
    let lane = FailureLane::start(publisher, Arc::clone(&loader), args.max_attempts, shutdown.clone());
    let reporter = tokio::spawn(progress::report_regularly(Arc::clone(&loader)));
    let watcher = tokio::spawn(watch_redis(Arc::clone(&loader)));
    let result = consume_until_done(&loader, &lane, &shutdown).await;
    reporter.abort();
    watcher.abort();
    lane.finish().await;
    if !matches!(tokio::time::timeout(RETRACT_TIMEOUT, suspect::retract(&loader)).await, Ok(Ok(()))) {
        tracing::debug!("a note about a crash suspect stands, as if this loader had died");
    }
    progress::report(&loader.counts, "done");
    result
}

/// Opens session after session. The first one's refusal is final; after that every end is followed by another try.
async fn consume_until_done(
    loader: &Loader,
    lane: &FailureLane,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::for_server();
    let mut was_open = false;
    let mut fruitless = Backoff::between(Duration::from_secs(1), Duration::from_secs(3600));
    let mut settled_before = 0;
    meet_redis(loader, shutdown).await?;
    while wait_for_redis(loader, shutdown).await.is_ok() {
        match session::run(loader, lane, shutdown, &mut backoff, &mut was_open).await {
            Ok(End::Drained | End::Stopped) => return Ok(()),
            Ok(End::Unfinished) => continue,
            Ok(End::Released) => {
                // Each release counts as a redelivery, and RabbitMQ has a limit for those: while none helps, they grow rare.
                let settled = loader.counts.totals().settled();
                if std::mem::replace(&mut settled_before, settled) != settled {
                    fruitless.reset();
                }
                if fruitless.pause(shutdown).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            Err(error) if error.waiting_cannot_help() && !was_open => return Err(error.into()),
            Err(error) => loader.rabbitmq.away(error),
        }
        if backoff.pause(shutdown).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The first contact. What only a person can mend ends the program now, while that person is looking; settings that put
/// loaded events at risk are told once, and loading goes on.
async fn meet_redis(loader: &Loader, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let address = loader.store.address();
    let mut backoff = Backoff::for_server();
    loop {
        let answer = tokio::select! {
            answer = loader.store.ping() => answer,
            () = shutdown.cancelled() => return Ok(()),
        };
        match answer {
            Ok(()) => break,
            Err(fault) if fault.waiting_cannot_help() => anyhow::bail!("Redis at {address}: {fault}"),
            Err(fault) => loader.redis.away(fault),
        }
        if backoff.pause(shutdown).await.is_err() {
            return Ok(());
        }
    }
    match loader.store.risks().await {
        Ok(risks) => risks.iter().for_each(|risk| tracing::warn!("Redis at {address}: {risk}")),
        Err(fault) if fault.waiting_cannot_help() => anyhow::bail!("Redis at {address}: {fault}"),
        Err(fault) => {
            tracing::warn!("Redis at {address}: cannot tell whether its settings are safe: {fault}")
        }
    }
    if matches!(loader.policy.retention, Retention::For(time) if time < ARCHIVE_RETENTION) {
        tracing::warn!(
            "--retention is shorter than the archive's 7 days: replaying events older than it would count them again"
        );
    }
    Ok(())
}

/// Before anything is consumed, Redis must take writes: else deliveries would only wait here in place of in the queue.
async fn wait_for_redis(loader: &Loader, shutdown: &CancellationToken) -> Result<(), Interrupted> {
    let mut backoff = Backoff::for_server();
    loop {
        let answer = tokio::select! {
            answer = can_load(loader) => answer,
            () = shutdown.cancelled() => return Err(Interrupted),
        };
        match answer {
            Ok(()) => {
                loader.redis.up();
                return Ok(());
            }
            Err(fault) => loader.redis.away(fault),
        }
        backoff.pause(shutdown).await?;
    }
}

/// Redis takes writes, runs the script, and holds no note of ours from before.
async fn can_load(loader: &Loader) -> Result<(), Fault> {
    loader.store.probe().await?;
    suspect::retract(loader).await
}

/// How long the end may wait for Redis to take back a note.
const RETRACT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often Redis is asked whether it can load while there is nothing to load.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Keeps readiness true while no event comes: then no batch would notice that Redis has gone. What a batch has found out is
/// left to the batch.
async fn watch_redis(loader: Arc<Loader>) {
    let mut found_away = false;
    let mut settled_before = 0;
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let settled = loader.counts.totals().settled();
        if std::mem::replace(&mut settled_before, settled) != settled {
            continue;
        }
        match loader.store.probe().await {
            Ok(()) if found_away => {
                loader.redis.up();
                found_away = false;
            }
            Ok(()) => {}
            Err(_) if loader.redis.is_away() => {}
            Err(fault) => {
                loader.redis.away(fault);
                found_away = true;
            }
        }
    }
}
