//! Loads crash suspects: deliveries that may be killing loaders, one at a time.
//!
//! When a loader dies, RabbitMQ redelivers everything it held, and does not know which delivery killed it. So a delivery that was
//! redelivered more than once is loaded alone. A note in Redis is written before the load and removed after it: a crash leaves
//! the note of its suspect. After the notes of several dead loaders the delivery becomes a dead letter without being loaded.

use std::time::Duration;

use tokio::sync::Mutex;

use super::Loader;
use super::batch::{self, Disposition};
use super::patience::Patience;
use super::republish::Republish;
use crate::broker::Delivery;
use crate::retry::{Backoff, Interrupted};
use crate::store::{Fault, Suspect};

/// Redeliveries that make a crash suspect. One redelivery may come from any restart or broken connection, for a thousand
/// deliveries at once. Those are loaded at full speed.
const REDELIVERIES_MIN: u32 = 2;
/// How long the end of a session, and the end of the loader, may wait for Redis to remove a note.
const RETRACT_MAX: Duration = Duration::from_secs(1);
/// Loaders that may die while they load one delivery alone.
const DEATHS_MAX: u32 = 3;

/// True for a crash suspect.
pub(super) fn is_suspect(delivery: &Delivery) -> bool {
    delivery.deliveries_before >= REDELIVERIES_MIN
}

/// Held while a crash suspect loads. The process loads one at a time, so that its death leaves one note.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Loads one crash suspect, unless it has killed too many loaders. Nothing else of this loader may be in flight.
pub(super) async fn load(loader: &Loader, alone: &Delivery, patience: &Patience) -> Disposition {
    let Ok(_alone) = patience.turn(ALONE.lock()).await else { return Disposition::NotLoaded };
    // There is room for one note. An earlier one can only be left from a session that ended in the middle.
    let retracted = patience.answer(retract(loader)).await;
    if !retracted.is_ok_and(|answer| answer.is_ok()) {
        return Disposition::NotLoaded;
    }
    let suspect = Suspect::of(&alone.body);
    *loader.noted.lock().await = Some(suspect.clone());
    let noted = repeat_until_taken(loader, patience, || loader.store.suspected(&suspect, &loader.name)).await;
    let Ok(noted) = noted else { return Disposition::NotLoaded };
    // One of the notes is this loader's.
    let died = noted.saturating_sub(1);
    let disposition = if died >= DEATHS_MAX {
        let reason = format!("crash-suspect: {died} loaders died while they loaded it alone");
        Disposition::Republish(Republish::DeadLetter(reason))
    } else {
        let dispositions = batch::load(loader, std::slice::from_ref(alone), patience).await;
        dispositions.into_iter().next().unwrap_or(Disposition::NotLoaded)
    };
    if disposition != Disposition::NotLoaded
        && repeat_until_taken(loader, patience, || loader.store.cleared(&suspect)).await.is_ok()
    {
        *loader.noted.lock().await = None;
    }
    disposition
}

/// Removes this loader's note, if one is left because its session ended in the middle of a load. Called before the loader loads
/// again, and before it ends.
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

/// Like [`retract`], but gives up after [`RETRACT_MAX`].
pub(super) async fn retract_soon(loader: &Loader) {
    let retracted = tokio::time::timeout(RETRACT_MAX, retract(loader)).await;
    if !retracted.is_ok_and(|answer| answer.is_ok()) {
        tracing::debug!(
            "the note about a crash suspect could not be removed: it counts as if this loader had died"
        );
    }
}

/// Repeats `call` until Redis takes it. If the key of the note belongs to something else, there is no note, and loading continues.
async fn repeat_until_taken<T: Default, F: Future<Output = Result<T, Fault>>>(
    loader: &Loader,
    patience: &Patience,
    call: impl Fn() -> F,
) -> Result<T, Interrupted> {
    let mut backoff = Backoff::for_server();
    let mut has_waited = false;
    loop {
        match patience.answer(call()).await? {
            Ok(value) => {
                if has_waited {
                    loader.redis.up();
                }
                return Ok(value);
            }
            Err(Fault::ThisMessage(reason)) => {
                tracing::warn!("noting a crash suspect: {reason}; loading continues without the note");
                return Ok(T::default());
            }
            Err(fault) => loader.redis.away(fault),
        }
        has_waited = true;
        patience.pause(&mut backoff).await?;
    }
}
