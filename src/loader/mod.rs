//! The loader: consumes events, runs the script for each, acks after the load.
//!
//! - [`run`] opens one broker session after another.
//! - A session: `session` gathers deliveries into batches, several in flight (`waiting`), and acks (`acks`). `check` looks at it
//!   regularly. `ending` ends it in order. `history` remembers sessions that failed.
//! - A batch: `batch` decides about each delivery. `attempts` repeats script calls, `patience` limits for how long. `pace`
//!   limits how much goes to Redis at once. `refusals` decides whose fault an unknown error is. `suspect` loads crash suspects
//!   alone.
//! - `republish` publishes copies: to the retry queues, the dead letters, or back to the load queue.
//! - `readiness` waits for Redis and watches it. `event_log` watches the layout of the event log, `memory`
//!   how long Redis's memory will last. `rules` are the user's choices. `ledger` counts, `progress` logs.

mod acks;
mod attempts;
mod batch;
mod check;
mod ending;
mod event_log;
mod history;
mod ledger;
mod memory;
mod pace;
mod patience;
mod progress;
mod readiness;
mod refusals;
mod republish;
mod rules;
mod session;
mod suspect;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Part};
use crate::config::LoadArgs;
use crate::health::Dependency;
use crate::retry::Backoff;
use crate::status::Board;
use crate::store::{LoadPolicy, Store, Suspect};
use history::History;
use ledger::Ledger;
use pace::Pace;
use refusals::Refusals;
use republish::Republisher;
use rules::Rules;
use session::SessionEnd;

/// Batches in flight on each connection to Redis: while Redis works on one, the next has already arrived. See
/// [`Store::with_connections`].
const BATCHES_PER_CONNECTION: usize = 2;

/// Everything the parts of one loader share.
struct Loader {
    /// A random name, different for every loader and every run.
    name: String,
    broker: Broker,
    store: Store,
    redis: Dependency,
    rabbitmq: Dependency,
    rules: Rules,
    policy: LoadPolicy,
    pace: Pace,
    refusals: Refusals,
    ledger: Ledger,
    prefetch: u16,
    batch_size: usize,
    concurrency: usize,
    /// The crash suspect that may still have this loader's note in Redis.
    noted: Mutex<Option<Suspect>>,
    /// How long deliveries may wait unacked.
    hold_max: Duration,
    /// End when the queue is empty and everything is acked.
    drain: bool,
}

/// Loads events until `shutdown` or, with `drain`, until the queue is empty and everything is acked.
///
/// # Errors
/// When RabbitMQ or Redis refuses the first session for a reason that waiting cannot change, or when the namespace's event log has
/// the other layout. Every other error is retried.
pub async fn run(
    args: &LoadArgs,
    drain: bool,
    broker: Broker,
    store: Store,
    board: &Board,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let health = board.health();
    let publisher = broker.publisher(&[Part::LoadQueue], health, false);
    let loader = Arc::new(Loader {
        name: format!("{:016x}", rand::random::<u64>()),
        redis: health.dependency(format!("Redis at {}", store.address())),
        rabbitmq: health.dependency(format!("RabbitMQ at {} (consuming)", broker.address())),
        rules: Rules::new(args),
        policy: LoadPolicy { stream_maxlen: args.stream_maxlen, retention: args.retention },
        pace: Pace::default(),
        refusals: Refusals::default(),
        ledger: Ledger::new(board.loader(&args.queue)),
        prefetch: args.prefetch,
        batch_size: usize::from(args.batch_size),
        concurrency: usize::from(args.concurrency),
        hold_max: args.hold_max,
        noted: Mutex::const_new(None),
        drain,
        broker,
        store: store
            .with_event_log(args.event_log)
            .with_connections(usize::from(args.concurrency).div_ceil(BATCHES_PER_CONNECTION)),
    });
    let republisher = Republisher::start(publisher, Arc::clone(&loader), args.max_attempts);
    let mut watchers = JoinSet::new();
    watchers.spawn(progress::report_regularly(Arc::clone(&loader)));
    watchers.spawn(readiness::watch_redis(Arc::clone(&loader)));
    watchers.spawn(readiness::follow_primary(Arc::clone(&loader)));
    watchers.spawn(memory::watch(Arc::clone(&loader)));
    let shutdown = shutdown.child_token();
    let layout = tokio::spawn(event_log::watch(Arc::clone(&loader), shutdown.clone()));
    let result = consume_until_done(&loader, &republisher, &shutdown).await;
    watchers.abort_all();
    let ((), ()) = tokio::join!(republisher.finish(), suspect::retract_soon(&loader));
    progress::report(&loader.ledger, "done");
    layout.abort();
    match layout.await {
        Ok(fault) => Err(anyhow::anyhow!("Redis at {}: {fault}", loader.store.address())),
        Err(_aborted) => result,
    }
}

/// Opens one session after another. Only a refusal of the first session is final.
async fn consume_until_done(
    loader: &Loader,
    republisher: &Republisher,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::for_server();
    let mut was_open = false;
    let mut history = History::default();
    let mut fruitless = Backoff::between(Duration::from_secs(1), Duration::from_secs(3600));
    let mut settled_before = 0;
    readiness::meet_redis(loader, shutdown).await?;
    while readiness::wait_until_redis_loads(loader, shutdown).await.is_ok() {
        match session::run(loader, republisher, shutdown, &mut backoff, &mut was_open, &mut history).await {
            Ok(SessionEnd::Drained | SessionEnd::Stopped) => return Ok(()),
            Ok(SessionEnd::Unfinished) => continue,
            Ok(SessionEnd::Released) => {
                // Each release publishes its deliveries again. If nothing was settled since the last one, the next comes later.
                let settled = loader.ledger.totals().settled();
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
