//! Many repositories with their own feeds: whose events enter when, and what each feed shows. No I/O.
//!
//! Memory is bounded. A window holds only numbers and times; content is made from the seed when it is asked for.

mod answer;
mod bodies;
mod oracle;
mod places;
mod rhythm;
mod window;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::config::WorldArgs;
use super::feed::{LATE, PAGE_MAX};
use super::generator::Scoped;
use bodies::Bodies;
pub use oracle::{Entered, SourceSeen, Sum};
pub use places::State;
use window::{Event, Window};

/// GitHub shows older events to nobody.
const OLDEST: TimeDelta = TimeDelta::days(90);
/// The rate of the history of a world at rest, in events a second.
const RATE_AT_REST: f64 = 20.0;
/// Where GitHub's ids began again in October 2025. The sequence of pushes is ahead, so that the other one comes by each of its ids
/// later, with other events.
const FIRST_IDS: [u64; 2] = [5_070_000_100, 5_070_000_000];
/// How many events the oracle remembers: about 100 MB.
const ENTERED_MAX: usize = 4_000_000;

/// All repositories and organisations, and the events that clients can see of them.
pub(super) struct World {
    seed: u64,
    /// Of an ETag: another run has other events under the same numbers.
    started_at: DateTime<Utc>,
    scoped: Scoped,
    repositories: Vec<Repository>,
    /// Indices by name in lower case, also by former names.
    by_name: HashMap<String, usize>,
    by_id: HashMap<u64, usize>,
    /// Indices by login in lower case.
    organisations: HashMap<String, usize>,
    /// First those of the repositories, then those of the organisations, then the one of all events.
    feeds: Vec<Window>,
    /// When which repository has its next event, in milliseconds since 1970; nothing in a world at rest.
    due: BinaryHeap<Reverse<(i64, usize)>>,
    last_ids: [u64; 2],
    /// All that entered, oldest first.
    entered: VecDeque<Event>,
    bodies: Bodies,
}

struct Repository {
    /// The name by which the list of sources has it.
    listed: String,
    state: State,
    /// In the mean, in events a second.
    per_second: f64,
    /// The number of its next event.
    next: u32,
}

impl World {
    /// The world at `now`: every feed has its history, and further events enter by the clock, `rate` a second in sum.
    pub(super) fn new(args: &WorldArgs, seed: u64, rate: f64, window: u32, now: DateTime<Utc>) -> Self {
        let count = args.repositories.unwrap_or_default() as usize;
        let scoped = Scoped::new(seed, count);
        let rates = rhythm::rates(seed, count, if rate > 0.0 { rate } else { RATE_AT_REST });
        let repository = |(at, per_second)| Repository {
            listed: scoped.repository(at).name.to_owned(),
            state: State::Served,
            per_second,
            next: 0,
        };
        let repositories: Vec<_> = rates.into_iter().enumerate().map(repository).collect();
        let names = repositories.iter().enumerate().map(|(at, one)| (one.listed.to_ascii_lowercase(), at));
        let logins = scoped.organisations().enumerate().map(|(at, org)| (org.name.to_ascii_lowercase(), at));
        let feeds = count + logins.len() + 1;
        let mut world = Self {
            seed,
            started_at: now,
            by_name: names.collect(),
            by_id: (0..count).map(|at| (scoped.repository(at).id, at)).collect(),
            organisations: logins.collect(),
            scoped,
            repositories,
            feeds: (0..feeds).map(|_| Window::new(window as usize, now.timestamp_millis())).collect(),
            due: BinaryHeap::new(),
            last_ids: FIRST_IDS,
            entered: VecDeque::new(),
            bodies: Bodies::default(),
        };
        world.befall(args);
        world.begin(window, rate > 0.0, now);
        world
    }

    /// Renames some repositories, takes others away.
    fn befall(&mut self, args: &WorldArgs) {
        let mut order = rhythm::order_of_states(self.seed, self.repositories.len()).into_iter();
        for (state, share) in args.shares() {
            let count = (share * self.repositories.len() as f64).ceil() as usize;
            order.by_ref().take(count).for_each(|at| self.set_state(at, state));
        }
        // The others make up for those in which nothing happens.
        let sum = |is_silent: bool| -> f64 {
            let those = self.repositories.iter().filter(|one| one.state.is_silent() == is_silent);
            those.map(|one| one.per_second).sum()
        };
        let faster = (sum(false) + sum(true)) / sum(false).max(f64::MIN_POSITIVE);
        self.repositories.iter_mut().for_each(|one| one.per_second *= faster);
    }

    /// Lets the history enter, and plans the events that come next.
    fn begin(&mut self, window: u32, moves: bool, now: DateTime<Utc>) {
        let (now_ms, oldest_ms) = (now.timestamp_millis(), (now - OLDEST).timestamp_millis());
        let mut history = Vec::new();
        for at in 0..self.repositories.len() {
            let (events, waited) = rhythm::history(self.seed, at, window);
            let repository = &mut self.repositories[at];
            if repository.state.is_silent() {
                continue;
            }
            repository.next = events;
            let wait_ms = |number| rhythm::wait_ms(self.seed, at, number, repository.per_second);
            let wait = wait_ms(events);
            let mut happened_ms = now_ms - (wait as f64 * waited) as i64;
            if moves {
                self.due.push(Reverse((happened_ms + wait, at)));
            }
            for number in (0..events).rev() {
                if happened_ms < oldest_ms {
                    break;
                }
                history.push((happened_ms, at, number));
                happened_ms -= wait_ms(number);
            }
        }
        history.sort_unstable();
        for (at_ms, at, number) in history {
            self.enter(at, number, at_ms, 0);
        }
    }

    /// Adds the events that are due.
    pub(super) fn tick(&mut self, now: DateTime<Utc>) {
        let now_ms = now.timestamp_millis();
        while let Some(&Reverse((at_ms, at))) = self.due.peek()
            && at_ms <= now_ms
        {
            self.due.pop();
            let repository = &mut self.repositories[at];
            if repository.state.is_silent() {
                continue;
            }
            let number = repository.next;
            repository.next += 1;
            let wait_ms = rhythm::wait_ms(self.seed, at, number + 1, repository.per_second);
            self.due.push(Reverse((at_ms + wait_ms, at)));
            self.enter(at, number, at_ms, 0);
        }
    }

    /// No more events are due.
    pub(super) fn rest(&mut self) {
        self.due.clear();
    }

    /// An event enters the feeds that show it, below so many newer ones.
    fn enter(&mut self, at: usize, number: u32, at_ms: i64, below: usize) {
        let id = &mut self.last_ids[self.scoped.sequence(at, number)];
        // The last bits of the number are as good a chance as any.
        *id += 1 + u64::from(number % 3);
        let event = Event { repository: at as u32, number, id: *id, at_ms };
        for feed in self.feeds_of(at).into_iter().flatten() {
            self.feeds[feed].insert(below, event);
        }
        if self.entered.len() == ENTERED_MAX {
            self.entered.pop_front();
        }
        self.entered.push_back(event);
    }

    /// Lets the next events of a repository enter its feeds below the newest page, as if they had happened ten minutes ago.
    fn enter_late(&mut self, feed: usize, count: u64, now: DateTime<Utc>) {
        let Some(repository) = self.repositories.get_mut(feed) else { return };
        let first = repository.next;
        repository.next += count as u32;
        for number in first..self.repositories[feed].next {
            self.enter(feed, number, (now - LATE).timestamp_millis(), PAGE_MAX);
        }
    }

    /// The feeds that show the repository's events: its own, that of its organisation, and that of all events.
    fn feeds_of(&self, at: usize) -> [Option<usize>; 3] {
        let organisation = self.scoped.organisation_of(at);
        [Some(at), organisation.map(|org| self.repositories.len() + org), Some(self.feeds.len() - 1)]
    }

    /// A page's events as they are sent.
    fn bodies(&mut self, events: Vec<Event>) -> Vec<Bytes> {
        let (scoped, bodies) = (&self.scoped, &mut self.bodies);
        let body = |event: Event| {
            bodies.get((event.repository, event.number), || {
                let created_at = DateTime::from_timestamp_millis(event.at_ms).unwrap_or_default();
                scoped.event(event.repository as usize, event.number, event.id, created_at)
            })
        };
        events.into_iter().map(body).collect()
    }
}

#[cfg(test)]
mod tests;
