//! Warns when Redis's memory will be full before the first hours expire, at the rate of the last hour.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::Loader;
use crate::config::Retention;
use crate::duration::Rounded;
use crate::store::MemoryUse;

/// How often Redis is asked.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);
/// The rate is that of the last hour, or of the time since the start if that is shorter.
const SPAN: Duration = Duration::from_secs(3600);
/// Less time than this tells no rate: a loader that starts may work off a backlog.
const SPAN_MIN: Duration = Duration::from_secs(600);
/// How often the warning is repeated.
const WARN_EVERY: Duration = Duration::from_secs(3600);
/// If no hour expires, warn this long before the memory is full.
const FOREVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Samples Redis's memory for ever.
pub(super) async fn watch(loader: Arc<Loader>) {
    let mut growth = Growth::default();
    let mut warned_at: Option<Instant> = None;
    loop {
        // Others report that Redis is away.
        if let Ok(Some(memory)) = loader.store.memory_use().await
            && let Ok(first_expiry) = loader.store.first_expiry().await
        {
            growth.add(Instant::now(), memory.used);
            let frees_in = first_expiry.map_or(FOREVER, |at| (at - Utc::now()).to_std().unwrap_or_default());
            if let Some(full_in) = growth.full_in(&memory).filter(|full_in| *full_in < frees_in)
                && warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY)
            {
                warned_at = Some(Instant::now());
                warn(&loader, &memory, full_in, first_expiry.map(|_| frees_in));
            }
        }
        sleep(SAMPLE_EVERY).await;
    }
}

fn warn(loader: &Loader, memory: &MemoryUse, full_in: Duration, frees_in: Option<Duration>) {
    let address = loader.store.address();
    let (used, limit) = (mib(memory.used), mib(memory.limit));
    let limit_is = if memory.has_maxmemory { "maxmemory" } else { "the machine, for maxmemory is not set" };
    let until = match (frees_in, loader.policy.retention) {
        (Some(frees_in), _) => format!("the first hours expire in {}", Rounded(frees_in)),
        (None, Retention::Forever) => "--retention forever frees nothing".to_owned(),
        (None, Retention::For(_)) => "no hour expires".to_owned(),
    };
    tracing::warn!(
        "Redis at {address} uses {used} of {limit} MiB ({limit_is}); at the rate of the last hour it is full in {}, and {until}: \
         give it more memory, or load with a shorter --retention, or change to --event-log per-second (docs/OPERATIONS.md)",
        Rounded(full_in)
    );
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

/// How fast the used memory grows.
#[derive(Default)]
struct Growth(VecDeque<(Instant, u64)>);

impl Growth {
    fn add(&mut self, at: Instant, used: u64) {
        while self.0.get(1).is_some_and(|(next, _)| at - *next >= SPAN) {
            self.0.pop_front();
        }
        self.0.push_back((at, used));
    }

    /// How long until the memory is full at the rate so far; nothing if it does not grow, or if too little is known.
    fn full_in(&self, memory: &MemoryUse) -> Option<Duration> {
        let ((since, before), (at, used)) = (self.0.front()?, self.0.back()?);
        let span = *at - *since;
        let grown = used.checked_sub(*before).filter(|grown| *grown > 0)?;
        if span < SPAN_MIN {
            return None;
        }
        let left = memory.limit.saturating_sub(*used);
        // An estimate: bytes below 2^53 are exact, and the time is cut to a century.
        #[allow(clippy::cast_precision_loss)]
        let seconds = span.as_secs_f64() * left as f64 / grown as f64;
        Some(Duration::from_secs_f64(seconds.min(100.0 * 366.0 * 86400.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_in(samples: &[(u64, u64)], limit: u64) -> Option<u64> {
        let (start, mut growth) = (Instant::now(), Growth::default());
        for (minutes, used) in samples {
            growth.add(start + Duration::from_secs(minutes * 60), *used);
        }
        let used = samples.last().unwrap().1;
        growth.full_in(&MemoryUse { used, limit, has_maxmemory: true }).map(|full| full.as_secs() / 60)
    }

    #[test]
    fn memory_that_grows_is_full_when_the_rest_is_used_at_the_same_rate() {
        assert_eq!(full_in(&[(0, 100), (60, 200)], 1000), Some(480));
        assert_eq!(full_in(&[(0, 100), (10, 200)], 1000), Some(80));
        assert_eq!(full_in(&[(0, 100), (10, 2000)], 1000), Some(0));
    }

    #[test]
    fn nothing_is_said_of_memory_that_does_not_grow_or_is_hardly_known() {
        assert_eq!(full_in(&[(0, 100), (60, 100)], 1000), None);
        assert_eq!(full_in(&[(0, 100), (60, 50)], 1000), None);
        assert_eq!(full_in(&[(0, 100), (9, 900)], 1000), None);
        assert_eq!(full_in(&[(0, 100)], 1000), None);
    }

    #[test]
    fn the_rate_is_that_of_the_last_hour() {
        let samples: Vec<_> =
            (0..=240_u64).map(|minute| (minute, 1_000_000 + minute.saturating_sub(180))).collect();
        assert_eq!(full_in(&samples, 1_000_060 + 60), Some(60));
        let (start, mut growth) = (Instant::now(), Growth::default());
        for minute in 0..1000 {
            growth.add(start + SAMPLE_EVERY * minute, 0);
        }
        assert!(growth.0.len() <= 62, "{}", growth.0.len());
    }
}
