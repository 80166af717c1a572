//! Deliveries that may be killing loaders, loaded one at a time.
//!
//! When a loader dies, RabbitMQ redelivers all it held, and nobody knows which delivery did it. So what has come back more than
//! once is loaded alone, with a note in Redis before and its removal after: a crash then names its suspect. After several
//! it goes to the dead letters unloaded, and those who were only held beside it are loaded.

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::Loader;
use super::batch::{self, Outcome};
use crate::broker::Delivery;
use crate::retry::{Backoff, Interrupted};
use crate::store::{Fault, Suspect};

/// Redeliveries that make a suspect. The first one may be any restart or broken connection, and comes for a thousand
/// deliveries at once: they are loaded at full speed.
const REDELIVERIES_MIN: u32 = 2;
/// Loaders that may die while loading a delivery alone.
const DEATHS_MAX: u32 = 3;

pub(super) fn is_suspect(delivery: &Delivery) -> bool {
    delivery.deliveries_before >= REDELIVERIES_MIN
}

/// One at a time in the whole process: its death must leave one note, whichever of its loaders was at work.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Loads one delivery, if it is not known to kill loaders. Nothing else of this loader may be in flight.
///
/// # Errors
/// As [`batch::load`].
pub(super) async fn load(
    loader: &Loader,
    alone: &Delivery,
    shutdown: &CancellationToken,
) -> Result<Vec<Outcome>, Interrupted> {
    let _alone = tokio::select! {
        turn = ALONE.lock() => turn,
        () = shutdown.cancelled() => return Err(Interrupted),
    };
    let suspect = Suspect::of(&alone.body);
    *loader.noted.lock().await = Some(suspect.clone());
    let noted = patiently(loader, shutdown, || loader.store.suspected(&suspect, &loader.name)).await?;
    // The note itself counts.
    let died = noted.saturating_sub(1);
    let outcomes = if died >= DEATHS_MAX {
        vec![Outcome::CrashSuspect(format!("crash-suspect: {died} loaders died while they loaded it alone"))]
    } else {
        batch::load(loader, std::slice::from_ref(alone), shutdown).await?
    };
    patiently(loader, shutdown, || loader.store.cleared(&suspect)).await?;
    *loader.noted.lock().await = None;
    Ok(outcomes)
}

/// Takes back a note that stands though this loader lives: its session has ended in the middle. To be done before it loads
/// again, and before it ends on its own.
///
/// # Errors
/// [`Fault`] when Redis does not take it.
pub(super) async fn retract(loader: &Loader) -> Result<(), Fault> {
    let mut noted = loader.noted.lock().await;
    if let Some(suspect) = noted.as_ref() {
        loader.store.retracted(suspect, &loader.name).await?;
        *noted = None;
    }
    Ok(())
}

/// Repeats `call` until Redis takes it. Without a journal, because its key is somebody else's, loading goes on as if alone.
async fn patiently<T: Default, F: Future<Output = Result<T, Fault>>>(
    loader: &Loader,
    shutdown: &CancellationToken,
    call: impl Fn() -> F,
) -> Result<T, Interrupted> {
    let mut backoff = Backoff::for_server();
    let mut has_waited = false;
    loop {
        match call().await {
            Ok(value) => {
                if has_waited {
                    loader.redis.up();
                }
                return Ok(value);
            }
            Err(Fault::ThisMessage(reason)) => {
                tracing::warn!("noting a crash suspect: {reason}; loading goes on without the note");
                return Ok(T::default());
            }
            Err(fault) => loader.redis.away(fault),
        }
        has_waited = true;
        backoff.pause(shutdown).await?;
    }
}
