//! Messages that wait to be published to an extra, bounded in number and bytes. Pure.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use crate::broker::Outgoing;
use crate::lack::Lack;

/// Bytes that may wait: some thousand events.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The messages that wait, and a record of those that were dropped.
pub(super) struct Backlog {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    messages_max: usize,
    dropped: Option<Lack>,
    in_flight: InFlight,
    /// The messages that the destination has confirmed, in the form of a record of lacking ones.
    confirmed: Option<Lack>,
}

/// A message, and the time at which it was published to where it must be.
type Waiting = (Outgoing, DateTime<Utc>);

/// Messages that were taken, and are neither published nor put back.
#[derive(Default)]
struct InFlight {
    dropped: Option<Lack>,
    messages: Vec<Waiting>,
}

impl Backlog {
    /// An empty backlog. `dropped` are the messages that an earlier process could not publish, `confirmed` those that it published.
    pub(super) fn new(messages_max: usize, dropped: Option<Lack>, confirmed: Option<Lack>) -> Self {
        let in_flight = InFlight::default();
        Self { waiting: VecDeque::new(), bytes: 0, messages_max, dropped, in_flight, confirmed }
    }

    /// Adds a message at the end; drops the oldest where there are too many.
    pub(super) fn push(&mut self, message: Outgoing, published: DateTime<Utc>) {
        self.bytes += message.body.len();
        self.waiting.push_back((message, published));
        self.drop_excess();
    }

    /// Adds a record of messages that were dropped elsewhere.
    pub(super) fn note(&mut self, dropped: Option<Lack>) {
        self.dropped = join(self.dropped.take(), dropped);
    }

    /// The record of dropped messages, and the next messages. They are in flight until [`Self::published`] or
    /// [`Self::put_back`].
    pub(super) fn take(&mut self, messages_max: usize) -> (Option<Lack>, Vec<Outgoing>) {
        self.put_back();
        let count = self.waiting.len().min(messages_max);
        let messages: Vec<_> = self.waiting.drain(..count).collect();
        self.bytes -= bytes_of(&messages);
        self.in_flight = InFlight { dropped: self.dropped.take(), messages };
        let copies = self.in_flight.messages.iter().map(|(message, _)| message.clone());
        (self.in_flight.dropped.clone(), copies.collect())
    }

    /// The taken messages are confirmed at their destination.
    pub(super) fn published(&mut self) {
        let published = std::mem::take(&mut self.in_flight).messages;
        let confirmed = published.into_iter().map(|(_, published)| Lack::of_one(published));
        self.confirmed = confirmed.fold(self.confirmed.take(), |confirmed, one| join(confirmed, Some(one)));
    }

    /// The destination has lost its messages. Those published after `kept_from` would still be there, so they are lacking now.
    pub(super) fn lost(&mut self, kept_from: DateTime<Utc>) {
        let lost = self.confirmed.take().and_then(|confirmed| confirmed.since(kept_from));
        self.note(lost);
    }

    /// The messages that the destination has confirmed, in the form of a record of lacking ones, for the fetcher's memory.
    pub(super) fn confirmed(&self) -> Option<Lack> {
        self.confirmed.clone()
    }

    /// Puts the taken messages back at the front: they may not be confirmed.
    pub(super) fn put_back(&mut self) {
        let InFlight { dropped, messages } = std::mem::take(&mut self.in_flight);
        self.dropped = join(dropped, self.dropped.take());
        self.bytes += bytes_of(&messages);
        messages.into_iter().rev().for_each(|message| self.waiting.push_front(message));
        self.drop_excess();
    }

    /// A record of all unpublished messages: waiting, in flight and dropped ones.
    pub(super) fn lack(&self) -> Option<Lack> {
        let dropped = join(self.dropped.clone(), self.in_flight.dropped.clone());
        let messages = self.in_flight.messages.iter().chain(&self.waiting);
        messages.fold(dropped, |lack, (_, published)| join(lack, Some(Lack::of_one(*published))))
    }

    /// The unpublished bodies, oldest first, without dropped ones.
    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        let messages = self.in_flight.messages.iter().chain(&self.waiting);
        messages.map(|(message, _)| message.body.clone()).collect()
    }

    /// True when nothing waits and nothing was dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dropped.is_none()
    }

    fn drop_excess(&mut self) {
        while self.waiting.len() > self.messages_max || self.bytes > BYTES_MAX {
            let Some((message, published)) = self.waiting.pop_front() else { return };
            self.bytes -= message.body.len();
            self.dropped = join(self.dropped.take(), Some(Lack::of_one(published)));
        }
    }
}

fn bytes_of(messages: &[Waiting]) -> usize {
    messages.iter().map(|(message, _)| message.body.len()).sum()
}

fn join(one: Option<Lack>, other: Option<Lack>) -> Option<Lack> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.with(&other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Envelope, Route};

    fn message(bytes: usize) -> Outgoing {
        Outgoing { route: Route::Queue("q".into()), body: vec![0; bytes], envelope: Envelope::json("test") }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    fn sizes(batch: &[Outgoing]) -> Vec<usize> {
        batch.iter().map(|message| message.body.len()).collect()
    }

    #[test]
    fn the_oldest_messages_are_dropped_and_counted_with_the_times_they_span() {
        let mut backlog = Backlog::new(2, None, None);
        (1..=5).for_each(|n| backlog.push(message(n), at(i64::try_from(n).unwrap())));
        let (dropped, batch) = backlog.take(10);
        assert_eq!(dropped, Some(Lack { from: at(1), to: at(3), events: 3 }));
        assert_eq!(sizes(&batch), [4, 5]);
        assert!(backlog.is_empty() && backlog.lack().is_some_and(|lack| lack.events == 5));
        backlog.published();
        assert_eq!(backlog.lack(), None);
    }

    #[test]
    fn a_batch_that_is_put_back_stands_before_what_came_meanwhile() {
        let mut backlog = Backlog::new(3, Some(Lack::of_one(at(0))), None);
        backlog.push(message(1), at(1));
        backlog.push(message(2), at(2));
        assert_eq!(sizes(&backlog.take(1).1), [1]);
        backlog.push(message(3), at(3));
        assert_eq!(backlog.lack(), Some(Lack { from: at(0), to: at(3), events: 4 }));
        backlog.put_back();
        assert_eq!(backlog.lack(), Some(Lack { from: at(0), to: at(3), events: 4 }));
        let (dropped, batch) = backlog.take(10);
        assert_eq!((dropped, sizes(&batch)), (Some(Lack::of_one(at(0))), vec![1, 2, 3]));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut backlog = Backlog::new(1000, None, None);
        (0..5).for_each(|second| backlog.push(message(BYTES_MAX / 3), at(second)));
        let (dropped, batch) = backlog.take(1000);
        assert_eq!((dropped.map(|lack| lack.events), batch.len()), (Some(2), 3));
    }

    #[test]
    fn a_destination_that_was_deleted_lacks_what_it_had_and_would_still_keep() {
        let mut backlog = Backlog::new(10, None, Some(Lack { from: at(0), to: at(99), events: 100 }));
        backlog.push(message(1), at(100));
        backlog.take(10);
        backlog.published();
        backlog.lost(at(50));
        assert_eq!(backlog.lack(), Some(Lack { from: at(50), to: at(100), events: 50 }));
        backlog.take(10);
        backlog.published();
        backlog.lost(at(0));
        assert_eq!(backlog.lack(), None, "it was recorded once");
    }
}
