//! Waiting between attempts: exponential backoff with jitter, without end. The only module that names `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tokio_util::sync::CancellationToken;

/// The delays between attempts after temporary failures. They double from `initial` to `max`, each spread
/// by half in both directions, so that many loaders do not return to a restarted server in step.
pub struct Backoff(ExponentialBackoff);

/// The wait was cut short because the program is to stop.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("interrupted by shutdown")]
pub struct Interrupted;

impl Backoff {
    /// Delays for a server on our own network: 100 ms to 2.5 s, so that recovery is noticed within seconds.
    pub fn for_server() -> Self {
        Self::between(Duration::from_millis(100), Duration::from_millis(2500))
    }

    /// Delays growing from `initial` to `max`, before jitter.
    pub fn between(initial: Duration, max: Duration) -> Self {
        Self(ExponentialBackoff {
            current_interval: initial,
            initial_interval: initial,
            max_interval: max,
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next delay; it never ends.
    pub fn next_delay(&mut self) -> Duration {
        // `max_elapsed_time: None` means `next_backoff` has no end; the fallback only satisfies the type.
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Starts over with the shortest delay, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Sleeps for the next delay.
    ///
    /// # Errors
    /// [`Interrupted`] when `shutdown` fires first.
    pub async fn pause(&mut self, shutdown: &CancellationToken) -> Result<(), Interrupted> {
        sleep(self.next_delay(), shutdown).await
    }
}

/// The `nth` wait, from 1, of those that double from `first` to `max`. Without jitter, for requests that are made one at a time.
pub fn doubled(first: Duration, nth: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(nth.saturating_sub(1))).min(max)
}

/// Sleeps for `delay`.
///
/// # Errors
/// [`Interrupted`] when `shutdown` fires first.
pub async fn sleep(delay: Duration, shutdown: &CancellationToken) -> Result<(), Interrupted> {
    tokio::select! {
        () = tokio::time::sleep(delay) => Ok(()),
        () = shutdown.cancelled() => Err(Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_jitter_up_to_the_maximum() {
        let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(2));
        let delays: Vec<_> = (0..20).map(|_| backoff.next_delay()).collect();
        assert!(
            delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(151),
            "{delays:?}"
        );
        assert!(delays.iter().all(|d| *d <= Duration::from_millis(3001)), "{delays:?}");
        assert!(delays[10..].iter().all(|d| *d >= Duration::from_secs(1)), "{delays:?}");
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(151));
    }

    #[test]
    fn doubled_waits_end_at_the_maximum_and_never_overflow() {
        let wait_s = |nth| doubled(Duration::from_secs(60), nth, Duration::from_secs(3600)).as_secs();
        assert_eq!((1..=8).map(wait_s).collect::<Vec<_>>(), [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!((wait_s(0), wait_s(u32::MAX)), (60, 3600));
        assert_eq!(doubled(Duration::MAX, u32::MAX, Duration::MAX), Duration::MAX);
    }

    #[tokio::test]
    async fn a_pause_ends_at_shutdown() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let mut backoff = Backoff::between(Duration::from_secs(3600), Duration::from_secs(3600));
        assert_eq!(backoff.pause(&shutdown).await, Err(Interrupted));
    }
}
