//! The hours that have counts. Recent hours are asked for by name. Older hours are found by a slow scan of all keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::shared::Shared;
use crate::event::Hour;
use crate::store::{Fault, Store};

/// Hours shown at most. Of more hours, the oldest are left out.
const HOURS_MAX: usize = 1000;
/// Recent hours, and how often they are asked for by name.
const RECENT: i64 = 48;
const RECENT_EVERY: Duration = Duration::from_secs(3);
/// How often all keys are scanned, and the pause after each step. With millions of marks, a scan takes minutes and a few percent of
/// Redis's time.
const SCAN_EVERY: Duration = Duration::from_secs(60);
const SCAN_PAUSE: Duration = Duration::from_millis(20);
/// Steps without a pause. They are enough for a small Redis.
const STEPS_AT_ONCE: u32 = 20;

/// Hours that have counts.
#[derive(Default)]
pub(super) struct Hours {
    recent: BTreeSet<Hour>,
    found: BTreeSet<Hour>,
}

impl Hours {
    /// Oldest first.
    pub(super) fn all(&self) -> Vec<Hour> {
        let all: BTreeSet<&Hour> = self.recent.union(&self.found).collect();
        let too_many = all.len().saturating_sub(HOURS_MAX);
        all.into_iter().skip(too_many).copied().collect()
    }
}

/// Finds hours until the program ends, while clients ask.
pub(super) async fn run(shared: Arc<Shared>, store: Arc<Store>) {
    let mut scanned_at: Option<Instant> = None;
    loop {
        if shared.is_asked() {
            // The follower reports that Redis is away.
            let _ = look_at_recent(&shared, &store).await;
            if scanned_at.is_none_or(|at| at.elapsed() >= SCAN_EVERY) && scan(&shared, &store).await.is_ok() {
                scanned_at = Some(Instant::now());
            }
        }
        for _ in 0..RECENT_EVERY.as_millis() / 100 {
            sleep(Duration::from_millis(100)).await;
            if scanned_at.is_none() && shared.is_asked() {
                break;
            }
        }
    }
}

async fn look_at_recent(shared: &Shared, store: &Store) -> Result<(), Fault> {
    let now = Hour::of(Utc::now());
    // GitHub's clock may be ahead of ours.
    let hours: Vec<Hour> = (-1..RECENT).map(|ago| now.plus(-ago)).collect();
    let exist = store.hours_among(&hours).await?;
    shared.hours.lock().recent = exist.into_iter().collect();
    Ok(())
}

async fn scan(shared: &Shared, store: &Store) -> Result<(), Fault> {
    let mut found = BTreeSet::new();
    let mut cursor = 0;
    for step in 0_u32.. {
        let more = store.scan_hours(cursor).await?;
        found.extend(more.hours);
        if found.len() > HOURS_MAX {
            found.pop_first();
        }
        shared.hours.lock().found.extend(&found);
        cursor = more.cursor;
        if cursor == 0 {
            break;
        }
        if step >= STEPS_AT_ONCE {
            sleep(SCAN_PAUSE).await;
        }
        if step % 100 == 99 {
            look_at_recent(shared, store).await?;
        }
    }
    // Those that have expired are gone now.
    shared.hours.lock().found = found;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_in_order_without_repetition_and_bounded() {
        let [old, new] = ["2015-01-01-12", "2026-01-01-01"].map(|text| text.parse::<Hour>().unwrap());
        let mut hours = Hours { recent: [new].into(), found: [old, new].into() };
        assert_eq!(hours.all(), [old, new]);
        hours.found = (1..=2000).map(|ago| new.plus(-ago)).collect();
        assert_eq!(hours.all().len(), HOURS_MAX);
        assert_eq!(hours.all().last(), Some(&new));
    }
}
