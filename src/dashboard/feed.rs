//! The newest thousand events, and a channel of new events to every client that watches. One follower fills both.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use crate::event::{Filter, Headline, Hour, Rebuilt};
use crate::store::StreamEntry;

/// Events kept for clients that connect later, and their bytes.
pub(super) const EVENTS_MAX: usize = 1000;
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// A larger event is shown without its payload.
const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Batches that may wait for a slow client. Beyond that, the oldest are dropped, and the client gets the number of missed events.
const BATCHES_MAX: usize = 32;

/// An event to show.
pub(super) struct LiveEvent {
    /// Its number since the dashboard began to follow. Events that no client was shown have numbers too.
    pub(super) number: u64,
    /// Its id in the stream.
    pub(super) id: String,
    pub(super) headline: Headline,
    /// Its JSON in a line.
    pub(super) json: String,
}

/// Events that came together.
#[derive(Clone)]
pub(super) struct LiveBatch {
    pub(super) events: Arc<[Arc<LiveEvent>]>,
    /// The number that comes after it.
    pub(super) next: u64,
}

/// The events for one client: first those that are kept, then new ones.
pub(super) struct Subscription {
    pub(super) kept: Vec<Arc<LiveEvent>>,
    /// The number that comes first in `live`.
    pub(super) next: u64,
    /// There were events between the client's last one and `kept`. Their number is not known.
    pub(super) has_missed: bool,
    pub(super) live: broadcast::Receiver<LiveBatch>,
}

/// The newest events, and the channel of new ones.
pub(super) struct LiveEvents {
    // Held for memory operations only, never across an await. Batches are sent under it, so that no subscription misses one.
    ring: Mutex<Ring>,
    live: broadcast::Sender<LiveBatch>,
    /// Notified when a client wants to see events.
    pub(super) wake: Notify,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<Arc<LiveEvent>>,
    bytes: usize,
    next: u64,
    as_of: Option<DateTime<Utc>>,
}

impl LiveEvents {
    pub(super) fn new() -> Self {
        Self { ring: Mutex::default(), live: broadcast::Sender::new(BATCHES_MAX), wake: Notify::new() }
    }

    /// Replaces the kept events by `entries`, oldest first, and sends nothing to clients.
    pub(super) fn refill(&self, entries: Vec<StreamEntry>) {
        let mut ring = self.ring.lock();
        ring.events.clear();
        ring.bytes = 0;
        // No client waits for these, so they take no numbers.
        let next = ring.next;
        entries.iter().for_each(|entry| drop(ring.push(entry)));
        ring.next = next;
        ring.as_of = Some(Utc::now());
    }

    /// Adds new events, and sends them to clients.
    pub(super) fn add(&self, entries: &[StreamEntry]) {
        let mut ring = self.ring.lock();
        let events = entries.iter().map(|entry| ring.push(entry)).collect();
        ring.as_of = Some(Utc::now());
        if !entries.is_empty() {
            // Fails only when no client watches.
            let _ = self.live.send(LiveBatch { events, next: ring.next });
        }
    }

    /// Counts events that no client was shown.
    pub(super) fn skip(&self, count: u64) {
        let mut ring = self.ring.lock();
        ring.next += count;
        if count > 0 {
            let _ = self.live.send(LiveBatch { events: Arc::default(), next: ring.next });
        }
    }

    /// True while a client watches.
    pub(super) fn is_watched(&self) -> bool {
        self.live.receiver_count() > 0
    }

    /// When the kept events were read.
    pub(super) fn as_of(&self) -> Option<DateTime<Utc>> {
        self.ring.lock().as_of
    }

    /// The newest events that `filter` takes, newest first.
    pub(super) fn newest(&self, filter: &Filter, limit: usize) -> Vec<Arc<LiveEvent>> {
        let ring = self.ring.lock();
        ring.events.iter().rev().filter(|event| filter.takes(&event.headline)).take(limit).cloned().collect()
    }

    /// The hour that the newest event is counted in.
    pub(super) fn newest_hour(&self) -> Option<Hour> {
        self.ring.lock().events.back()?.headline.hour()
    }

    /// Subscribes to new events; the kept events after the event `after` come first.
    pub(super) fn subscribe(&self, after: Option<&str>) -> Subscription {
        let ring = self.ring.lock();
        let (kept, has_missed) = match after.map(stream_order) {
            None => (Vec::new(), false),
            Some(after) => {
                let first = ring.events.front().map(|event| stream_order(&event.id));
                let is_after = |event: &&Arc<LiveEvent>| stream_order(&event.id) > after;
                let kept = ring.events.iter().filter(is_after).cloned().collect();
                // If nothing is kept, nothing is known to be missed.
                (kept, first.is_some_and(|first| first > after))
            }
        };
        Subscription { kept, next: ring.next, has_missed, live: self.live.subscribe() }
    }
}

impl Ring {
    fn push(&mut self, entry: &StreamEntry) -> Arc<LiveEvent> {
        let headline = Headline::from_fields(|name| entry.fields.get(name).map(String::as_str));
        // Text into memory: this cannot fail.
        let json = serde_json::to_string(&Rebuilt::new(&entry.fields, EVENT_BYTES_MAX)).unwrap_or_default();
        let event = Arc::new(LiveEvent { number: self.next, id: entry.id.clone(), headline, json });
        self.next += 1;
        self.bytes += event.json.len();
        self.events.push_back(Arc::clone(&event));
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.json.len();
        }
        event
    }
}

/// The order of a stream's ids: `9-0` comes before `10-0`.
fn stream_order(id: &str) -> (u64, u64) {
    let (ms, number) = id.split_once('-').unwrap_or((id, "0"));
    (ms.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ids: std::ops::Range<u64>) -> Vec<StreamEntry> {
        let entry = |n: u64| StreamEntry {
            id: format!("{n}-0"),
            fields: [
                ("type", "PushEvent".to_owned()),
                ("created_at", "2026-01-02T03:00:00Z".to_owned()),
                ("id", n.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        };
        ids.map(entry).collect()
    }

    fn ids(events: &[Arc<LiveEvent>]) -> Vec<&str> {
        events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn a_client_gets_what_is_kept_behind_its_last_and_then_what_comes() {
        let feed = LiveEvents::new();
        feed.refill(entries(8..12));
        let mut subscription = feed.subscribe(Some("9-0"));
        assert_eq!((ids(&subscription.kept), subscription.has_missed), (vec!["10-0", "11-0"], false));
        feed.add(&entries(12..14));
        let batch = subscription.live.try_recv().unwrap();
        assert_eq!((ids(&batch.events), batch.events[0].number), (vec!["12-0", "13-0"], subscription.next));
        assert!(feed.subscribe(None).kept.is_empty());
        assert_eq!(feed.newest_hour().map(|hour| hour.to_string()).as_deref(), Some("2026-01-02-03"));
    }

    #[test]
    fn a_client_whose_last_is_gone_has_missed_something() {
        let feed = LiveEvents::new();
        assert!(!feed.subscribe(Some("5-0")).has_missed);
        feed.refill(entries(8..12));
        assert!(feed.subscribe(Some("5-0")).has_missed);
        assert!(!feed.subscribe(Some("8-0")).has_missed);
        assert!(!feed.subscribe(Some("50-0")).has_missed);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_nobody_saw_has_a_number() {
        let feed = LiveEvents::new();
        let mut watcher = feed.subscribe(None);
        feed.add(&entries(1..3000));
        feed.skip(7);
        feed.add(&entries(3000..3001));
        assert_eq!(feed.newest(&Filter::default(), 5000).len(), EVENTS_MAX);
        assert_eq!(ids(&feed.newest(&Filter::default(), 2)), ["3000-0", "2999-0"]);
        let first = watcher.live.try_recv().unwrap();
        assert_eq!(first.next, 2999);
        assert_eq!(watcher.live.try_recv().unwrap().next, 3006);
        assert_eq!(watcher.live.try_recv().unwrap().events[0].number, 3006);
    }
}
