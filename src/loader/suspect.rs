//! Deliveries that may be killing loaders, loaded one at a time.
//!
//! When a loader dies, RabbitMQ redelivers all it held, and nobody knows which delivery did it. So what has come back more than
//! once is loaded alone, with a note in Redis before and its removal after: a crash then names its suspect. After several
//! it goes to the dead letters unloaded, and those who were only held beside it are loaded.

use std::time::Duration;

use tokio::sync::Mutex;

use super::Loader;
use super::batch::{self, Disposition};
use super::failures::Republish;
use super::patience::Patience;
use crate::broker::Delivery;
use crate::retry::{Backoff, Interrupted};
use crate::store::{Fault, Suspect};

/// Redeliveries that make a suspect. The first one may be any restart or broken connection, and comes for a thousand
/// deliveries at once: they are loaded at full speed.
const REDELIVERIES_MIN: u32 = 2;
/// How long the end of a session, and that of the loader, may wait for Redis to take back a note.
const RETRACT_MAX: Duration = Duration::from_secs(1);
/// Loaders that may die while loading a delivery alone.
const DEATHS_MAX: u32 = 3;

pub(super) fn is_suspect(delivery: &Delivery) -> bool {
    delivery.deliveries_before >= REDELIVERIES_MIN
}

/// One at a time in the whole process: its death must leave one note, whichever of its loaders was at work.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Loads one delivery, if it is not known to kill loaders. Nothing else of this loader may be in flight.
pub(super) async fn load(loader: &Loader, alone: &Delivery, patience: &Patience) -> Disposition {
    let Ok(_alone) = patience.turn(ALONE.lock()).await else { return Disposition::NotLoaded };
    // One is left only when the session ends, and there is room for one.
    let retracted = patience.answer(retract(loader)).await;
    if !retracted.is_ok_and(|answer| answer.is_ok()) {
        return Disposition::NotLoaded;
    }
    let suspect = Suspect::of(&alone.body);
    *loader.noted.lock().await = Some(suspect.clone());
    let noted = repeat_until_taken(loader, patience, || loader.store.suspected(&suspect, &loader.name)).await;
    let Ok(noted) = noted else { return Disposition::NotLoaded };
    // The note itself counts.
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

/// The same for an end that waits for nobody long.
pub(super) async fn retract_soon(loader: &Loader) {
    let retracted = tokio::time::timeout(RETRACT_MAX, retract(loader)).await;
    if !retracted.is_ok_and(|answer| answer.is_ok()) {
        tracing::debug!("a note about a crash suspect stands, as if this loader had died");
    }
}

/// Repeats `call` until Redis takes it. Without a journal, because its key is somebody else's, loading goes on as if alone.
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
                tracing::warn!("noting a crash suspect: {reason}; loading goes on without the note");
                return Ok(T::default());
            }
            Err(fault) => loader.redis.away(fault),
        }
        has_waited = true;
        patience.pause(&mut backoff).await?;
    }
}
