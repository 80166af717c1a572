//! Waits for Redis before the loader consumes, and watches Redis while no event comes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Loader, suspect};
use crate::broker::ARCHIVE_RETENTION;
use crate::config::Retention;
use crate::retry::{Backoff, Interrupted};
use crate::store::Fault;

/// The first contact with Redis. A fault that waiting cannot remove ends the program now. Settings that put loaded events at
/// risk are logged once, and loading continues.
pub(super) async fn meet_redis(loader: &Loader, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let address = loader.store.address();
    match ask_until_well(loader, shutdown, || loader.store.ping(), Fault::waiting_cannot_help).await {
        Ok(()) => {}
        Err(NotWell::Final(fault)) => anyhow::bail!("Redis at {address}: {fault}"),
        Err(NotWell::Interrupted) => return Ok(()),
    }
    // A user without a right may be given it: nothing is final.
    let checked = ask_until_well(loader, shutdown, || loader.store.check_rights(), |_| false).await;
    if checked.is_err() {
        return Ok(());
    }
    let risks = tokio::select! {
        risks = loader.store.risks() => risks,
        () = shutdown.cancelled() => return Ok(()),
    };
    match risks {
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

/// Waits until Redis takes writes. Before that, deliveries wait in the queue, not in this process.
pub(super) async fn wait_until_redis_loads(
    loader: &Loader,
    shutdown: &CancellationToken,
) -> Result<(), Interrupted> {
    let nothing_is_final = |_: &Fault| false;
    ask_until_well(loader, shutdown, || can_load(loader), nothing_is_final).await.map_err(|_| Interrupted)?;
    loader.redis.up();
    Ok(())
}

/// Why Redis was not waited for any longer.
enum NotWell {
    /// This fault is final.
    Final(Fault),
    /// The program is to stop.
    Interrupted,
}

/// Asks until Redis answers well, and reports it away meanwhile.
///
/// # Errors
/// [`NotWell`] when a fault `is_final`, or when the program is to stop.
async fn ask_until_well<F: Future<Output = Result<(), Fault>>>(
    loader: &Loader,
    shutdown: &CancellationToken,
    ask: impl Fn() -> F,
    is_final: impl Fn(&Fault) -> bool,
) -> Result<(), NotWell> {
    let mut backoff = Backoff::for_server();
    loop {
        let answer = tokio::select! {
            answer = ask() => answer,
            () = shutdown.cancelled() => return Err(NotWell::Interrupted),
        };
        match answer {
            Ok(()) => return Ok(()),
            Err(fault) if is_final(&fault) => return Err(NotWell::Final(fault)),
            Err(fault) => loader.redis.away(fault),
        }
        backoff.pause(shutdown).await.map_err(|Interrupted| NotWell::Interrupted)?;
    }
}

/// Checks that Redis takes writes and runs the script, and removes a note that this loader has left.
async fn can_load(loader: &Loader) -> Result<(), Fault> {
    loader.store.probe().await?;
    suspect::retract(loader).await
}

/// How often Redis is asked whether it can load while there is nothing to load.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Keeps readiness right while no event comes: then no batch would notice that Redis is away. If a batch has found Redis away,
/// only a batch reports it back.
pub(super) async fn watch_redis(loader: Arc<Loader>) {
    let mut found_away = false;
    let mut settled_before = 0;
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let settled = loader.ledger.totals().settled();
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

/// How often Sentinels are asked whether the primary is still the same. What is loaded into an old one is lost.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// Goes to the new primary soon after a failover that the old one has survived.
pub(super) async fn follow_primary(loader: Arc<Loader>) {
    loop {
        tokio::time::sleep(FOLLOW_EVERY).await;
        loader.store.follow_primary().await;
    }
}
