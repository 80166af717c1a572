//! The newest events of one feed, and what became of them.

use std::collections::VecDeque;

use super::super::Tally;

/// An event, without its content: that is made when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The index of its repository.
    pub repository: u32,
    /// Its number in the repository, from 0.
    pub number: u32,
    pub id: u64,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
}

/// What a feed shows: its newest events.
pub(super) struct Window {
    /// Newest first, each with whether it was fetched. At most `size`, and never grows.
    shown: VecDeque<(Event, bool)>,
    size: usize,
    /// The world's start, in milliseconds since 1970. Events before it are history.
    started_ms: i64,
    /// Changes with each event that enters.
    pub version: u64,
    /// Answers 200 and 304 so far.
    pub answers: u64,
    pub tally: Tally,
}

impl Window {
    pub(super) fn new(size: usize, started_ms: i64) -> Self {
        Self { shown: VecDeque::new(), size, started_ms, version: 0, answers: 0, tally: Tally::default() }
    }

    /// An event enters, below so many newer ones.
    pub(super) fn insert(&mut self, below: usize, event: Event) {
        if self.shown.len() == self.size
            && let Some((gone, fetched)) = self.shown.pop_back()
        {
            self.leaves(gone, fetched);
        }
        if self.shown.capacity() < self.size && self.shown.len() == self.shown.capacity() {
            // Doubling would end far above the size.
            self.shown.reserve_exact((self.size - self.shown.len()).min(self.shown.len().max(4)));
        }
        self.shown.insert(below.min(self.shown.len()), (event, false));
        self.version += 1;
        self.tally.entered += 1;
    }

    fn leaves(&mut self, event: Event, fetched: bool) {
        match fetched {
            true => {}
            // Nobody could ask in time for history that newer events push out at once.
            false if self.answers == 0 && event.at_ms < self.started_ms => self.tally.entered -= 1,
            false => self.tally.missed += 1,
        }
    }

    /// `count` events after the newest `start`.
    pub(super) fn page(&self, start: usize, count: usize) -> impl Iterator<Item = Event> {
        self.shown.iter().skip(start).take(count).map(|(event, _)| *event)
    }

    /// A client got these events, counted as in [`Self::page`].
    pub(super) fn fetched(&mut self, start: usize, count: usize) {
        for (_, fetched) in self.shown.iter_mut().skip(start).take(count) {
            self.tally.fetched += u64::from(!*fetched);
            *fetched = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// No more events are shown. Those that nobody fetched are missed.
    pub(super) fn close(&mut self) {
        while let Some((gone, fetched)) = self.shown.pop_back() {
            self.leaves(gone, fetched);
        }
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32) -> Event {
        Event { repository: 0, number, id: number.into(), at_ms: 0 }
    }

    #[test]
    fn a_window_shows_the_newest_and_counts_each_event_once() {
        let mut window = Window::new(3, 0);
        (0..3).for_each(|number| window.insert(0, event(number)));
        window.fetched(0, 2);
        window.fetched(0, 2);
        window.insert(0, event(3));
        window.insert(0, event(4));
        let numbers: Vec<_> = window.page(0, 10).map(|event| event.number).collect();
        assert_eq!(numbers, [4, 3, 2]);
        assert_eq!(window.tally, Tally { entered: 5, fetched: 2, missed: 1 });
        assert_eq!((window.version, window.page(1, 1).next()), (5, Some(event(3))));
        window.close();
        assert_eq!((window.len(), window.tally.missed), (0, 3));
    }

    #[test]
    fn history_that_leaves_before_the_first_answer_was_never_there() {
        let mut window = Window::new(2, 1);
        (0..3).for_each(|number| window.insert(0, event(number)));
        assert_eq!(window.tally, Tally { entered: 2, fetched: 0, missed: 0 });
        window.answers = 1;
        window.insert(0, event(3));
        assert_eq!(window.tally, Tally { entered: 3, fetched: 0, missed: 1 });
    }

    #[test]
    fn a_window_takes_no_more_memory_than_its_events() {
        let mut window = Window::new(300, 0);
        (0..1_000).for_each(|number| window.insert(0, event(number)));
        assert!(window.shown.capacity() <= 310, "{}", window.shown.capacity());
    }
}
