//! Live events over server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! A client costs a place in a channel, the event that is being sent, and some pointers. A slow client misses events and is told how
//! many. The web server closes the connection of a client that does not read at all (`http`).

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
use super::feed::{Batch, Live, Subscription};
use super::query::{Query, is_stream_id};
use super::{Visit, api};
use crate::event::Filter;

/// Where a client says what it got last.
const LAST_EVENT_ID: &str = "last-event-id";
/// So often something is sent, so that both sides notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Then the client is to connect anew: nobody stays for ever.
const LIFE_MAX: Duration = Duration::from_secs(3600);
/// A client that loses the connection waits so long before it connects again.
const RETRY: Duration = Duration::from_secs(5);
/// Events a second for one client, and of a burst: one poll brings up to 300.
const SHOWN_PER_SECOND: f64 = 1000.0;
const BURST: f64 = 5000.0;

pub(super) async fn stream(
    State(visit): State<Arc<Visit>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Bad> {
    let filter = Query::parse(&query.unwrap_or_default(), &["type", "repo", "actor"])?.filter()?;
    let after = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    if headers.contains_key(LAST_EVENT_ID) && after.is_some_and(|id| !is_stream_id(id)) {
        return Err(Bad("Last-Event-ID: it must be an id that this stream gave".into()));
    }
    let Ok(place) = Arc::clone(&visit.streams).try_acquire_owned() else {
        let full = error(StatusCode::SERVICE_UNAVAILABLE, "too many clients watch already: try again later");
        return Ok(([(header::RETRY_AFTER, "5")], full).into_response());
    };
    let is_warm = api::warm_up(&visit).await;
    let mut subscription = visit.shared.feed.subscribe(after);
    // What came meanwhile cannot be told while Redis is away.
    subscription.has_missed |= after.is_some() && !is_warm;
    let client = Client::new(subscription, filter, place);
    let events = futures_util::stream::unfold(client, |mut client| async {
        let event = client.next().await?;
        Some((Ok::<_, Infallible>(event), client))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        // Proxies such as nginx would collect what is meant to be seen at once.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(heartbeat)).into_response())
}

/// One client's side of the stream.
struct Client {
    live: tokio::sync::broadcast::Receiver<Batch>,
    filter: Filter,
    /// To be written.
    waiting: VecDeque<Arc<Live>>,
    /// Sent first.
    greeting: std::vec::IntoIter<Event>,
    /// Events not written, to be told.
    missed: u64,
    /// The number of the event that comes next, if none is missed.
    next: u64,
    /// Events that may be written now.
    allowed: f64,
    allowed_at: Instant,
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
        let now = Instant::now();
        Self {
            live,
            waiting: kept.into_iter().filter(|event| filter.takes(&event.headline)).collect(),
            filter,
            greeting: greeting.into_iter(),
            missed: 0,
            next,
            allowed: BURST,
            allowed_at: now,
            ends_at: now + LIFE_MAX,
            _place: place,
            _count: Counted::new(),
        }
    }

    /// What to send next; nothing when it is time to end.
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
                // How many events that were, the next batch's number tells.
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

    fn take(&mut self, batch: Batch) {
        let first = batch.events.first().map_or(batch.next, |event| event.number);
        self.missed += first.saturating_sub(self.next);
        self.next = batch.next;
        let now = Instant::now();
        let more = now.duration_since(self.allowed_at).as_secs_f64() * SHOWN_PER_SECOND;
        self.allowed = (self.allowed + more).min(BURST);
        self.allowed_at = now;
        for event in batch.events.iter().filter(|event| self.filter.takes(&event.headline)) {
            if self.allowed < 1.0 {
                self.missed += 1;
            } else {
                self.allowed -= 1.0;
                self.waiting.push_back(Arc::clone(event));
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
