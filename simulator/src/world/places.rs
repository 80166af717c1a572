//! Which feed a path leads to, and what GitHub says of a repository that is elsewhere or gone.

use super::super::feed::Filter;
use super::World;

/// What became of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its feed is served.
    #[default]
    Served,
    /// It has another name. Under the one in the list of sources: 301.
    Renamed,
    /// 404.
    Gone,
    /// 451.
    Blocked,
    /// 403 without `Retry-After`, while quota is left.
    Refused,
}

impl State {
    /// All of them, in the order of [`State::name`]'s documentation.
    pub const ALL: [Self; 5] = [Self::Served, Self::Renamed, Self::Gone, Self::Blocked, Self::Refused];

    /// `served`, `renamed`, `gone`, `blocked` or `refused`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Renamed => "renamed",
            Self::Gone => "gone",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
        }
    }

    /// Nothing happens in it any more.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Gone | Self::Blocked)
    }
}

/// Where a path leads.
pub(super) enum Place {
    /// To the feed with this index.
    Feed(usize),
    /// To a renamed repository, which has this index.
    Moved(usize),
    Missing,
    Blocked,
    Refused,
}

impl World {
    /// Where a path leads that asks for the events of `filter`. Feeds of users do not exist in a world.
    pub(super) fn find(&self, filter: &Filter) -> Place {
        match filter {
            Filter::All => Place::Feed(self.feeds.len() - 1),
            Filter::Repository(name) => match self.by_name.get(&name.to_ascii_lowercase()) {
                Some(&at) => self.repository(at, name),
                None => Place::Missing,
            },
            Filter::RepositoryId(id) => {
                let at = self.by_id.get(id);
                at.map_or(Place::Missing, |&at| self.repository(at, self.scoped.repository(at).name))
            }
            Filter::Organisation(login) => {
                let at = self.organisations.get(&login.to_ascii_lowercase());
                at.map_or(Place::Missing, |at| Place::Feed(self.repositories.len() + at))
            }
            Filter::OrganisationId(id) => {
                let at = self.scoped.organisations().position(|org| org.id == *id);
                at.map_or(Place::Missing, |at| Place::Feed(self.repositories.len() + at))
            }
            Filter::User(_) => Place::Missing,
        }
    }

    fn repository(&self, at: usize, asked_name: &str) -> Place {
        let current = self.scoped.repository(at);
        match self.repositories[at].state {
            State::Gone => Place::Missing,
            State::Blocked => Place::Blocked,
            State::Refused => Place::Refused,
            _ if !current.name.eq_ignore_ascii_case(asked_name) => Place::Moved(at),
            State::Served | State::Renamed => Place::Feed(at),
        }
    }

    /// From now on, this holds for the repository with this index. One that was renamed keeps its new name.
    pub(super) fn set_state(&mut self, at: usize, state: State) {
        self.repositories[at].state = state;
        if state == State::Renamed && self.scoped.repository(at).name == self.repositories[at].listed {
            let name = format!("{}-renamed", self.repositories[at].listed);
            self.by_name.insert(name.to_ascii_lowercase(), at);
            self.scoped.rename(at, name);
            self.bodies.clear();
        }
        if state.is_silent() {
            self.feeds[at].close();
        }
    }

    /// From now on, this holds for the repository with this name, current or former. False if there is none.
    pub(in super::super) fn turn(&mut self, name: &str, state: State) -> bool {
        let at = self.by_name.get(&name.to_ascii_lowercase()).copied();
        at.is_some_and(|at| {
            self.set_state(at, state);
            true
        })
    }

    /// The path of a feed by number, as GitHub's links and redirects have it. None for that of all events.
    pub(super) fn path_by_id(&self, feed: usize) -> Option<String> {
        let count = self.repositories.len();
        match feed.checked_sub(count) {
            None => Some(format!("/repositories/{}/events", self.scoped.repository(feed).id)),
            Some(org) => {
                let id = self.scoped.organisations().nth(org)?.id;
                Some(format!("/organizations/{id}/events"))
            }
        }
    }
}
