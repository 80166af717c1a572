//! A limit on events per second that allows bursts. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: tokens come in at a steady rate, up to the size of a burst, and each event takes one.
pub(crate) struct TokenBucket {
    per_second: f64,
    /// How long an empty bucket takes to be full.
    fills_in: Duration,
    /// How long it takes to be full before its first use.
    starts_with: Duration,
    /// When it was or will be empty, with nothing owed. None before the first use.
    empty_at: Option<Instant>,
}

impl TokenBucket {
    /// A bucket that is full at its first use.
    pub(crate) fn full(per_second: u32, burst: u32) -> Self {
        let fills_in = time_of(burst as usize, per_second.into());
        Self { per_second: per_second.into(), fills_in, starts_with: fills_in, empty_at: None }
    }

    /// A bucket that is empty at its first use.
    pub(crate) fn empty(per_second: u32, burst: u32) -> Self {
        Self { starts_with: Duration::ZERO, ..Self::full(per_second, burst) }
    }

    /// How long it takes at `now` until nothing is owed; zero if something may leave at once.
    pub(crate) fn wait(&self, now: Instant) -> Duration {
        self.empty_at(now).saturating_duration_since(now)
    }

    /// Takes `count` tokens at `now`. Those that are not there are owed.
    pub(crate) fn take(&mut self, count: usize, now: Instant) {
        self.empty_at = Some(self.empty_at(now) + time_of(count, self.per_second));
    }

    fn empty_at(&self, now: Instant) -> Instant {
        // Fails only just after the machine has started; then there is no burst.
        let before = |time: Duration| now.checked_sub(time).unwrap_or(now);
        match self.empty_at {
            None => before(self.starts_with),
            Some(empty_at) => empty_at.max(before(self.fills_in)),
        }
    }
}

/// The time in which `count` tokens come in.
fn time_of(count: usize, per_second: f64) -> Duration {
    #[allow(clippy::cast_precision_loss)]
    Duration::try_from_secs_f64(count as f64 / per_second).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events of one token each that leave at `now` without waiting.
    fn leave_at_once(bucket: &mut TokenBucket, now: Instant) -> usize {
        (0..100_000)
            .take_while(|_| {
                let is_free = bucket.wait(now).is_zero();
                if is_free {
                    bucket.take(1, now);
                }
                is_free
            })
            .count()
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::full(1000, 5000);
        let mut now = Instant::now() + Duration::from_secs(60);
        // One more than the burst: an event may leave as long as nothing is owed.
        assert_eq!(leave_at_once(&mut bucket, now), 5001);
        for _ in 0..50 {
            now += Duration::from_millis(100);
            assert_eq!(leave_at_once(&mut bucket, now), 100);
        }
        now += Duration::from_secs(3600);
        assert_eq!(leave_at_once(&mut bucket, now), 5001, "a pause fills it, and no more");
    }

    #[test]
    fn what_is_taken_on_credit_is_waited_for() {
        let mut bucket = TokenBucket::empty(100, 100);
        let now = Instant::now() + Duration::from_secs(60);
        assert_eq!(bucket.wait(now), Duration::ZERO);
        bucket.take(10, now);
        bucket.take(20, now);
        assert_eq!(bucket.wait(now), Duration::from_millis(300));
        assert_eq!(bucket.wait(now + Duration::from_millis(100)), Duration::from_millis(200));
        assert_eq!(bucket.wait(now + Duration::from_secs(60)), Duration::ZERO);
    }
}
