//! Watches that the namespace keeps the layout of the event log that this loader has, and completes what older versions left out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Loader;
use crate::store::{Fault, Layout};

/// How often the layout is looked at. Redis can be emptied or restored at any time, also while its connections live on.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Of several loaders that start together, one begins to index the hours, and most of the others find the work done.
const START_AFTER_MAX: Duration = Duration::from_secs(2);
/// Steps of the search without a pause: they are enough for a small Redis.
const STEPS_AT_ONCE: u32 = 20;
/// The pause after each further step. A search through millions of keys takes minutes and a few percent of Redis's time.
const STEP_PAUSE: Duration = Duration::from_millis(20);

/// Looks at the layout until it is the other one: then ends the loader by `stop` and gives the reason.
pub(super) async fn watch(loader: Arc<Loader>, stop: CancellationToken) -> Fault {
    loop {
        match loader.store.check_event_log().await {
            Err(fault @ Fault::OtherEventLog(_)) => {
                stop.cancel();
                return fault;
            }
            Ok(Layout::Untold) => {
                // Tried again at the next look. Others report that Redis is away.
                let _ = complete(&loader).await;
            }
            // Others report that Redis is away.
            Ok(Layout::Agreed) | Err(_) => {}
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Indexes the hours of a namespace that an older version filled, then writes down its layout, which says that this is done.
async fn complete(loader: &Loader) -> Result<(), Fault> {
    sleep(START_AFTER_MAX.mul_f64(rand::random::<f64>())).await;
    let (mut cursor, mut count) = (0, 0_usize);
    for step in 0_u32.. {
        if step % 100 == 0 && loader.store.check_event_log().await? == Layout::Agreed {
            return Ok(());
        }
        let found = loader.store.scan_hours(cursor).await?;
        for hour in &found.hours {
            loader.store.index_hour(*hour).await?;
        }
        count += found.hours.len();
        cursor = found.cursor;
        if cursor == 0 {
            break;
        }
        if step >= STEPS_AT_ONCE {
            sleep(STEP_PAUSE).await;
        }
    }
    loader.store.claim_event_log().await?;
    tracing::info!("Redis had no index of the hours that have counts: indexed {count}");
    Ok(())
}
