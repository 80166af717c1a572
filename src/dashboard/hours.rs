//! The hours that have counts, from their index in Redis.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::shared::Shared;
use crate::event::Hour;
use crate::store::Store;

/// Hours shown at most. Of more hours, the oldest are left out.
const HOURS_MAX: usize = 1000;
/// Hours read at most.
const READ_MAX: usize = 5000;
/// How often the index is read.
const READ_EVERY: Duration = Duration::from_secs(3);
/// How soon the index is read after the first request.
const GLANCE: Duration = Duration::from_millis(100);

/// Hours that have counts.
#[derive(Default)]
pub(super) struct Hours(Vec<Hour>);

impl Hours {
    /// Oldest first.
    pub(super) fn all(&self) -> &[Hour] {
        &self.0
    }

    fn replace(&mut self, mut hours: Vec<Hour>) {
        hours.sort_unstable();
        let too_many = hours.len().saturating_sub(HOURS_MAX);
        hours.drain(..too_many);
        self.0 = hours;
    }
}

/// Reads the index until the program ends, while clients ask.
pub(super) async fn run(shared: Arc<Shared>, store: Arc<Store>) {
    loop {
        while !shared.is_asked() {
            sleep(GLANCE).await;
        }
        // The follower reports that Redis is away.
        if let Ok(hours) = store.hours(READ_MAX).await {
            shared.hours.lock().replace(hours);
        }
        sleep(READ_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_in_order_and_bounded() {
        let [old, new] = ["2015-01-01-12", "2026-01-01-01"].map(|text| text.parse::<Hour>().unwrap());
        let mut hours = Hours::default();
        hours.replace(vec![new, old]);
        assert_eq!(hours.all(), [old, new]);
        hours.replace((0..2000).map(|ago| new.plus(-ago)).collect());
        assert_eq!(hours.all().len(), HOURS_MAX);
        assert_eq!(hours.all().last(), Some(&new));
    }
}
