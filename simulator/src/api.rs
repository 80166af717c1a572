//! GitHub's Events API: the answer to each request (<https://docs.github.com/en/rest/activity/events>). No I/O.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use chrono::{DateTime, Utc};

use super::answer::Answer;
use super::asked::{Asked, Route};
use super::canned;
use super::fault::{Fault, Schedule};
use super::feed::{Feed, Filter};
use super::misbehave;
use super::page::Wanted;
use super::quota::Quotas;
use super::served::Served;
use super::world::World;

/// All that a request may change.
pub(super) struct Api {
    /// The one feed, empty if there is a world.
    pub feed: Feed,
    pub world: Option<World>,
    pub quotas: Quotas,
    pub schedule: Schedule,
    pub served: Served,
    pub poll_interval_s: u64,
}

impl Api {
    /// The answer to a request that came at `now`.
    pub(super) fn answer(&mut self, asked: &Asked, now: DateTime<Utc>) -> Answer {
        self.tick(now);
        match asked.uri.path() {
            "/simulator/stats" => return self.stats(),
            "/simulator/sources" => return self.sources(asked),
            _ => {}
        }
        let mut answer = self.decide(asked, now);
        self.finish(&mut answer, asked, now);
        let token = asked.token().map(|token| self.quotas.number_of(token));
        self.served.note(asked, &answer, token, now);
        answer
    }

    /// Lets the events enter that are due by the clock.
    pub(super) fn tick(&mut self, now: DateTime<Utc>) {
        self.feed.tick(now);
        if let Some(world) = &mut self.world {
            world.tick(now);
        }
    }

    fn decide(&mut self, asked: &Asked, now: DateTime<Utc>) -> Answer {
        if asked.headers.get(header::USER_AGENT).is_none_or(|agent| agent.is_empty()) {
            return canned::nameless();
        }
        match asked.route() {
            Route::Feed(filter) if self.world.is_some() || !filter.is_by_id() => {
                self.feed(asked, &filter, now)
            }
            Route::RateLimit => canned::rate_limit(self.quotas.of(asked.token(), now)),
            Route::Feed(_) | Route::Unknown => canned::missing(),
        }
    }

    fn feed(&mut self, asked: &Asked, filter: &Filter, now: DateTime<Utc>) -> Answer {
        let wanted = Wanted::of(&asked.uri);
        let faults = self.strike(asked, &wanted);
        let mut answer = match faults.iter().find_map(|fault| misbehave::instead(fault, asked, now)) {
            Some(answer) => answer,
            None => {
                let mut answer = self.right_answer(asked, filter, &wanted, &faults, now);
                misbehave::spoil_answer(&faults, asked, now, &mut answer);
                answer
            }
        };
        if matches!(answer.status, StatusCode::OK | StatusCode::NOT_MODIFIED) {
            answer.set_absent("x-poll-interval", self.poll_interval_s);
        }
        answer
    }

    fn strike(&mut self, asked: &Asked, wanted: &Wanted) -> Vec<Fault> {
        if asked.uri.query().is_some_and(|query| query.ends_with(misbehave::REDIRECTED)) {
            return Vec::new();
        }
        let faults = self.schedule.strike(asked.uri.path(), wanted.page as u64, asked.token());
        faults.iter().for_each(|fault| self.served.note_fault(fault));
        faults
    }

    fn right_answer(
        &mut self,
        asked: &Asked,
        filter: &Filter,
        wanted: &Wanted,
        faults: &[Fault],
        now: DateTime<Utc>,
    ) -> Answer {
        if !self.quotas.of(asked.token(), now).spend() {
            return canned::limited(asked.authorised());
        }
        if wanted.start() >= self.feed.window() {
            return canned::too_deep();
        }
        let (answer, known) = match &mut self.world {
            Some(world) => world.answer(asked, filter, wanted, faults, now),
            None => self.of_the_one_feed(asked, filter, wanted, faults, now),
        };
        if known && asked.authorised() {
            self.quotas.of(asked.token(), now).refund();
        }
        answer
    }

    /// The answer, and whether the client knows it already.
    fn of_the_one_feed(
        &mut self,
        asked: &Asked,
        filter: &Filter,
        wanted: &Wanted,
        faults: &[Fault],
        now: DateTime<Utc>,
    ) -> (Answer, bool) {
        if *filter == Filter::All && wanted.page == 1 {
            self.feed.poll(now);
        }
        self.feed.enter_late(misbehave::late(faults), now);
        let start = misbehave::shifted(faults, wanted.start());
        let mut events = self.feed.page(filter, start, wanted.per_page);
        let count = events.len();
        misbehave::spoil_events(faults, &mut events);
        let body = array(&events);
        let etag = etag(&body);
        let known = asked.has(&etag);
        if *filter == Filter::All && asked.method == Method::GET {
            match known {
                true if wanted.page == 1 => self.feed.up_to_date(),
                false if !misbehave::unreadable(faults) => self.feed.fetched(start, count),
                _ => {}
            }
        }
        let links = wanted.links(&asked.origin(), asked.uri.path(), self.feed.count(filter));
        (page(known, body, &etag, links), known)
    }

    /// The headers that come with every answer, where a fault has not set them.
    fn finish(&mut self, answer: &mut Answer, asked: &Asked, now: DateTime<Utc>) {
        // A token that is refused is nobody's.
        let token = asked.token().filter(|_| answer.status != StatusCode::UNAUTHORIZED);
        let quota = self.quotas.of(token, now);
        let serial = self.served.requests + 1;
        answer.set_absent("date", misbehave::http_date(now));
        answer.set_absent("server", "github.com (simulated)");
        answer.set_absent("cache-control", "public, max-age=60, s-maxage=60");
        answer.set_absent("vary", "Accept,Accept-Encoding, Accept, X-Requested-With");
        answer.set_absent("x-github-media-type", "github.v3; format=json");
        answer.set_absent("x-github-request-id", format!("51A0:{serial:X}:{:X}", now.timestamp()));
        answer.set_absent("x-ratelimit-limit", quota.limit);
        answer.set_absent("x-ratelimit-remaining", quota.remaining());
        answer.set_absent("x-ratelimit-reset", quota.resets_at.timestamp());
        answer.set_absent("x-ratelimit-used", quota.used);
        answer.set_absent("x-ratelimit-resource", "core");
    }

    /// What happened so far, with the feed's part.
    pub(super) fn served(&self) -> Served {
        let (events, world) = match &self.world {
            Some(world) => (world.tally(), world.sums()),
            None => (self.feed.tally, BTreeMap::new()),
        };
        Served { events, world, ..self.served.clone() }
    }

    /// A file for the fetcher's `--sources-file`: all repositories, or with `?kind=orgs` all organisations.
    fn sources(&self, asked: &Asked) -> Answer {
        let kind = asked.uri.query().and_then(|query| query.strip_prefix("kind=")).unwrap_or("repos");
        let list = self.world.as_ref().map_or_else(|| "events\n".to_owned(), |world| world.list(kind));
        Answer::new(StatusCode::OK, "text/plain; charset=utf-8", list)
    }

    fn stats(&self) -> Answer {
        // Counters and strings have nothing that fails to serialise.
        Answer::json(StatusCode::OK, serde_json::to_string(&self.served()).unwrap_or_default())
    }
}

pub(super) fn page(known: bool, body: Bytes, etag: &str, links: Option<String>) -> Answer {
    let mut answer = match known {
        true => Answer::json(StatusCode::NOT_MODIFIED, ""),
        false => Answer::json(StatusCode::OK, body),
    };
    answer.set("etag", etag);
    if let Some(links) = links {
        answer.set("link", links);
    }
    answer
}

/// The events as a JSON array, each byte for byte.
pub(super) fn array(events: &[Bytes]) -> Bytes {
    let mut body = Vec::with_capacity(2 + events.iter().map(|raw| raw.len() + 1).sum::<usize>());
    body.push(b'[');
    for (index, raw) in events.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(raw);
    }
    body.push(b']');
    body.into()
}

fn etag(body: &[u8]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, body).hash(&mut hasher);
        hasher.finish()
    };
    format!("W/\"{:016x}{:016x}\"", half(0), half(1))
}

#[cfg(test)]
mod tests;
