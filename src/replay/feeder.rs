//! Publishes old events: to the exchange or one load queue, at a limited rate, and only while the load queue is short enough.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::tally::Tally;
use crate::broker::{Broker, Depth, DepthSession, EventName, Outgoing, Part, PublishError, Publisher, Route};
use crate::config::PaceArgs;
use crate::gharchive::RawEvent;
use crate::health::Health;
use crate::retry::{self, Interrupted};
use crate::telemetry::traces::{self, Span};
use crate::token_bucket::TokenBucket;

/// The destination of replayed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To the exchange, and so to every load queue.
    Everywhere,
    /// To the load queue of the broker's names alone.
    LoadQueue,
}

/// The objects in RabbitMQ that replayed events need, for either target.
const PARTS: &[Part] = &[Part::Exchange, Part::LoadQueue, Part::Replay];
/// A dry run declares nothing: a mistyped name would create a queue.
const DRY_RUN_PARTS: &[Part] = &[];

/// A message that RabbitMQ refuses.
pub(super) struct Refused {
    /// Its place among the messages that were given.
    pub(super) place: usize,
    pub(super) reason: String,
}

impl Target {
    /// The route of an event of type `kind`.
    pub(super) fn route(self, kind: String) -> Route {
        match self {
            Self::Everywhere => Route::Event { kind },
            Self::LoadQueue => Route::LoadQueue { routing_key: kind },
        }
    }
}

/// Publishes with confirms at a bounded rate while the load queue is not too long.
pub(super) struct Feeder {
    publisher: Publisher,
    /// Where the user wants copies in the archive.
    archive: Option<Publisher>,
    target: Target,
    pace: Pace,
    gate: Gate,
    is_dry_run: bool,
    shutdown: CancellationToken,
}

impl Feeder {
    pub(super) fn new(
        broker: &Broker,
        target: Target,
        pace: &PaceArgs,
        is_dry_run: bool,
        health: &Health,
        shutdown: CancellationToken,
    ) -> Self {
        let parts = if is_dry_run { DRY_RUN_PARTS } else { PARTS };
        Self {
            publisher: broker.publisher(parts, health, true),
            archive: None,
            target,
            pace: Pace::new(pace.rate.map(u32::from)),
            gate: Gate { broker: broker.clone(), ready_max: pace.max_queue, session: None, looked_at: None },
            is_dry_run,
            shutdown,
        }
    }

    /// Adds copies: everything that is published goes to the archive as well, if that is `wanted`.
    pub(super) fn with_copies(mut self, wanted: bool, health: &Health) -> Self {
        self.archive = wanted.then(|| self.gate.broker.archive_publisher(health));
        self
    }

    /// Connects, however long RabbitMQ takes to be there.
    pub(super) async fn open(&mut self) -> Result<(), PublishError> {
        self.publisher.open(&self.shutdown).await?;
        match &mut self.archive {
            Some(archive) => archive.open(&self.shutdown).await,
            None => Ok(()),
        }
    }

    /// The most messages that are published together at this pace.
    pub(super) fn at_once_of(pace: &PaceArgs) -> usize {
        Pace::at_once_of(pace.rate.map(u32::from))
    }

    /// The message of an event from GH Archive.
    pub(super) fn message(&self, event: RawEvent) -> Outgoing {
        let RawEvent { id, kind, created, body } = event;
        let name = EventName { id, kind, created };
        Outgoing::event(&self.gate.broker, |kind| self.target.route(kind), Some(name), body)
    }

    /// Publishes `messages`, except in a dry run, and counts them in `tally`. Returns those that RabbitMQ refuses as too large; they
    /// count as rejected.
    pub(super) async fn publish_and_count(
        &mut self,
        messages: &[Outgoing],
        tally: &mut Tally,
    ) -> Result<Vec<Refused>, PublishError> {
        let refused = if self.is_dry_run { Vec::new() } else { self.publish(messages).await? };
        tally.rejected += refused.len() as u64;
        let is_refused = |place: usize| refused.iter().any(|one| one.place == place);
        for (_, message) in messages.iter().enumerate().filter(|(place, _)| !is_refused(*place)) {
            tally.event(kind_of(message), message.body.len());
        }
        Ok(refused)
    }

    /// Publishes `messages`. When this returns, each message and its copy in the archive are confirmed, except those that RabbitMQ
    /// refuses as too large, which it returns.
    pub(super) async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Refused>, PublishError> {
        let mut refused = Vec::new();
        let mut before = 0;
        for some in messages.chunks(self.pace.at_once) {
            self.gate.wait(&self.shutdown).await?;
            retry::sleep(self.pace.delay(some.len(), Instant::now()), &self.shutdown).await?;
            let (some, _span) = self.traced(some);
            let too_large = self.publisher.publish_all(&some, &self.shutdown).await?;
            let too_large: Vec<Refused> = too_large
                .iter()
                .filter_map(|one| {
                    let place = some.iter().position(|message| std::ptr::eq(message, one.message))?;
                    Some(Refused { place, reason: format!("too-large: {one}") })
                })
                .collect();
            self.copy(&some, &too_large).await?;
            refused.extend(
                too_large.into_iter().map(|one| Refused { place: before + one.place, reason: one.reason }),
            );
            before += some.len();
        }
        Ok(refused)
    }

    /// Publishes copies of `messages` to the archive if they are wanted there. Messages that were refused have no copy.
    async fn copy(&mut self, messages: &[Outgoing], refused: &[Refused]) -> Result<(), PublishError> {
        let Some(archive) = &mut self.archive else { return Ok(()) };
        let names = self.gate.broker.names();
        let published =
            messages.iter().enumerate().filter(|(place, _)| refused.iter().all(|one| one.place != *place));
        let copies: Vec<Outgoing> = published.map(|(_, message)| message.for_archive(names)).collect();
        for one in archive.publish_all(&copies, &self.shutdown).await? {
            // RabbitMQ's limit was lowered just now.
            tracing::error!("not written into the archive, only published: {one}");
        }
        Ok(())
    }

    /// Gives the messages as they are. If traces are on, gives copies that carry the span of this publish.
    fn traced<'a>(&self, messages: &'a [Outgoing]) -> (Cow<'a, [Outgoing]>, Span) {
        if !traces::are_on() {
            return (messages.into(), Span::none());
        }
        let mut messages = messages.to_vec();
        let span = self.gate.broker.begin_publish(None, &mut messages);
        (messages.into(), span)
    }

    /// Closes the connections.
    pub(super) async fn close(&mut self) {
        if let Some(session) = self.gate.session.take() {
            session.close().await;
        }
        self.publisher.close().await;
        if let Some(archive) = &mut self.archive {
            archive.close().await;
        }
    }
}

/// The type of the event that a message holds.
fn kind_of(message: &Outgoing) -> &str {
    match &message.route {
        Route::Event { kind } => kind,
        Route::LoadQueue { routing_key } => routing_key,
        _ => Route::KIND_OTHER,
    }
}

/// The rate of `--rate`, spread evenly. After a pause, at most one second's events leave at once.
struct Pace {
    /// Nothing without a limit.
    bucket: Option<TokenBucket>,
    at_once: usize,
}

impl Pace {
    fn new(rate: Option<u32>) -> Self {
        Self { bucket: rate.map(|rate| TokenBucket::empty(rate, rate)), at_once: Self::at_once_of(rate) }
    }

    /// How many events may leave together: a tenth of a second's worth.
    fn at_once_of(rate: Option<u32>) -> usize {
        rate.map_or(usize::MAX, |rate| (rate as usize / 10).max(1))
    }

    /// How long the next `count` events have to wait at `now`.
    fn delay(&mut self, count: usize, now: Instant) -> Duration {
        let Some(bucket) = &mut self.bucket else { return Duration::ZERO };
        let wait = bucket.wait(now);
        bucket.take(count, now);
        wait
    }
}

/// Holds publishing back while the load queue is too long.
struct Gate {
    broker: Broker,
    /// The longest queue; 0 for no limit.
    ready_max: u32,
    session: Option<DepthSession>,
    looked_at: Option<Instant>,
}

/// How often the queue's length is read. In this time it grows by some ten thousand messages.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Gate {
    async fn wait(&mut self, shutdown: &CancellationToken) -> Result<(), Interrupted> {
        if self.ready_max == 0 || self.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        let mut limit = self.ready_max;
        loop {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = shutdown.cancelled() => return Err(Interrupted),
            };
            let Some(Depth { ready, consumers }) = looked.filter(|depth| depth.ready > limit) else { break };
            if limit == self.ready_max {
                let queue = self.broker.names().load();
                let advice = if consumers == 0 { "; nobody consumes it: start loaders" } else { "" };
                tracing::info!(
                    ready,
                    consumers,
                    "waiting: {queue} holds {ready} messages (--max-queue {limit}){advice}"
                );
                // Wait until the queue is half as long; otherwise every second only a handful could be published.
                limit /= 2;
            }
            retry::sleep(LOOK_EVERY, shutdown).await?;
        }
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    /// The length of the load queue. None if RabbitMQ does not answer; the publisher handles that.
    async fn look(&mut self) -> Option<Depth> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.broker.depth_session().await.ok()?,
        };
        let depth = session.depth(self.broker.names().load()).await.ok()?;
        self.session = Some(session);
        Some(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spreads_events_evenly_and_a_pause_is_not_caught_up() {
        let mut pace = Pace::new(Some(100));
        assert_eq!(pace.at_once, 10);
        // Whatever was waited for before the first.
        let start = Instant::now() + Duration::from_secs(60);
        // Each ten leave 100 ms after the ten before.
        let mut now = start;
        for tens in 0..50 {
            now += pace.delay(10, now);
            assert_eq!(now, start + Duration::from_millis(100) * tens);
        }
        now += Duration::from_secs(60);
        let without_waiting = (0..50).take_while(|_| pace.delay(10, now).is_zero()).count();
        assert_eq!(without_waiting, 11, "a second's worth, and those that are due");
        assert_eq!((Pace::new(Some(3)).at_once, Pace::new(None).at_once), (1, usize::MAX));
        assert_eq!(Pace::new(None).delay(1000, now), Duration::ZERO);
    }
}
