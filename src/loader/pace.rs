//! Limits how much goes to Redis at once, and how long an answer may take. Both are learned from its answers, so that events
//! also get through a slow link.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::store::ANSWER_TIMEOUT;

/// Bytes of events that may be in flight at the beginning. After the answers to a few batches it is [`WINDOW_MAX`].
const WINDOW_START: usize = 256 * 1024;
/// More would not load faster: at a gigabit a second, this much is in flight for a tenth of a second.
const WINDOW_MAX: usize = 8 * 1024 * 1024;
/// Less than most events have, so that events go one by one.
const WINDOW_MIN: usize = 1024;
/// Up to this size the window always grows quickly.
const THRESHOLD_MIN: usize = 64 * 1024;
/// Bytes a second that a link is expected to carry. An answer to many bytes may take longer in proportion.
const RATE_MAX: usize = 256 * 1024;
/// Each time a single event is not answered, the expected rate is halved, down to this: 4 MiB in two minutes.
const RATE_MIN: usize = 32 * 1024;

/// The bytes that all batches of a loader have in flight to Redis.
///
/// It works as in TCP (<https://www.rfc-editor.org/rfc/rfc5681>). An answer enlarges a window that was used up: quickly up to the
/// threshold, slowly beyond it. A missing answer sets the window to the minimum and the threshold to half the window.
#[derive(Default)]
pub(super) struct Pace {
    // Held for arithmetic only, never across an await.
    state: Mutex<State>,
    /// Whoever holds it waits for room. Others queue behind it, so that a large portion is not overtaken without end.
    door: tokio::sync::Mutex<()>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    window: usize,
    threshold: usize,
    in_flight: usize,
    rate: usize,
    /// How often an answer was missing. Everything in flight at that time counts as one case.
    cuts: u64,
}

/// The first calls of a batch. They count as in flight until this is dropped.
pub(super) struct Portion<'a> {
    pace: &'a Pace,
    /// Number of calls.
    pub(super) count: usize,
    bytes: usize,
    /// How long the answer may take.
    pub(super) time: Duration,
    cuts: u64,
}

impl Pace {
    /// Waits for room for at least the first of the calls with these `sizes`, and takes it for as many as fit.
    pub(super) async fn enter(&self, sizes: impl Iterator<Item = usize> + Clone) -> Portion<'_> {
        let _turn = self.door.lock().await;
        loop {
            if let Some(portion) = self.try_enter(sizes.clone()) {
                return portion;
            }
            self.freed.notified().await;
        }
    }

    fn try_enter(&self, sizes: impl Iterator<Item = usize>) -> Option<Portion<'_>> {
        let mut state = self.state();
        let (count, bytes) = state.portion(sizes);
        if !state.has_room(bytes) {
            return None;
        }
        state.in_flight += bytes;
        Some(Portion { pace: self, count, bytes, time: state.time(bytes), cuts: state.cuts })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Portion<'_> {
    /// Redis has answered.
    pub(super) fn answered(self) {
        self.pace.state().answered(self.bytes);
    }

    /// Redis has not answered in time.
    pub(super) fn unanswered(self) {
        self.pace.state().unanswered(self.cuts, self.count == 1);
    }
}

impl Drop for Portion<'_> {
    fn drop(&mut self) {
        self.pace.state().in_flight -= self.bytes;
        self.pace.freed.notify_one();
    }
}

impl Default for State {
    fn default() -> Self {
        Self { window: WINDOW_START, threshold: WINDOW_MAX, in_flight: 0, rate: RATE_MAX, cuts: 0 }
    }
}

impl State {
    /// How many of the next calls go together, and their bytes: no more than the window, but at least one.
    fn portion(&self, sizes: impl Iterator<Item = usize>) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for size in sizes {
            if count > 0 && bytes + size > self.window {
                break;
            }
            count += 1;
            bytes += size;
        }
        (count, bytes)
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.in_flight == 0 || self.in_flight + bytes <= self.window
    }

    fn time(&self, bytes: usize) -> Duration {
        ANSWER_TIMEOUT + Duration::from_millis((bytes * 1000 / self.rate) as u64)
    }

    fn answered(&mut self, bytes: usize) {
        // A window that was not used up does not show that there is room for more.
        if self.in_flight * 2 >= self.window {
            let more = if self.window < self.threshold { bytes } else { bytes / 8 };
            self.window = (self.window + more).min(WINDOW_MAX);
        }
        if self.window == WINDOW_MAX {
            self.rate = RATE_MAX;
        }
    }

    fn unanswered(&mut self, cuts_before: u64, was_alone: bool) {
        if cuts_before == self.cuts {
            self.cuts += 1;
            self.threshold = (self.window / 2).max(THRESHOLD_MIN);
        }
        self.window = WINDOW_MIN;
        if was_alone {
            self.rate = (self.rate / 2).max(RATE_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 4000;

    /// Sends as much as goes at once, and has all of it answered or not. Gives how much that was.
    fn round(pace: &Pace, answered: bool) -> usize {
        let sizes = || std::iter::repeat_n(SIZE, 64);
        let portions: Vec<_> = std::iter::from_fn(|| pace.try_enter(sizes())).collect();
        let bytes = portions.iter().map(|portion| portion.bytes).sum();
        portions.into_iter().for_each(if answered { Portion::answered } else { Portion::unanswered });
        bytes
    }

    /// Has grown to the most.
    fn grown() -> Pace {
        let pace = Pace::default();
        for _ in 0..12 {
            round(&pace, true);
        }
        pace
    }

    #[test]
    fn the_window_grows_with_answers_to_the_most() {
        let pace = Pace::default();
        let rounds: Vec<_> = std::iter::from_fn(|| Some(round(&pace, true))).take(12).collect();
        assert!(rounds[0] <= WINDOW_START && rounds.is_sorted(), "{rounds:?}");
        assert!(rounds[11] > WINDOW_MAX - 65 * SIZE && rounds[11] <= WINDOW_MAX, "{rounds:?}");
    }

    #[test]
    fn without_an_answer_events_go_one_by_one_until_answers_come_again() {
        let pace = grown();
        let before = round(&pace, false);
        assert_eq!(round(&pace, true), SIZE, "one");
        let rounds: Vec<_> = std::iter::from_fn(|| Some(round(&pace, true))).take(40).collect();
        assert!(rounds[..10].is_sorted(), "{rounds:?}");
        let doubling = rounds.iter().position(|bytes| *bytes >= before / 2 - 65 * SIZE).unwrap();
        assert!(doubling <= 14, "{rounds:?}");
        assert!(rounds[doubling + 1] < before, "from half of what was too much it grows slowly: {rounds:?}");
    }

    #[test]
    fn what_is_lost_together_counts_once() {
        let pace = grown();
        round(&pace, false);
        assert_eq!(pace.state().threshold, WINDOW_MAX / 2);
    }

    #[test]
    fn a_window_that_is_not_used_up_does_not_grow() {
        let pace = Pace::default();
        (0..100).for_each(|_| pace.try_enter([SIZE].into_iter()).unwrap().answered());
        assert_eq!(pace.state().window, WINDOW_START);
    }

    #[test]
    fn an_event_that_goes_alone_gets_more_time_each_time() {
        let pace = Pace::default();
        let huge = 4 * 1024 * 1024;
        let times: Vec<_> = std::iter::from_fn(|| {
            let portion = pace.try_enter([huge, 1].into_iter())?;
            let time = portion.time;
            assert!(pace.try_enter([1].into_iter()).is_none(), "nothing goes beside it");
            portion.unanswered();
            Some(time.as_secs())
        })
        .take(5)
        .collect();
        assert_eq!(times, [19, 35, 67, 131, 131]);
    }

    #[tokio::test]
    async fn whoever_waits_first_is_next() {
        let pace = Pace::default();
        let first = pace.enter([WINDOW_START].into_iter()).await;
        let (large, small) = (pace.enter([WINDOW_START].into_iter()), pace.enter([1].into_iter()));
        tokio::pin!(large, small);
        assert!(futures_util::poll!(&mut large).is_pending() && futures_util::poll!(&mut small).is_pending());
        drop(first);
        let large = large.await;
        assert!(futures_util::poll!(&mut small).is_pending());
        drop(large);
        small.await;
    }
}
