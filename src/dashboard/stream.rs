//! Live events over server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! A client costs a place in a channel, the event that is being sent, and some pointers. A slow client misses events and gets
//! their number. The web server closes the connection of a client that does not read at all (`http`).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::answer::{Bad, error};
use super::feed::{LiveBatch, LiveEvent, Subscription};
use super::query::{Query, is_stream_id};
use super::{AppState, api};
use crate::event::Filter;
use crate::token_bucket::TokenBucket;

/// The header in which a client sends the id of its last event.
const LAST_EVENT_ID: &str = "last-event-id";
/// How often a comment is sent when no event comes, so that both sides notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a connection lasts. Then the client connects again.
const LIFE_MAX: Duration = Duration::from_secs(3600);
/// How long a client waits before it connects again.
const RETRY: Duration = Duration::from_secs(5);
/// Events per second for one client, and in a burst. A poll has up to 300.
const SHOWN_PER_SECOND: u32 = 1000;
const BURST: u32 = 5000;

pub(super) async fn stream(
    State(app): State<Arc<AppState>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Bad> {
    let filter = Query::parse(&query.unwrap_or_default(), &["type", "repo", "actor"])?.filter()?;
    let after = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    if headers.contains_key(LAST_EVENT_ID) && after.is_some_and(|id| !is_stream_id(id)) {
        return Err(Bad("Last-Event-ID: it must be an id that this stream gave".into()));
    }
    let Ok(place) = Arc::clone(&app.streams).try_acquire_owned() else {
        let full = error(StatusCode::SERVICE_UNAVAILABLE, "too many clients watch already: try again later");
        return Ok(([(header::RETRY_AFTER, "5")], full).into_response());
    };
    let is_warm = api::warm_up(&app).await;
    let mut subscription = app.shared.feed.subscribe(after);
    // While Redis is away, the events in between are not known.
    subscription.has_missed |= after.is_some() && !is_warm;
    let client = Client::new(subscription, filter, place);
    let events = futures_util::stream::unfold(client, |mut client| async {
        let event = client.next().await?;
        Some((Ok::<_, Infallible>(event), client))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Otherwise a proxy such as nginx buffers the events.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(heartbeat)).into_response())
}

/// One client's side of the stream.
struct Client {
    live: tokio::sync::broadcast::Receiver<LiveBatch>,
    filter: Filter,
    /// To be written.
    waiting: VecDeque<Arc<LiveEvent>>,
    /// Sent first.
    greeting: std::vec::IntoIter<Event>,
    /// Events that were not sent. The client gets their number.
    missed: u64,
    /// The number of the event that comes next, if none is missed.
    next: u64,
    /// Events that may be written.
    allowed: TokenBucket,
    ends_at: Instant,
    _place: OwnedSemaphorePermit,
    _count: Counted,
}

impl Client {
    fn new(subscription: Subscription, filter: Filter, place: OwnedSemaphorePermit) -> Self {
        let Subscription { kept, next, has_missed, live } = subscription;
        let mut greeting = vec![Event::default().retry(RETRY)];
        if has_missed {
            greeting.push(missed("null"));
        }
        Self {
            live,
            waiting: kept.into_iter().filter(|event| filter.takes(&event.headline)).collect(),
            filter,
            greeting: greeting.into_iter(),
            missed: 0,
            next,
            allowed: TokenBucket::full(SHOWN_PER_SECOND, BURST),
            ends_at: Instant::now() + LIFE_MAX,
            _place: place,
            _count: Counted::new(),
        }
    }

    /// The event to send next. None if the connection is to end.
    async fn next(&mut self) -> Option<Event> {
        if let Some(greeting) = self.greeting.next() {
            return Some(greeting);
        }
        while self.waiting.is_empty() && self.missed == 0 {
            let received = tokio::select! {
                received = self.live.recv() => received,
                () = sleep_until(self.ends_at) => return None,
            };
            match received {
                Ok(batch) => self.take(batch),
                // The number of the next batch shows how many events were missed.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
        if self.missed > 0 {
            return Some(missed(&std::mem::take(&mut self.missed).to_string()));
        }
        let event = self.waiting.pop_front()?;
        // A Redis stream's id is two numbers and a dash: the line breaks at which this would panic are not in it.
        Some(Event::default().id(&event.id).event("github-event").data(&event.json))
    }

    fn take(&mut self, batch: LiveBatch) {
        let first = batch.events.first().map_or(batch.next, |event| event.number);
        self.missed += first.saturating_sub(self.next);
        self.next = batch.next;
        let now = Instant::now();
        for event in batch.events.iter().filter(|event| self.filter.takes(&event.headline)) {
            if self.allowed.wait(now).is_zero() {
                self.allowed.take(1, now);
                self.waiting.push_back(Arc::clone(event));
            } else {
                self.missed += 1;
            }
        }
    }
}

fn missed(count: &str) -> Event {
    Event::default().event("missed").data(format!("{{\"missed\":{count}}}"))
}

/// Counts the clients for as long as they live.
struct Counted(metrics::Gauge);

impl Counted {
    fn new() -> Self {
        let gauge = metrics::gauge!("github_etl_dashboard_stream_clients");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
