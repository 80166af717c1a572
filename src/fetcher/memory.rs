//! The memory of a feed: which events it has shown before. Bounded, and in two parts.
//!
//! - *Walked*: the events of complete polls. If a poll reaches one of them again, nothing was missed in between.
//! - *Ahead*: events that were published by polls that broke off after some pages. They need not be published again. If a poll
//!   reaches one of them, that proves nothing, because the pages behind it were never read.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::event::Event;

/// The newest this many are remembered, in each part: 33 full polls. GitHub shows 300.
pub(super) const REMEMBERED_MAX: usize = 10_000;
/// This many of the newest events of the last complete poll are its top: as many as GitHub shows.
const TOP_MAX: usize = 300;

/// A short stand-in for an event. Two events share one by chance once in 10^15 polls. Saved memories hold marks, so the same
/// event has the same mark in every build. GitHub chooses ids and times, so nobody can make events share one on purpose.
pub(super) type Mark = u64;

/// Separates the marks of other elements from those of events.
const OTHER_SEED: u64 = 1;

/// The mark of an event. An id alone does not do: GitHub's ids have started afresh before.
pub(super) fn mark_of(event: &Event) -> Mark {
    let created = event.created();
    let mut name = created.timestamp().to_le_bytes().to_vec();
    name.extend(created.timestamp_subsec_nanos().to_le_bytes());
    name.extend(event.id.as_bytes());
    xxh3_64(&name)
}

/// The mark of an element that is not an event.
pub(super) fn mark_of_other(body: &[u8]) -> Mark {
    xxh3_64_with_seed(body, OTHER_SEED)
}

/// Events that GitHub shows later than this after their creation are not expected. GH Archive has none that late.
pub(super) const LATE_MAX: TimeDelta = TimeDelta::hours(6);
/// At least so many of the newest marks are saved of each source.
pub(super) const TAIL_MIN: usize = 16;

/// A short form of the marks at the top of a feed, to be saved: the newest `marks`, and a time. All visible events from before
/// that time are known. A quiet source repeats the same events for months, so this saves it hundreds of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub marks: usize,
    /// At least [`LATE_MAX`] before the newest event.
    pub before: DateTime<Utc>,
}

impl Tail {
    /// The tail of a walk, by the times of its elements, newest first. None if it needs all of them.
    pub(super) fn of(times: &[Option<DateTime<Utc>>]) -> Option<Self> {
        let recent = times.iter().flatten().max()?.checked_sub_signed(LATE_MAX)?;
        let last = times.iter().rposition(|time| time.is_none_or(|time| time >= recent))?;
        let marks = (last + 1).max(TAIL_MIN);
        let before = times.get(..marks)?.iter().flatten().min()?;
        (marks < times.len()).then_some(Self { marks, before: (*before).min(recent) })
    }
}

/// The events that a feed has shown before.
#[derive(Default)]
pub(super) struct Memory {
    walked: Ring,
    ahead: Ring,
    /// The creation time of the newest event of the last complete poll that had events.
    newest: Option<DateTime<Utc>>,
    /// The marks at the top of the feed at that poll, oldest first: those that GitHub shows longest.
    top: Vec<Mark>,
    /// Of the top.
    tail: Option<Tail>,
    /// An earlier process knew all events of before this time. It saved no marks of them.
    known_before: Option<DateTime<Utc>>,
}

impl Memory {
    /// True for an event of a complete poll.
    pub(super) fn is_walked(&self, mark: Mark) -> bool {
        self.walked.marks.contains(&mark)
    }

    /// It is published and confirmed.
    pub(super) fn is_published(&self, mark: Mark) -> bool {
        self.is_walked(mark) || self.ahead.marks.contains(&mark)
    }

    /// The time up to which the feed is known. None before the first complete poll with events.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.newest
    }

    /// An event of this time is known to be old, although no event at all is known: all that is left of the memory is the time
    /// of the newest.
    pub(super) fn reaches_back_to(&self, created: DateTime<Utc>) -> bool {
        self.walked.marks.is_empty() && self.newest.is_some_and(|newest| created <= newest)
    }

    /// True for events of a time of which all visible events were known to an earlier process.
    pub(super) fn knew_all_before(&self, created: DateTime<Utc>) -> bool {
        self.known_before.is_some_and(|time| created < time)
    }

    /// The short form of the marks, if there is one.
    pub(super) fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// Remembers no more than so many events in each part.
    pub(super) fn limit(&mut self, marks_max: usize) {
        for ring in [&mut self.walked, &mut self.ahead] {
            ring.limit(marks_max);
        }
    }

    /// The marks of the newest walked events, oldest first: the top of the feed first of all.
    pub(super) fn newest_marks(&self, max: usize) -> Vec<Mark> {
        if max <= self.top.len() {
            return self.top[self.top.len() - max..].to_vec();
        }
        let top: HashSet<Mark> = self.top.iter().copied().collect();
        let others: Vec<_> = self.walked.order.iter().filter(|mark| !top.contains(mark)).collect();
        let left_out = others.len().saturating_sub(max - self.top.len());
        others.into_iter().skip(left_out).chain(&self.top).copied().collect()
    }

    /// Takes over what another process knew: marks of walked events, oldest first, and the time before which it knew all.
    pub(super) fn adopt(
        &mut self,
        marks: &[Mark],
        newest: Option<DateTime<Utc>>,
        known_before: Option<DateTime<Utc>>,
    ) {
        self.walk(marks, known_before.map(|before| Tail { marks: marks.len(), before }));
        self.newest = self.newest.max(newest);
        self.known_before = self.known_before.max(known_before);
    }

    /// Remembers the marks, oldest first, of a complete poll that is published and confirmed.
    pub(super) fn remember_walked(
        &mut self,
        marks: &[Mark],
        newest: Option<DateTime<Utc>>,
        tail: Option<Tail>,
    ) {
        let ahead = std::mem::take(&mut self.ahead);
        ahead.order.iter().for_each(|mark| self.walked.insert(*mark));
        self.walk(marks, tail);
        self.newest = newest.or(self.newest);
    }

    fn walk(&mut self, marks: &[Mark], tail: Option<Tail>) {
        marks.iter().for_each(|mark| self.walked.insert(*mark));
        if !marks.is_empty() {
            self.tail = tail;
            self.top = marks[marks.len().saturating_sub(TOP_MAX)..].to_vec();
        }
    }

    /// Remembers the marks of a poll that broke off. Its events are published and confirmed.
    pub(super) fn remember_ahead(&mut self, marks: &[Mark]) {
        for mark in marks {
            self.ahead.insert(*mark);
        }
    }
}

/// A set that forgets its oldest member when full.
struct Ring {
    marks: HashSet<Mark>,
    order: VecDeque<Mark>,
    max: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self { marks: HashSet::new(), order: VecDeque::new(), max: REMEMBERED_MAX }
    }
}

impl Ring {
    fn insert(&mut self, mark: Mark) {
        if !self.marks.insert(mark) {
            return;
        }
        self.order.push_back(mark);
        self.forget();
    }

    fn limit(&mut self, max: usize) {
        self.max = max.min(REMEMBERED_MAX);
        self.forget();
    }

    fn forget(&mut self) {
        while self.order.len() > self.max
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
            memory.remember_walked(&[mark, mark], None, None);
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
        memory.remember_walked(&[2], None, None);
        assert!(memory.is_walked(1) && memory.is_walked(2) && memory.ahead.marks.is_empty());
    }

    fn mark(id: &str, created_at: &str) -> Mark {
        let body = format!(r#"{{"id":"{id}","type":"X","created_at":"{created_at}"}}"#);
        mark_of(&Event::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn an_id_with_another_time_is_another_event() {
        assert_eq!(mark("1", "2026-01-01T00:00:00Z"), mark("1", "2026-01-01T01:00:00+01:00"));
        assert_ne!(mark("1", "2026-01-01T00:00:00Z"), mark("1", "2015-01-01T00:00:00Z"));
        assert_ne!(mark("1", "2026-01-01T00:00:00Z"), mark("1", "2026-01-01T00:00:00.5Z"));
        assert_ne!(mark("1", "2026-01-01T00:00:00Z"), mark("11", "2026-01-01T00:00:00Z"));
    }

    #[test]
    fn marks_are_the_same_in_every_build() {
        // Saved memories hold them: other values here make every fetcher publish its last events again after an update.
        assert_eq!(mark("12345678901", "2026-01-01T00:00:00Z"), 9_484_776_769_629_026_085);
        assert_eq!(mark_of_other(b"null"), 7_333_814_192_478_045_336);
    }

    #[test]
    fn the_newest_marks_are_the_top_of_the_feed_although_others_came_later_into_the_memory() {
        let mut memory = Memory::default();
        memory.remember_walked(&[1, 2, 5, 6], None, None);
        // GitHub showed 3 and 4 late, below known events.
        memory.remember_walked(&[3, 4, 5, 6], None, None);
        assert_eq!(memory.newest_marks(2), [5, 6]);
        assert_eq!(memory.newest_marks(4), [3, 4, 5, 6]);
        assert_eq!(memory.newest_marks(5), [2, 3, 4, 5, 6]);
        assert_eq!(memory.newest_marks(9), [1, 2, 3, 4, 5, 6]);
        assert_eq!((memory.newest_marks(0), Memory::default().newest_marks(9)), (vec![], vec![]));
        memory.remember_walked(&[], None, None);
        assert_eq!(memory.newest_marks(2), [5, 6], "an empty poll changes nothing");
    }

    #[test]
    fn what_another_process_knew_is_added_and_proves_nothing_of_a_poll_that_broke_off() {
        let (early, late) = ("2026-01-01T00:00:00Z".parse().ok(), "2026-01-01T00:00:09Z".parse().ok());
        let mut memory = Memory::default();
        memory.remember_walked(&[1], late, None);
        memory.remember_ahead(&[2]);
        memory.adopt(&[3], early, None);
        assert!(memory.is_walked(1) && memory.is_walked(3) && !memory.is_walked(2) && memory.is_published(2));
        assert_eq!(memory.newest(), late);
    }
}
