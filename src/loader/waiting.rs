//! Deliveries that wait to be loaded: the next batch, and crash suspects, which load alone.

use std::collections::VecDeque;

use super::suspect;
use crate::broker::Delivery;

/// With so many batches in flight, Redis has work until the next batch is full. A partial batch would only cost a round trip.
const ENOUGH_IN_FLIGHT: usize = 4;
/// Bytes of the bodies in a batch, unless a single body is larger. A batch must reach Redis within the time for an answer.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Deliveries that have arrived and do not load yet. They are unacked, so there are no more than the prefetch allows.
pub(super) struct Waiting {
    gathered: VecDeque<Delivery>,
    /// Bytes of the gathered bodies.
    gathered_bytes: usize,
    suspects: VecDeque<Delivery>,
    /// A crash suspect is in flight.
    is_alone: bool,
    batch_size: usize,
    concurrency: usize,
}

/// Deliveries to load together, or one delivery to load with nothing else in flight.
pub(super) struct Work {
    pub(super) deliveries: Vec<Delivery>,
    pub(super) is_alone: bool,
}

impl Waiting {
    /// Nothing waits yet. At most `concurrency` batches of `batch_size` will be in flight.
    pub(super) fn new(batch_size: usize, concurrency: usize) -> Self {
        Self {
            gathered: VecDeque::with_capacity(batch_size),
            gathered_bytes: 0,
            suspects: VecDeque::new(),
            is_alone: false,
            batch_size,
            concurrency,
        }
    }

    /// Adds a delivery.
    pub(super) fn add(&mut self, delivery: Delivery) {
        if suspect::is_suspect(&delivery) {
            self.suspects.push_back(delivery);
        } else {
            self.gathered_bytes += delivery.body.len();
            self.gathered.push_back(delivery);
        }
    }

    /// False when the next batch is full. Further deliveries can wait at RabbitMQ.
    pub(super) fn has_room(&self) -> bool {
        self.gathered.len() < self.batch_size && self.gathered_bytes < BATCH_BYTES_MAX
    }

    /// The work to begin while `in_flight` batches are in flight, if any:
    ///
    /// - A full batch starts when a place is free.
    /// - A partial batch starts only when fewer than [`ENOUGH_IN_FLIGHT`] are in flight, or when those in flight are `held_up`.
    /// - A crash suspect starts when nothing is in flight, and nothing starts beside it.
    pub(super) fn next_work(&mut self, in_flight: usize, held_up: impl FnOnce() -> bool) -> Option<Work> {
        self.is_alone &= in_flight > 0;
        if !self.suspects.is_empty() {
            if in_flight > 0 {
                return None;
            }
            self.is_alone = true;
            let deliveries = self.suspects.pop_front().into_iter().collect();
            return Some(Work { deliveries, is_alone: true });
        }
        if self.is_alone || in_flight >= self.concurrency || self.gathered.is_empty() {
            return None;
        }
        if in_flight >= ENOUGH_IN_FLIGHT && self.has_room() && !held_up() {
            return None;
        }
        Some(Work { deliveries: self.take_batch(), is_alone: false })
    }

    /// The oldest deliveries that fit a batch, at least one.
    fn take_batch(&mut self) -> Vec<Delivery> {
        let mut bytes = 0;
        let fits = |delivery: &&Delivery| {
            bytes += delivery.body.len();
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.gathered.iter().take(self.batch_size).take_while(fits).count().max(1);
        let batch: Vec<_> = self.gathered.drain(..count).collect();
        self.gathered_bytes -= batch.iter().map(|delivery| delivery.body.len()).sum::<usize>();
        batch
    }

    /// Takes all deliveries that wait.
    pub(super) fn take_all(&mut self) -> Vec<Delivery> {
        self.gathered_bytes = 0;
        self.suspects.drain(..).chain(self.gathered.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Envelope;

    fn delivery(tag: u64, deliveries_before: u32) -> Delivery {
        of_size(tag, deliveries_before, 0)
    }

    fn of_size(tag: u64, deliveries_before: u32, bytes: usize) -> Delivery {
        let (body, routing_key) = (vec![0; bytes], String::new());
        Delivery { tag, body, deliveries_before, routing_key, envelope: Envelope::json("test") }
    }

    fn waiting(deliveries_before: &[u32]) -> Waiting {
        let mut waiting = Waiting::new(2, 2);
        for (tag, count) in (1..).zip(deliveries_before) {
            waiting.add(delivery(tag, *count));
        }
        waiting
    }

    fn tags(work: Option<Work>) -> Option<(Vec<u64>, bool)> {
        work.map(|work| (work.deliveries.iter().map(|delivery| delivery.tag).collect(), work.is_alone))
    }

    #[test]
    fn a_batch_leaves_while_a_place_is_free_and_not_beyond() {
        let mut waiting = waiting(&[0, 1]);
        assert!(!waiting.has_room());
        assert_eq!(tags(waiting.next_work(2, || false)), None);
        assert_eq!(tags(waiting.next_work(1, || false)), Some((vec![1, 2], false)));
        assert!(waiting.has_room());
        assert_eq!(tags(waiting.next_work(0, || false)), None);
    }

    #[test]
    fn a_small_batch_waits_for_more_while_enough_is_in_flight_and_a_full_one_does_not() {
        let mut waiting = Waiting::new(2, 8);
        waiting.add(delivery(1, 0));
        assert_eq!(tags(waiting.next_work(ENOUGH_IN_FLIGHT, || false)), None);
        waiting.add(delivery(2, 0));
        assert_eq!(tags(waiting.next_work(ENOUGH_IN_FLIGHT, || false)), Some((vec![1, 2], false)));
        waiting.add(delivery(3, 0));
        assert_eq!(tags(waiting.next_work(ENOUGH_IN_FLIGHT - 1, || false)), Some((vec![3], false)));
        waiting.add(delivery(4, 0));
        assert_eq!(tags(waiting.next_work(ENOUGH_IN_FLIGHT, || true)), Some((vec![4], false)));
        waiting.add(delivery(5, 0));
        assert_eq!(tags(waiting.next_work(8, || true)), None);
    }

    #[test]
    fn a_suspect_leaves_alone_and_nothing_leaves_beside_it() {
        let mut waiting = waiting(&[0, 2, 3]);
        assert_eq!(tags(waiting.next_work(1, || false)), None, "something is in flight");
        assert_eq!(tags(waiting.next_work(0, || false)), Some((vec![2], true)));
        assert_eq!(tags(waiting.next_work(1, || false)), None, "a suspect is in flight");
        assert_eq!(tags(waiting.next_work(0, || false)), Some((vec![3], true)));
        assert_eq!(tags(waiting.next_work(1, || false)), None, "the last suspect is in flight");
        assert_eq!(tags(waiting.next_work(0, || false)), Some((vec![1], false)));
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_too_and_a_single_delivery_always_leaves() {
        let mut waiting = Waiting::new(10, 2);
        let (half, more) = (BATCH_BYTES_MAX / 2, BATCH_BYTES_MAX + 1);
        for (tag, bytes) in (1..).zip([half, half]) {
            assert!(waiting.has_room());
            waiting.add(of_size(tag, 0, bytes));
        }
        assert!(!waiting.has_room());
        for (tag, bytes) in (3..).zip([more, 1, half, half, half]) {
            waiting.add(of_size(tag, 0, bytes));
        }
        let next = || tags(waiting.next_work(0, || false)).map(|(tags, _)| tags);
        let batches: Vec<_> = std::iter::from_fn(next).collect();
        assert_eq!(batches, [vec![1, 2], vec![3], vec![4, 5], vec![6, 7]]);
        assert!(waiting.has_room());
    }

    #[test]
    fn what_was_gathered_beyond_a_batch_leaves_in_batches() {
        let mut waiting = waiting(&[0, 0, 0, 2, 1]);
        assert_eq!(tags(waiting.next_work(0, || true)), Some((vec![4], true)));
        assert_eq!(tags(waiting.next_work(0, || true)), Some((vec![1, 2], false)));
        let rest: Vec<_> = waiting.take_all().iter().map(|delivery| delivery.tag).collect();
        assert_eq!(rest, [3, 5]);
        assert_eq!(tags(waiting.next_work(0, || true)), None);
    }
}
