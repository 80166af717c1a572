//! Tracks which delivery tags may be acked. Pure.

use std::collections::VecDeque;

/// Tracks the deliveries of one session from arrival to ack.
///
/// Deliveries settle in any order. One ack with `multiple` covers all tags up to its own, and costs RabbitMQ a tenth of single
/// acks. So one ack covers the contiguous run of settled tags. If a *hole*, an unsettled delivery, stays for long, the tags
/// behind it are acked one by one.
#[derive(Default)]
pub(super) struct AckTracker {
    /// Every tag up to this one is acked.
    base: u64,
    /// The tags after `base`, in order.
    states: VecDeque<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Delivered, work in progress.
    Open,
    /// Its effects are in Redis, or its copy is stored elsewhere: may be acked.
    Settled,
    /// Acked before older ones.
    Acked,
}

impl AckTracker {
    /// A delivery has arrived. Tags come in order from 1.
    pub(super) fn delivered(&mut self, tag: u64) {
        while self.newest() < tag {
            self.states.push_back(State::Open);
        }
    }

    /// A delivery may be acked.
    pub(super) fn settle(&mut self, tag: u64) {
        if let Some(state) = self.state_mut(tag) {
            *state = State::Settled;
        }
    }

    /// The tag to ack with `multiple`, if the oldest deliveries have settled. They count as acked from now on.
    pub(super) fn take_run(&mut self) -> Option<u64> {
        let mut through = None;
        while self.states.front().is_some_and(|state| *state != State::Open) {
            self.base += 1;
            // RabbitMQ refuses an ack that names a tag which is acked already, even with `multiple`.
            if self.states.pop_front() == Some(State::Settled) {
                through = Some(self.base);
            }
        }
        through
    }

    /// How many deliveries the next ack would cover.
    pub(super) fn run_length(&self) -> usize {
        self.states.iter().take_while(|state| **state != State::Open).count()
    }

    /// The settled tags behind a hole, to ack one by one. They count as acked from now on.
    pub(super) fn take_beyond_hole(&mut self) -> Vec<u64> {
        let mut tags = Vec::new();
        for (place, state) in self.states.iter_mut().enumerate() {
            if *state == State::Settled {
                *state = State::Acked;
                tags.push(self.base + 1 + place as u64);
            }
        }
        tags
    }

    /// The oldest delivery that has not settled.
    pub(super) fn oldest_open(&self) -> Option<u64> {
        let place = self.run_length();
        (place < self.states.len()).then_some(self.base + 1 + place as u64)
    }

    /// The newest delivery; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.base + self.states.len() as u64
    }

    /// How many deliveries are not acked.
    pub(super) fn unacked(&self) -> usize {
        self.states.iter().filter(|state| **state != State::Acked).count()
    }

    /// True when every delivery is acked.
    pub(super) fn is_idle(&self) -> bool {
        self.states.is_empty()
    }

    fn state_mut(&mut self, tag: u64) -> Option<&mut State> {
        let place = usize::try_from(tag.checked_sub(self.base + 1)?).ok()?;
        self.states.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker(delivered: u64) -> AckTracker {
        let mut tracker = AckTracker::default();
        (1..=delivered).for_each(|tag| tracker.delivered(tag));
        tracker
    }

    #[test]
    fn a_run_is_acked_up_to_the_first_hole() {
        let mut tracker = tracker(5);
        assert_eq!(tracker.take_run(), None);
        [2, 3, 5].into_iter().for_each(|tag| tracker.settle(tag));
        assert_eq!((tracker.run_length(), tracker.take_run()), (0, None));
        assert_eq!(tracker.oldest_open(), Some(1));
        tracker.settle(1);
        assert_eq!((tracker.run_length(), tracker.take_run()), (3, Some(3)));
        assert_eq!(tracker.oldest_open(), Some(4));
        tracker.settle(4);
        assert_eq!(tracker.take_run(), Some(5));
        assert!(tracker.is_idle());
    }

    #[test]
    fn what_is_acked_singly_is_never_acked_again() {
        let mut tracker = tracker(4);
        [2, 4].into_iter().for_each(|tag| tracker.settle(tag));
        assert_eq!((tracker.newest(), tracker.unacked()), (4, 4));
        assert_eq!(tracker.take_beyond_hole(), [2, 4]);
        assert_eq!((tracker.newest(), tracker.unacked()), (4, 2));
        assert!(tracker.take_beyond_hole().is_empty());
        tracker.settle(1);
        assert_eq!(tracker.take_run(), Some(1), "2 is acked already, so the run's ack names 1");
        tracker.settle(3);
        assert_eq!(tracker.take_run(), Some(3));
        assert!(tracker.is_idle());
    }

    #[test]
    fn tags_of_another_session_are_ignored() {
        let mut tracker = tracker(1);
        tracker.settle(0);
        tracker.settle(9);
        assert_eq!(tracker.take_run(), None);
    }
}
