//! What happened in the world, for the assertions of tests.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::Tally;
use super::World;
use super::places::State;
use super::window::Window;

/// An event that entered the feed of its repository (and of its organisation).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entered {
    /// The repository as the list of sources has it: `owner/name`, the former name if it was renamed.
    pub repository: String,
    /// As the event's `id` has it.
    pub id: String,
    /// As the event's `created_at` has it: to the second.
    pub created_at: DateTime<Utc>,
}

/// A feed of the world, and what became of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSeen {
    /// `repos/OWNER/NAME` or `orgs/LOGIN`, as the fetcher's `--source` takes it.
    pub source: String,
    /// Organisations are always served.
    pub state: State,
    /// Answers 200 and 304.
    pub answers: u64,
    /// The events of this feed. The history at the start has entered, too, except what left the window before the first answer.
    pub events: Tally,
}

/// Feeds of one sort, in sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many feeds.
    pub feeds: u64,
    /// How many of them had an answer 200 or 304.
    pub asked: u64,
    /// Answers 200 and 304.
    pub answers: u64,
    /// What became of their events, each counted in every feed that shows it.
    #[serde(flatten)]
    pub events: Tally,
}

impl Sum {
    fn add(&mut self, feed: &Window) {
        self.feeds += 1;
        self.asked += u64::from(feed.answers > 0);
        self.answers += feed.answers;
        self.events.entered += feed.tally.entered;
        self.events.fetched += feed.tally.fetched;
        self.events.missed += feed.tally.missed;
    }
}

impl World {
    /// The feeds of repositories by their state, of organisations, and of all events.
    pub(in super::super) fn sums(&self) -> BTreeMap<&'static str, Sum> {
        let mut sums: BTreeMap<&'static str, Sum> =
            State::ALL.iter().map(|state| (state.name(), Sum::default())).collect();
        let last = self.feeds.len() - 1;
        for (at, feed) in self.feeds.iter().enumerate() {
            let sort = match self.repositories.get(at) {
                Some(repository) => repository.state.name(),
                None if at == last => "events",
                None => "organisations",
            };
            sums.entry(sort).or_default().add(feed);
        }
        sums
    }

    /// What became of the events of all repositories' own feeds.
    pub(in super::super) fn tally(&self) -> Tally {
        let mut sum = Sum::default();
        self.feeds[..self.repositories.len()].iter().for_each(|feed| sum.add(feed));
        sum.events
    }

    /// Every repository, then every organisation.
    pub(in super::super) fn sources(&self) -> Vec<SourceSeen> {
        let seen = |source: String, state, feed: &Window| SourceSeen {
            source,
            state,
            answers: feed.answers,
            events: feed.tally,
        };
        let (own, others) = self.feeds.split_at(self.repositories.len());
        let repositories = self.repositories.iter().zip(own);
        let organisations = self.scoped.organisations().zip(others);
        repositories
            .map(|(one, feed)| seen(format!("repos/{}", one.listed), one.state, feed))
            .chain(organisations.map(|(org, feed)| seen(format!("orgs/{}", org.name), State::Served, feed)))
            .collect()
    }

    /// The sources whose name starts with `kind/`, one a line: a file for the fetcher's `--sources-file`.
    pub(in super::super) fn list(&self, kind: &str) -> String {
        let lines = self.sources().into_iter().map(|seen| seen.source + "\n");
        lines.filter(|line| line.split('/').next() == Some(kind)).collect()
    }

    /// All events that entered, oldest first, from the history on; of more than four million the newest.
    pub(in super::super) fn entered(&self) -> Vec<Entered> {
        let entered = |event: &super::Event| Entered {
            repository: self.repositories[event.repository as usize].listed.clone(),
            id: event.id.to_string(),
            created_at: DateTime::from_timestamp(event.at_ms.div_euclid(1000), 0).unwrap_or_default(),
        };
        self.entered.iter().map(entered).collect()
    }
}
