//! Percentiles of the lag over the last seconds, in memory of a fixed size.

use std::collections::VecDeque;
use std::time::Duration;

/// Bucket `n` holds lags up to `STEP^n` milliseconds: answers are at most a tenth too high.
const STEP: f64 = 1.1;
/// The last bucket begins beyond ten years. Older events count there too.
const BUCKETS: usize = 280;
/// Parts that the window has.
const PARTS: usize = 5;

/// Lags of the last [`PARTS`] parts, each closed by [`Window::close_part`].
pub(super) struct Window {
    current: Vec<u32>,
    before: VecDeque<Vec<u32>>,
}

impl Default for Window {
    fn default() -> Self {
        Self { current: vec![0; BUCKETS], before: VecDeque::with_capacity(PARTS) }
    }
}

impl Window {
    pub(super) fn add(&mut self, lag: Duration) {
        let count = &mut self.current[bucket(lag)];
        *count = count.saturating_add(1);
    }

    /// Begins a new part and forgets the oldest.
    pub(super) fn close_part(&mut self) {
        let closed = std::mem::replace(&mut self.current, vec![0; BUCKETS]);
        if self.before.len() == PARTS {
            self.before.pop_front();
        }
        self.before.push_back(closed);
    }

    /// The lag in seconds that this share of the events in the closed parts did not exceed.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let sum = |bucket: usize| self.before.iter().map(|part| u64::from(part[bucket])).sum::<u64>();
        let counts: Vec<u64> = (0..BUCKETS).map(sum).collect();
        let total: u64 = counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a rank need not be exact")]
        let rank = total as f64 * share;
        let mut seen = 0;
        counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "a rank need not be exact")]
            let reached = *count > 0 && seen as f64 >= rank;
            reached.then(|| upper_end_s(bucket))
        })
    }
}

fn bucket(lag: Duration) -> usize {
    let ms = lag.as_secs_f64() * 1000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
    let bucket = ms.max(1.0).log(STEP).ceil() as usize;
    bucket.min(BUCKETS - 1)
}

fn upper_end_s(bucket: usize) -> f64 {
    let ms = STEP.powi(i32::try_from(bucket).unwrap_or(i32::MAX));
    // Three digits are more than the buckets know.
    if ms < 1000.0 { ms.round() / 1000.0 } else { (ms / 10.0).round() / 100.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_tenth_and_old_parts_are_forgotten() {
        let mut window = Window::default();
        assert_eq!(window.percentile(0.5), None);
        (1..=1000).for_each(|ms| window.add(Duration::from_millis(ms)));
        window.close_part();
        for (share, exact) in [(0.5, 0.5), (0.95, 0.95), (1.0, 1.0)] {
            let found = window.percentile(share).unwrap();
            assert!((exact..=exact * 1.11).contains(&found), "{share}: {found}");
        }
        (0..PARTS).for_each(|_| window.close_part());
        assert_eq!(window.percentile(0.5), None);
    }

    #[test]
    fn any_lag_has_a_bucket() {
        let mut window = Window::default();
        for lag in
            [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(86400 * 365 * 15), Duration::MAX]
        {
            window.add(lag);
        }
        window.close_part();
        assert_eq!(window.percentile(0.25), Some(0.001));
        assert!(window.percentile(1.0).unwrap() > 3e8);
    }
}
