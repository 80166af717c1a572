//! The answer to a request for a feed of the world.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::Method;
use chrono::{DateTime, Utc};

use super::super::answer::Answer;
use super::super::api::{array, page};
use super::super::asked::Asked;
use super::super::canned;
use super::super::fault::Fault;
use super::super::feed::Filter;
use super::super::misbehave;
use super::super::page::Wanted;
use super::World;
use super::places::Place;

impl World {
    /// The answer to a request for the events of `filter`, and whether the client knows it already.
    pub(in super::super) fn answer(
        &mut self,
        asked: &Asked,
        filter: &Filter,
        wanted: &Wanted,
        faults: &[Fault],
        now: DateTime<Utc>,
    ) -> (Answer, bool) {
        let other = |answer| (answer, false);
        match self.find(filter) {
            Place::Feed(feed) => self.page(feed, asked, wanted, faults, now),
            Place::Moved(at) => other(self.moved(at, asked)),
            Place::Missing => other(canned::missing()),
            Place::Blocked => other(canned::blocked()),
            Place::Refused => other(canned::refused()),
        }
    }

    /// The redirect to a renamed repository. Every second one leaves out the query.
    fn moved(&self, at: usize, asked: &Asked) -> Answer {
        let query = asked.uri.query().filter(|_| at % 2 == 1);
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let path = self.path_by_id(at).unwrap_or_default();
        canned::moved(&format!("{}{path}{query}", asked.origin()))
    }

    fn page(
        &mut self,
        feed: usize,
        asked: &Asked,
        wanted: &Wanted,
        faults: &[Fault],
        now: DateTime<Utc>,
    ) -> (Answer, bool) {
        self.enter_late(feed, misbehave::late(faults), now);
        let start = misbehave::shifted(faults, wanted.start());
        let etag = self.etag(feed, asked, wanted, faults);
        let known = asked.has(&etag);
        let shown = &mut self.feeds[feed];
        let count = shown.len().saturating_sub(start).min(wanted.per_page);
        shown.answers += u64::from(asked.method == Method::GET);
        let path = self.path_by_id(feed);
        let links = wanted.links(
            &asked.origin(),
            path.as_deref().unwrap_or(asked.uri.path()),
            self.feeds[feed].len(),
        );
        if known {
            return (page(true, "".into(), &etag, links), known);
        }
        if asked.method == Method::GET && !misbehave::unreadable(faults) {
            self.feeds[feed].fetched(start, count);
        }
        let mut events = self.bodies(self.feeds[feed].page(start, count).collect());
        misbehave::spoil_events(faults, &mut events);
        (page(false, array(&events), &etag, links), known)
    }

    /// Changes with the feed and the page. It is told without making the page. As at GitHub, it belongs to the token.
    fn etag(&self, feed: usize, asked: &Asked, wanted: &Wanted, faults: &[Fault]) -> String {
        let faults: Vec<_> = faults.iter().map(Fault::name).collect();
        let page = (feed, self.feeds[feed].version, wanted.page, wanted.per_page);
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, self.seed, self.started_at, page, asked.token(), &faults).hash(&mut hasher);
            hasher.finish()
        };
        format!("W/\"{:016x}{:016x}\"", half(0), half(1))
    }
}
