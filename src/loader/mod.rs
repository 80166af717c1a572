//! The loader: consumes events, runs the script for each, acks after the load.
//!
//! [`run`] owns the loop over broker sessions. `session` pumps one session's deliveries into batches, several in flight.
//! `ending` ends it in order. `batch` decides what becomes of each delivery, `suspect` of those that may be killing loaders; `attempts`
//! repeats what Redis could not serve, `refusals` tells whose fault a refusal is. `failures`
//! publishes what failed to the retry queues and dead letters, and what is handed back. `readiness` waits for Redis and watches it.
//! `acks` knows which tags may be acked, `patience` how long batches try, `pace` how much goes to Redis at once.

mod acks;
mod attempts;
mod batch;
mod check;
mod ending;
mod failures;
mod history;
mod ledger;
mod pace;
mod patience;
mod progress;
mod readiness;
mod refusals;
mod rules;
mod session;
mod suspect;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Part};
use crate::config::LoadArgs;
use crate::health::Dependency;
use crate::retry::Backoff;
use crate::status::Board;
use crate::store::{LoadPolicy, Store, Suspect};
use failures::FailureLane;
use history::History;
use ledger::Ledger;
use pace::Pace;
use refusals::Refusals;
use rules::Rules;
use session::End;

/// Batches in flight on each of the store's connections: while Redis works on one, the next is already there. See
/// [`Store::with_connections`].
const BATCHES_PER_CONNECTION: usize = 2;

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
    pace: Pace,
    refusals: Refusals,
    ledger: Ledger,
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
        ledger: Ledger::new(board.loader()),
        prefetch: args.prefetch,
        batch_size: usize::from(args.batch_size),
        concurrency: usize::from(args.concurrency),
        hold_max: args.hold_max,
        noted: Mutex::const_new(None),
        drain,
        broker,
        store: store.with_connections(usize::from(args.concurrency).div_ceil(BATCHES_PER_CONNECTION)),
    });
    let lane = FailureLane::start(publisher, Arc::clone(&loader), args.max_attempts);
    let reporter = tokio::spawn(progress::report_regularly(Arc::clone(&loader)));
    let watcher = tokio::spawn(readiness::watch_redis(Arc::clone(&loader)));
    let result = consume_until_done(&loader, &lane, &shutdown).await;
    reporter.abort();
    watcher.abort();
    let ((), ()) = tokio::join!(lane.finish(), suspect::retract_soon(&loader));
    progress::report(&loader.ledger, "done");
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
    let mut history = History::default();
    let mut fruitless = Backoff::between(Duration::from_secs(1), Duration::from_secs(3600));
    let mut settled_before = 0;
    readiness::meet_redis(loader, shutdown).await?;
    while readiness::wait_until_redis_loads(loader, shutdown).await.is_ok() {
        match session::run(loader, lane, shutdown, &mut backoff, &mut was_open, &mut history).await {
            Ok(End::Drained | End::Stopped) => return Ok(()),
            Ok(End::Unfinished) => continue,
            Ok(End::Released) => {
                // Each release publishes all that it releases once more: while none helps, they grow rare.
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
