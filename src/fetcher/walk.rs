//! The walk of one poll through a feed's pages, newest first, until an event that was seen before. Pure.
//!
//! GitHub shows some events late, below newer ones that were seen already. So from time to time a walk is a *sweep*: it reads
//! all pages, down to the last. An event below a known one may be late or known, and never makes a gap.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use url::Url;

use super::activity::Seen;
use super::coverage::FeedGap;
use super::memory::{LATE_MAX, Mark, Memory, Tail, mark_of, mark_of_other};
use crate::broker::EventName;
use crate::event::Event;
use crate::github::Page;

/// GitHub shows at most 300 events, 100 a page.
const PAGES_MAX: u32 = 3;
/// So many events in all.
pub(super) const EVENTS_MAX: usize = 300;
/// A larger element cannot be published: RabbitMQ 4 takes messages of 16 MiB at most, and one that is larger fails all
/// others on its channel.
const ELEMENT_BYTES_MAX: usize = 15 * 1024 * 1024;

/// The events of a poll so far.
#[derive(Default)]
pub(super) struct Walk {
    /// Elements to publish, newest first.
    fresh: Vec<Element>,
    /// Marks of all elements so far, newest first.
    marks: Vec<Mark>,
    met: HashSet<Mark>,
    /// The creation time of each event so far.
    times: Vec<DateTime<Utc>>,
    /// The number of the repository of its first event, if it has one.
    repo_id: Option<u64>,
    /// For each mark, when its event was created.
    times_of_marks: Vec<Option<DateTime<Utc>>>,
    meets_before: bool,
    /// It reads all pages, also below known events.
    sweeps: bool,
    /// The current page repeats an event of an earlier page of this walk.
    repeats: bool,
    /// Gaps between two requests of this walk.
    holes: Vec<FeedGap>,
    pub(super) pages: u32,
    /// Reads no more pages than this, if it is not 0.
    pages_max: u32,
    /// The last page of the feed was read.
    reached_end: bool,
    pub(super) already_seen: usize,
    pub(super) too_large: usize,
    pub(super) not_events: usize,
    /// The ETag of the first page.
    etag: Option<String>,
}

/// An element to be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Exactly as GitHub sent it.
    pub body: Vec<u8>,
    /// Id, type and time. None if the element is not an event. Such elements are published too: the loader moves them to the dead
    /// letters.
    pub event: Option<EventName>,
}

/// The next step of the walk after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch the next older page.
    Next(Url),
    /// The walk is complete.
    Whole,
}

/// The result of a walk, in the order of publishing: oldest first.
pub(super) struct Found {
    pub elements: Vec<Element>,
    pub marks: Vec<Mark>,
    pub newest: Option<DateTime<Utc>>,
    pub etag: Option<String>,
    /// What is to be saved of the marks where there are many sources.
    pub tail: Option<Tail>,
}

impl Walk {
    /// A walk that takes all pages there are.
    pub(super) fn sweep() -> Self {
        Self { sweeps: true, ..Self::default() }
    }

    /// A walk that takes the newest page only, though it may know none of its events.
    pub(super) fn first_page() -> Self {
        Self { pages_max: 1, ..Self::default() }
    }

    /// True if it reads all pages, also below known events.
    pub(super) fn sweeps(&self) -> bool {
        self.sweeps
    }

    /// True if the walk has reached an event of an earlier poll. Then all newer events are found.
    pub(super) fn meets_before(&self) -> bool {
        self.meets_before
    }

    /// When the newest event so far was created.
    pub(super) fn newest(&self) -> Option<DateTime<Utc>> {
        self.times.iter().max().copied()
    }

    /// Adds a page and returns the next step.
    pub(super) fn take(&mut self, page: Page, memory: &Memory) -> Step {
        if self.meets_before && self.has_moved_on(&page, memory) {
            return Step::Whole;
        }
        if self.pages == 0 {
            self.etag = page.etag;
        }
        self.pages += 1;
        let (newest_before, times_before) = (self.times.iter().max().copied(), self.times.len());
        self.repeats = false;
        for body in page.elements {
            self.meet(body, memory);
        }
        // Only the oldest event of the page: a late event in the middle does not show that its neighbours are known.
        let oldest = self.times[times_before..].last();
        self.meets_before |= oldest.is_some_and(|oldest| memory.reaches_back_to(*oldest));
        if let Some(newest) = newest_before.filter(|_| !self.repeats) {
            self.holes.extend(hole(newest, &self.times[times_before..]));
        }
        self.reached_end = page.next.is_none();
        let pages_max = if self.pages_max == 0 { PAGES_MAX } else { self.pages_max };
        match page.next {
            Some(next) if (self.sweeps || !self.meets_before) && self.pages < pages_max => Step::Next(next),
            _ => Step::Whole,
        }
    }

    /// True if a page below known events begins with a new event. Since the first request, more than a page of new events has
    /// arrived, and some were not read. Stop here: the next poll reads them. Remembering this page would make that poll stop too
    /// early.
    fn has_moved_on(&self, page: &Page, memory: &Memory) -> bool {
        let newest = self.times.iter().max();
        let is_new = |event: &Event| {
            let mark = mark_of(event);
            newest.is_some_and(|newest| event.created() >= *newest)
                && !self.met.contains(&mark)
                && !memory.is_published(mark)
        };
        page.elements.iter().filter_map(|body| Event::parse(body).ok()).any(|event| is_new(&event))
    }

    fn meet(&mut self, body: Vec<u8>, memory: &Memory) {
        let (mark, event) = match Event::parse(&body) {
            Ok(event) => {
                if self.times.is_empty() {
                    self.repo_id = event.repo_id();
                }
                self.times.push(event.created());
                (mark_of(&event), Some(name_of(&event)))
            }
            Err(reason) => {
                tracing::debug!(page = self.pages, "an element is not an event: {reason}");
                (mark_of_other(&body), None)
            }
        };
        // An invalid element that every page repeats does not count as overlap.
        self.meets_before |= event.is_some() && memory.is_walked(mark);
        if !self.met.insert(mark) {
            // New events arrived between two requests, and pushed events from one page to the next.
            self.repeats = true;
            return;
        }
        let created = event.as_ref().map(|event| event.created);
        self.marks.push(mark);
        self.times_of_marks.push(created);
        if memory.is_published(mark) || created.is_some_and(|created| memory.knew_all_before(created)) {
            self.already_seen += 1;
        } else if body.len() > ELEMENT_BYTES_MAX {
            self.too_large += 1;
        } else {
            self.not_events += usize::from(event.is_none());
            self.fresh.push(Element { body, event });
        }
    }

    /// Elements to be published.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Gaps between the last complete poll, at `polled`, and this one, which must be complete, and between this poll's pages.
    pub(super) fn gaps(&self, memory: &Memory, polled: Option<DateTime<Utc>>) -> Vec<FeedGap> {
        let mut gaps = self.holes.clone();
        gaps.extend(self.gap_before(memory, polled));
        for gap in &mut gaps {
            gap.events_in_poll = self.marks.len();
            gap.repo_id = self.repo_id;
        }
        gaps
    }

    fn gap_before(&self, memory: &Memory, polled: Option<DateTime<Utc>>) -> Option<FeedGap> {
        let newest = memory.newest()?;
        if self.meets_before || self.times.is_empty() {
            return None;
        }
        // Events older than the newest known event came late. They do not show where the gap ends.
        let to = self.times.iter().copied().filter(|time| *time >= newest).min().unwrap_or(newest);
        // The last poll showed what had happened until then, but for late events. The newest of that may be months old.
        let seen_until = polled.and_then(|polled| polled.checked_sub_signed(LATE_MAX));
        // Recorded events are older than all polls.
        let from = seen_until.filter(|seen_until| *seen_until < to).map_or(newest, |seen| seen.max(newest));
        Some(FeedGap { from, to, events_in_poll: 0, repo_id: None })
    }

    /// What the walk tells about the feed's activity.
    pub(super) fn seen(&self) -> Seen {
        let fresh = self.fresh.iter().filter_map(|element| Some(element.event.as_ref()?.created)).collect();
        Seen { fresh, shown: self.reached_end.then_some(self.marks.len()) }
    }

    /// Ends the walk.
    pub(super) fn into_found(mut self) -> Found {
        let tail = Tail::of(&self.times_of_marks);
        self.fresh.reverse();
        self.marks.reverse();
        let newest = self.times.iter().max().copied();
        // An empty answer may be a fault of GitHub. If its ETag were kept, later polls would get 304 and no events.
        let etag = self.etag.filter(|_| newest.is_some());
        Found { elements: self.fresh, marks: self.marks, newest, etag, tail }
    }
}

/// The gap between two pages of one walk. If more than a page of events arrives between two requests, the next "older" page is newer
/// than the page before it. The events between the two pages were on neither. `newest` is the newest event of the pages before.
/// `times` are those of a page that repeats none of their events.
fn hole(newest: DateTime<Utc>, times: &[DateTime<Utc>]) -> Option<FeedGap> {
    times.iter().max().filter(|time| **time > newest)?;
    let to = times.iter().copied().filter(|time| *time >= newest).min()?;
    Some(FeedGap { from: newest, to, events_in_poll: 0, repo_id: None })
}

fn name_of(event: &Event) -> EventName {
    EventName { id: event.id.to_string(), kind: event.kind.to_string(), created: event.created() }
}

#[cfg(test)]
mod tests;
