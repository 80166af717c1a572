//! Reads new events from the stream in Redis while a client wants to see events, and notices whether Redis answers.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::Instant;

use super::feed::{EVENTS_MAX, LiveEvents};
use super::shared::Shared;
use crate::retry::Backoff;
use crate::store::{Fault, Store, StreamEntry, StreamPosition};
use crate::token_bucket::TokenBucket;

/// How often to read new events while a client watches.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often to ping Redis while no client watches.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Entries asked for at once.
const READ_MAX: usize = 64;
/// Events shown per second, and in a burst. The live feed has far fewer, a replay has tens of thousands. Each event costs time for
/// each client.
const SHOWN_PER_SECOND: u32 = 2000;
const BURST: u32 = 10_000;
/// How often the events shown are compared with the events added.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// Follows the stream until the program ends.
pub(super) async fn run(shared: Arc<Shared>, store: Store) {
    let allowed = TokenBucket::full(SHOWN_PER_SECOND, BURST);
    let mut follower = Follower { place: None, allowed, compared_at: Instant::now() };
    let mut backoff = Backoff::for_server();
    loop {
        let looked = follower.look(&shared, &store).await;
        report(&shared, &looked);
        match looked {
            Ok(Next::AtOnce) => tokio::task::yield_now().await,
            Ok(Next::After(pause)) => {
                backoff.reset();
                wait(&shared.feed, pause).await;
            }
            Err(_) => wait(&shared.feed, backoff.next_delay()).await,
        }
    }
}

fn report<T>(shared: &Shared, answer: &Result<T, Fault>) {
    match answer {
        Ok(_) => {
            *shared.redis_seen_at.lock() = Some(Utc::now());
            shared.redis.up();
        }
        Err(fault) => shared.redis.away(fault),
    }
}

async fn wait(feed: &LiveEvents, pause: Duration) {
    let _ = tokio::time::timeout(pause, feed.wake.notified()).await;
}

enum Next {
    AtOnce,
    After(Duration),
}

struct Follower {
    /// The position in the stream; nothing while no client wants to see events.
    place: Option<StreamPosition>,
    /// Events that may still be shown.
    allowed: TokenBucket,
    compared_at: Instant,
}

impl Follower {
    async fn look(&mut self, shared: &Shared, store: &Store) -> Result<Next, Fault> {
        if !shared.feed.is_watched() && !shared.is_asked() {
            self.place = None;
            store.ping().await?;
            return Ok(Next::After(PING_EVERY));
        }
        let Some(place) = &mut self.place else {
            self.place = Some(begin(&shared.feed, store).await?);
            return Ok(Next::AtOnce);
        };
        let entries = store.stream_after(&place.last_id, READ_MAX).await?;
        if let Some(last) = entries.last() {
            place.last_id.clone_from(&last.id);
            place.added += entries.len() as u64;
        }
        shared.feed.add(&entries);
        let is_behind = entries.len() == READ_MAX;
        let now = Instant::now();
        self.allowed.take(entries.len(), now);
        if !self.allowed.wait(now).is_zero() {
            self.compare(&shared.feed, store, true).await?;
            return Ok(Next::After(LOOK_EVERY));
        }
        if is_behind {
            return Ok(Next::AtOnce);
        }
        if self.compared_at.elapsed() >= COMPARE_EVERY {
            self.compare(&shared.feed, store, false).await?;
        }
        Ok(Next::After(LOOK_EVERY))
    }

    /// Counts events that left the stream before they were read. With `jump`, all events that were not read yet count as such.
    async fn compare(&mut self, feed: &LiveEvents, store: &Store, jump: bool) -> Result<(), Fault> {
        self.compared_at = Instant::now();
        let Some(place) = &mut self.place else { return Ok(()) };
        let position = store.stream_position().await?;
        let is_at_the_end = position.last_id == place.last_id;
        let is_another_stream = position.added < place.added;
        if jump || is_at_the_end || is_another_stream {
            feed.skip(position.added.saturating_sub(place.added));
            *place = position;
        }
        Ok(())
    }
}

/// Reads the newest events, and returns the position after them.
async fn begin(feed: &LiveEvents, store: &Store) -> Result<StreamPosition, Fault> {
    let position = store.stream_position().await?;
    let mut from = position.last_id.clone();
    let mut newest: Vec<StreamEntry> = Vec::new();
    while newest.len() < EVENTS_MAX {
        let count = READ_MAX.min(EVENTS_MAX - newest.len());
        let older = store.stream_back_from(&from, count).await?;
        let Some(oldest) = older.last() else { break };
        from = format!("({}", oldest.id);
        newest.extend(older);
    }
    newest.reverse();
    // Clients that watched while Redis was away stay subscribed. The events' numbers show how many they missed.
    feed.refill(newest);
    Ok(position)
}
