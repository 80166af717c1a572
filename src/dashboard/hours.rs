//! Which hours have counts: recent ones are asked for by name, all others found by looking through the keys, slowly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::{Instant, sleep};

use super::query::is_hour;
use super::shared::Shared;
use crate::store::{Fault, Store};

/// Hours shown; beyond, the oldest are left out.
const HOURS_MAX: usize = 1000;
/// Recent hours are asked for by name, so often.
const RECENT: i64 = 48;
const RECENT_EVERY: Duration = Duration::from_secs(3);
/// All keys are looked through so often, with a pause after each step: with millions of marks it takes minutes, and costs a
/// few percent of Redis's time.
const SCAN_EVERY: Duration = Duration::from_secs(60);
const SCAN_PAUSE: Duration = Duration::from_millis(20);
/// Steps without a pause, which are enough for a small Redis.
const STEPS_AT_ONCE: u32 = 20;

/// Hours that have counts.
#[derive(Default)]
pub(super) struct Hours {
    recent: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl Hours {
    /// Oldest first.
    pub(super) fn all(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.recent.union(&self.found).collect();
        let too_many = all.len().saturating_sub(HOURS_MAX);
        all.into_iter().skip(too_many).cloned().collect()
    }
}

/// Looks for hours until the program ends, while somebody wants to know.
pub(super) async fn run(shared: Arc<Shared>, store: Arc<Store>) {
    let mut scanned_at: Option<Instant> = None;
    loop {
        if shared.is_asked() {
            // That Redis is away is for the follower to notice.
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
    let now = Utc::now();
    let hour = |ago: i64| (now - TimeDelta::hours(ago)).format("%Y-%m-%d-%H").to_string();
    // GitHub's clock may be ahead of ours.
    let hours: Vec<String> = (-1..RECENT).map(hour).collect();
    let exist = store.hours_among(&hours).await?;
    shared.hours.lock().recent = exist.into_iter().collect();
    Ok(())
}

async fn scan(shared: &Shared, store: &Store) -> Result<(), Fault> {
    let mut found = BTreeSet::new();
    let mut cursor = 0;
    for step in 0_u32.. {
        let more = store.scan_hours(cursor).await?;
        found.extend(more.hours.into_iter().filter(|hour| is_hour(hour)));
        if found.len() > HOURS_MAX {
            found.pop_first();
        }
        shared.hours.lock().found.extend(found.iter().cloned());
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
        let mut hours = Hours {
            recent: ["2026-01-01-01".to_owned()].into(),
            found: ["2015-01-01-12".to_owned(), "2026-01-01-01".to_owned()].into(),
        };
        assert_eq!(hours.all(), ["2015-01-01-12", "2026-01-01-01"]);
        hours.found = (0..2000).map(|n| format!("{n:04}-01-01-00")).collect();
        assert_eq!(hours.all().len(), HOURS_MAX);
        assert_eq!(hours.all().last().map(String::as_str), Some("2026-01-01-01"));
    }
}
