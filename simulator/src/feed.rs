//! The events that clients can see now, newest first, and when further ones enter.

use std::collections::VecDeque;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::Generator;

/// Events of GitHub's largest page.
pub(super) const PAGE_MAX: usize = 100;
/// How long ago generated events happened that enter late.
pub(super) const LATE: TimeDelta = TimeDelta::minutes(10);

/// A window onto an endless (generated) or finite (recorded) run of events.
pub(super) struct Feed {
    /// Newest first. At most `window` entries, which bounds the memory.
    visible: VecDeque<Entry>,
    window: usize,
    source: Source,
    pace: Pace,
    /// Entries that entered and were not fetched yet.
    unfetched: usize,
    pub tally: Tally,
}

/// Where events come from.
pub(super) enum Source {
    Generated(Box<Generator>),
    Recorded(std::vec::IntoIter<Bytes>),
}

/// When events enter.
pub(super) enum Pace {
    /// Never after the start.
    Still,
    /// By the clock: the moment it started, the rate, and how many entered since.
    Clock { started_at: DateTime<Utc>, per_second: f64, entered: u64 },
    /// So many with each poll, once all before were fetched, or the client has said that it is up to date.
    Poll { events: usize, up_to_date: bool },
}

/// What became of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Events that entered the feed.
    pub entered: u64,
    /// Events fetched from `/events` at least once, in an undamaged answer.
    pub fetched: u64,
    /// Events that left the window before anyone fetched them, also those before the first poll. From then on, a poller
    /// must report them as gaps.
    pub missed: u64,
}

/// Selects the events that a path shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filter {
    All,
    Repository(String),
    Organisation(String),
    User(String),
    /// By its id. A world has it, a single feed does not.
    RepositoryId(u64),
    /// The same.
    OrganisationId(u64),
}

struct Entry {
    raw: Bytes,
    actor: String,
    repository: String,
    organisation: String,
    fetched: bool,
}

impl Feed {
    /// An empty feed.
    pub(super) fn new(window: usize, source: Source, pace: Pace) -> Self {
        Self { visible: VecDeque::new(), window, source, pace, unfetched: 0, tally: Tally::default() }
    }

    /// Lets the next `count` events enter (fewer when the recording ends); `created_at` is for generated ones.
    pub(super) fn enter(&mut self, count: u64, created_at: impl Fn(u64) -> DateTime<Utc>) {
        for index in 0..count {
            let Some(raw) = self.source.next(created_at(index)) else { return };
            self.push(raw);
        }
    }

    /// Lets the next `count` events enter below the newest page.
    pub(super) fn enter_late(&mut self, count: u64, now: DateTime<Utc>) {
        for _ in 0..count {
            let Some(raw) = self.source.next(now - LATE) else { return };
            self.insert(PAGE_MAX.min(self.visible.len()), raw);
        }
    }

    /// Puts an event on top.
    pub(super) fn push(&mut self, raw: Bytes) {
        self.insert(0, raw);
    }

    /// Puts an event below so many others.
    fn insert(&mut self, below: usize, raw: Bytes) {
        self.tally.entered += 1;
        self.unfetched += 1;
        self.visible.insert(below, Entry::new(raw));
        if self.visible.len() > self.window
            && let Some(gone) = self.visible.pop_back()
            && !gone.fetched
        {
            self.unfetched -= 1;
            self.tally.missed += 1;
        }
    }

    /// Adds the events that are due by the clock.
    pub(super) fn tick(&mut self, now: DateTime<Utc>) {
        let Pace::Clock { started_at, per_second, entered } = &mut self.pace else { return };
        let elapsed_s = (now - *started_at).as_seconds_f64().max(0.0);
        let due = ((elapsed_s * *per_second) as u64).saturating_sub(*entered);
        *entered += due;
        self.enter(due, |_| now);
    }

    /// A client begins a poll: lets in the next events if they come by poll.
    pub(super) fn poll(&mut self, now: DateTime<Utc>) {
        if let Pace::Poll { events, up_to_date } = &mut self.pace
            && (*up_to_date || self.unfetched == 0)
        {
            let events = *events as u64;
            *up_to_date = false;
            self.enter(events, |_| now);
        }
    }

    /// A client got 304 for the first page. It will fetch none of the current events, even if it left some: recordings have
    /// duplicates, and a client stops at a page with known events. Waiting for it would never end.
    pub(super) fn up_to_date(&mut self) {
        if let Pace::Poll { up_to_date, .. } = &mut self.pace {
            *up_to_date = true;
        }
    }

    /// How many events `filter` shows.
    pub(super) fn count(&self, filter: &Filter) -> usize {
        self.visible.iter().filter(|entry| filter.shows(entry)).count()
    }

    /// `count` events that `filter` shows, after the newest `start` of them.
    pub(super) fn page(&self, filter: &Filter, start: usize, count: usize) -> Vec<Bytes> {
        let shown = self.visible.iter().filter(|entry| filter.shows(entry));
        shown.skip(start).take(count).map(|entry| entry.raw.clone()).collect()
    }

    /// A client got these events, counted as in [`Self::page`] without a filter.
    pub(super) fn fetched(&mut self, start: usize, count: usize) {
        for entry in self.visible.iter_mut().skip(start).take(count).filter(|entry| !entry.fetched) {
            entry.fetched = true;
            self.unfetched -= 1;
            self.tally.fetched += 1;
        }
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }
}

impl Source {
    /// The next event, `created_at` then if it is generated; nothing at the end of the recording.
    fn next(&mut self, created_at: DateTime<Utc>) -> Option<Bytes> {
        match self {
            Self::Generated(generator) => Some(generator.next_event(created_at).into()),
            Self::Recorded(rest) => rest.next(),
        }
    }
}

/// When generated events would have happened that fill the feed at its start.
pub(super) fn before(now: DateTime<Utc>, per_second: f64, count: u64) -> impl Fn(u64) -> DateTime<Utc> {
    let apart_s = 1.0 / if per_second > 0.0 { per_second } else { 20.0 };
    move |index| now - TimeDelta::milliseconds(((count - index) as f64 * apart_s * 1000.0) as i64)
}

impl Filter {
    pub(super) fn is_by_id(&self) -> bool {
        matches!(self, Self::RepositoryId(_) | Self::OrganisationId(_))
    }

    fn shows(&self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Repository(name) => entry.repository.eq_ignore_ascii_case(name),
            Self::Organisation(login) => entry.organisation.eq_ignore_ascii_case(login),
            Self::User(login) => entry.actor.eq_ignore_ascii_case(login),
            Self::RepositoryId(_) | Self::OrganisationId(_) => false,
        }
    }
}

impl Entry {
    fn new(raw: Bytes) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Envelope {
            actor: Value,
            repo: Value,
            org: Value,
        }
        // A recorded event may be any JSON. Without such a field, no filter shows it.
        let envelope: Envelope = serde_json::from_slice(&raw).unwrap_or_default();
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self {
            actor: text(&envelope.actor, "login"),
            repository: text(&envelope.repo, "name"),
            organisation: text(&envelope.org, "login"),
            raw,
            fetched: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(count: usize) -> Source {
        let events: Vec<_> = (0..count).map(|i| Bytes::from(format!(r#"{{"id":{i}}}"#))).collect();
        Source::Recorded(events.into_iter())
    }

    fn page(feed: &Feed) -> Vec<String> {
        let events = feed.page(&Filter::All, 0, 100);
        events.iter().map(|raw| String::from_utf8(raw.to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_window_holds_the_newest_and_counts_what_nobody_fetched() {
        let mut feed = Feed::new(2, recorded(5), Pace::Still);
        feed.enter(3, |_| Utc::now());
        assert_eq!(page(&feed), [r#"{"id":2}"#, r#"{"id":1}"#]);
        feed.fetched(0, 2);
        feed.enter(u64::MAX, |_| Utc::now());
        assert_eq!(feed.tally, Tally { entered: 5, fetched: 2, missed: 1 });
    }

    #[test]
    fn events_enter_by_the_clock() {
        let start = Utc::now();
        let pace = Pace::Clock { started_at: start, per_second: 2.0, entered: 0 };
        let mut feed = Feed::new(10, recorded(10), pace);
        feed.tick(start + TimeDelta::milliseconds(1_600));
        assert_eq!(feed.tally.entered, 3);
        feed.tick(start - TimeDelta::seconds(5));
        assert_eq!(feed.tally.entered, 3, "a clock set back changes nothing");
        feed.tick(start + TimeDelta::seconds(3));
        assert_eq!(feed.tally.entered, 6);
    }

    #[test]
    fn events_enter_with_each_poll_once_those_before_were_fetched() {
        let mut feed = Feed::new(10, recorded(5), Pace::Poll { events: 2, up_to_date: false });
        let now = Utc::now();
        feed.poll(now);
        feed.poll(now);
        assert_eq!(feed.tally.entered, 2);
        feed.fetched(0, 1);
        feed.poll(now);
        assert_eq!(feed.tally.entered, 2);
        feed.fetched(1, 1);
        feed.poll(now);
        assert_eq!(feed.tally.entered, 4);
        feed.up_to_date();
        feed.poll(now);
        assert_eq!(feed.tally.entered, 5, "the recording is at its end");
    }

    #[test]
    fn late_events_enter_below_the_newest_page() {
        let mut feed = Feed::new(300, recorded(200), Pace::Still);
        feed.enter(99, |_| Utc::now());
        feed.enter_late(1, Utc::now());
        feed.enter(50, |_| Utc::now());
        feed.enter_late(2, Utc::now());
        let all = feed.page(&Filter::All, 0, 300);
        let ids: Vec<_> =
            [0, 99, 100, 101, 102, 151].map(|at| String::from_utf8_lossy(&all[at]).into_owned()).into();
        assert_eq!(ids, [149, 49, 151, 150, 48, 99].map(|id| format!(r#"{{"id":{id}}}"#)));
        assert_eq!((feed.tally.entered, all.len()), (152, 152));
    }

    #[test]
    fn filters_are_by_name_whatever_its_case() {
        let mut feed = Feed::new(10, recorded(0), Pace::Still);
        let event = r#"{"actor":{"login":"Ana"},"repo":{"name":"o/r"},"org":{"login":"o"}}"#;
        feed.push(Bytes::from_static(event.as_bytes()));
        feed.push(Bytes::from_static(b"null"));
        for (filter, count) in [
            (Filter::All, 2),
            (Filter::User("ana".into()), 1),
            (Filter::Repository("O/R".into()), 1),
            (Filter::Organisation("o".into()), 1),
            (Filter::User("bob".into()), 0),
        ] {
            assert_eq!(feed.count(&filter), count, "{filter:?}");
        }
    }
}
