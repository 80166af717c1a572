//! What a feed has given us before: bounded, and in two parts.
//!
//! *Walked* holds what polls brought that were whole. Meeting one of these events again means that nothing was missed in
//! between. *Ahead* holds what was published by polls that broke off after some pages: it need not be published again, but
//! meeting it proves nothing, because the pages behind it were never seen.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

use chrono::{DateTime, Utc};

use crate::event::Event;

/// The newest this many are remembered, in each part: 33 full polls. GitHub shows 300.
const REMEMBERED_MAX: usize = 10_000;

/// A short stand-in for an event. Two events share one by chance once in 10^15 polls.
pub(super) type Mark = u64;

/// What a feed has given us before.
#[derive(Default)]
pub(super) struct Memory {
    walked: Ring,
    ahead: Ring,
    /// When the newest event of the last whole poll that had any was created.
    newest: Option<DateTime<Utc>>,
    hasher: RandomState,
}

impl Memory {
    /// The mark of an event. An id alone does not do: GitHub's ids have started afresh before.
    pub(super) fn mark(&self, event: &Event) -> Mark {
        self.hasher.hash_one((&event.id, event.created()))
    }

    /// The mark of an element that is not an event.
    pub(super) fn mark_of_other(&self, body: &[u8]) -> Mark {
        self.hasher.hash_one(body)
    }

    /// It came in a whole poll.
    pub(super) fn is_walked(&self, mark: Mark) -> bool {
        self.walked.marks.contains(&mark)
    }

    /// It is published and confirmed.
    pub(super) fn is_published(&self, mark: Mark) -> bool {
        self.is_walked(mark) || self.ahead.marks.contains(&mark)
    }

    /// Up to when the feed is known; nothing before the first whole poll with events.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.newest
    }

    /// Remembers the marks, oldest first, of a whole poll that is published and confirmed.
    pub(super) fn remember_walked(&mut self, marks: &[Mark], newest: Option<DateTime<Utc>>) {
        let ahead = std::mem::take(&mut self.ahead);
        for mark in ahead.order.iter().chain(marks) {
            self.walked.insert(*mark);
        }
        self.newest = newest.or(self.newest);
    }

    /// Remembers the marks of a poll that broke off; what it brought is published and confirmed.
    pub(super) fn remember_ahead(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.ahead.insert(*mark);
        }
    }
}

/// A set that forgets its oldest member when full.
#[derive(Default)]
struct Ring {
    marks: HashSet<Mark>,
    order: VecDeque<Mark>,
}

impl Ring {
    fn insert(&mut self, mark: Mark) {
        if !self.marks.insert(mark) {
            return;
        }
        self.order.push_back(mark);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.marks.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_memory_is_bounded() {
        let mut memory = Memory::default();
        for mark in 0..15_000 {
            memory.remember_walked(&[mark, mark], None);
        }
        assert!(!memory.is_walked(4_999) && memory.is_walked(5_000) && memory.is_walked(14_999));
        assert_eq!((memory.walked.marks.len(), memory.walked.order.len()), (10_000, 10_000));
        memory.remember_ahead(&(20_000..40_000).collect::<Vec<_>>());
        assert_eq!(memory.ahead.marks.len(), 10_000);
    }

    #[test]
    fn what_a_broken_off_poll_published_is_known_but_proves_nothing_until_a_whole_poll() {
        let mut memory = Memory::default();
        memory.remember_ahead(&[1]);
        assert!(memory.is_published(1) && !memory.is_walked(1));
        memory.remember_walked(&[2], None);
        assert!(memory.is_walked(1) && memory.is_walked(2) && memory.ahead.marks.is_empty());
    }

    #[test]
    fn an_id_with_another_time_is_another_event() {
        let memory = Memory::default();
        let mark = |created_at: &str| {
            let body = format!(r#"{{"id":"1","type":"X","created_at":"{created_at}"}}"#);
            memory.mark(&Event::parse(body.as_bytes()).unwrap())
        };
        assert_eq!(mark("2026-01-01T00:00:00Z"), mark("2026-01-01T01:00:00+01:00"));
        assert_ne!(mark("2026-01-01T00:00:00Z"), mark("2015-01-01T00:00:00Z"));
    }
}
