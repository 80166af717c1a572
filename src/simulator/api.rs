//! GitHub's Events API: what to answer to a request (<https://docs.github.com/en/rest/activity/events>). No I/O.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::answer::Answer;
use super::fault::{Fault, Schedule};
use super::feed::{Feed, Filter};
use super::misbehave;
use super::page::Wanted;
use super::quota::{Quota, Quotas};
use super::served::Served;

/// All that a request may change.
pub(super) struct Api {
    pub feed: Feed,
    pub quotas: Quotas,
    pub schedule: Schedule,
    pub served: Served,
    pub poll_interval_s: u64,
}

/// A request without its body, which nothing here has.
pub(super) struct Asked {
    pub method: Method,
    /// Path and query only.
    pub uri: Uri,
    pub host: String,
    pub headers: HeaderMap,
}

impl Asked {
    pub(super) fn new(parts: Parts) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let path = parts.uri.path_and_query().cloned();
        Self {
            method: parts.method,
            host: host.unwrap_or("localhost").to_owned(),
            uri: path.map(Uri::from).unwrap_or_default(),
            headers: parts.headers,
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    pub(super) fn authorised(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    /// Whether the client has the answer with this ETag already; compared weakly, as for GET (RFC 9110, 13.1.2).
    fn has(&self, etag: &str) -> bool {
        let known = self.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let bare = etag.trim_start_matches("W/");
        known.is_some_and(|known| {
            known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == bare)
        })
    }
}

enum Route {
    Feed(Filter),
    RateLimit,
    Unknown,
}

fn route(asked: &Asked) -> Route {
    let parts: Vec<&str> = asked.uri.path().trim_start_matches('/').split('/').collect();
    match parts[..] {
        _ if !matches!(asked.method, Method::GET | Method::HEAD) => Route::Unknown,
        ["events"] => Route::Feed(Filter::All),
        ["repos" | "networks", owner, name, "events"] => {
            Route::Feed(Filter::Repository(format!("{owner}/{name}")))
        }
        ["orgs", org, "events"] => Route::Feed(Filter::Organisation(org.to_owned())),
        ["users", user, "events"] => Route::Feed(Filter::User(decoded(user))),
        ["rate_limit"] => Route::RateLimit,
        _ => Route::Unknown,
    }
}

/// The brackets of bots' logins come encoded from some clients; no other character of a login needs it.
fn decoded(login: &str) -> String {
    login.replace("%5B", "[").replace("%5D", "]").replace("%5b", "[").replace("%5d", "]")
}

impl Api {
    /// The answer to a request that came at `now`.
    pub(super) fn answer(&mut self, asked: &Asked, now: DateTime<Utc>) -> Answer {
        self.feed.tick(now);
        if asked.uri.path() == "/simulator/stats" {
            return self.stats();
        }
        let mut answer = self.decide(asked, now);
        self.finish(&mut answer, asked, now);
        self.served.note(asked, &answer, now);
        answer
    }

    fn decide(&mut self, asked: &Asked, now: DateTime<Utc>) -> Answer {
        if asked.headers.get(header::USER_AGENT).is_none_or(|agent| agent.is_empty()) {
            return nameless();
        }
        match route(asked) {
            Route::Feed(filter) => self.feed(asked, &filter, now),
            Route::RateLimit => rate_limit(self.quotas.of(asked.authorised(), now)),
            Route::Unknown => {
                Answer::message(StatusCode::NOT_FOUND, "Not Found", "https://docs.github.com/rest")
            }
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
        let faults = self.schedule.strike(wanted.page as u64);
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
        if !self.quotas.of(asked.authorised(), now).spend() {
            return limited(asked.authorised());
        }
        if wanted.start() >= self.feed.window() {
            return too_deep();
        }
        if *filter == Filter::All && wanted.page == 1 {
            self.feed.poll(now);
        }
        let start = misbehave::shifted(faults, wanted.start());
        let mut events = self.feed.page(filter, start, wanted.per_page);
        let count = events.len();
        misbehave::spoil_events(faults, &mut events);
        let body = array(&events);
        let etag = etag(&body);
        let known = asked.has(&etag);
        if known && asked.authorised() {
            self.quotas.of(true, now).refund();
        }
        if *filter == Filter::All && asked.method == Method::GET {
            match known {
                true if wanted.page == 1 => self.feed.up_to_date(),
                false if !misbehave::unreadable(faults) => self.feed.fetched(start, count),
                _ => {}
            }
        }
        let links = wanted.links(&asked.origin(), asked.uri.path(), self.feed.count(filter));
        page(known, body, &etag, links)
    }

    /// The headers that come with every answer, where a fault has not set them.
    fn finish(&mut self, answer: &mut Answer, asked: &Asked, now: DateTime<Utc>) {
        let quota = self.quotas.of(asked.authorised(), now);
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
        Served { events: self.feed.tally, ..self.served.clone() }
    }

    fn stats(&self) -> Answer {
        // Counters and strings have nothing that fails to serialise.
        Answer::json(StatusCode::OK, serde_json::to_string(&self.served()).unwrap_or_default())
    }
}

fn page(known: bool, body: Bytes, etag: &str, links: Option<String>) -> Answer {
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
fn array(events: &[Bytes]) -> Bytes {
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

fn nameless() -> Answer {
    let text = "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header \
        (https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent). Check \
        https://developer.github.com for other possible causes.\r\n";
    Answer::new(StatusCode::FORBIDDEN, "text/html; charset=utf-8", text)
}

fn limited(authorised: bool) -> Answer {
    let message = if authorised {
        "API rate limit exceeded for user ID 1."
    } else {
        "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a higher rate \
         limit. Check out the documentation for more details.)"
    };
    let url = "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting";
    Answer::message(StatusCode::FORBIDDEN, message, url)
}

fn too_deep() -> Answer {
    let message = "In order to keep the API fast for everyone, pagination is limited for this resource.";
    Answer::message(StatusCode::UNPROCESSABLE_ENTITY, message, "https://docs.github.com/v3/#pagination")
}

fn rate_limit(quota: &Quota) -> Answer {
    let core = json!({
        "limit": quota.limit, "used": quota.used, "remaining": quota.remaining(), "reset": quota.resets_at.timestamp(),
    });
    Answer::json(StatusCode::OK, json!({ "resources": { "core": core }, "rate": core }).to_string())
}

#[cfg(test)]
mod tests;
