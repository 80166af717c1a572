//! The regular check of a session: its connection, its acks, how long deliveries have waited, and whether the queue is drained.

use std::time::{Duration, Instant};

use super::Loader;
use super::history::History;
use super::progress::DrainBar;
use super::session::{Session, SessionEnd};
use crate::broker::{BrokerError, Consumer};

/// How long one unsettled delivery may hold up the acks of those behind it. After that they are acked one by one.
const HOLE_MAX: Duration = Duration::from_secs(1);

/// How long nothing may be delivered before RabbitMQ is asked whether it can deliver.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The state that a session keeps between checks.
pub(super) struct Checks<'a> {
    history: &'a History,
    since: Instant,
    bar: DrainBar,
    /// The oldest delivery that has not settled, and since when it has been the oldest.
    oldest_open: (Option<u64>, Instant),
    seemed_drained: bool,
    /// The number of deliveries, and when it last changed or RabbitMQ last said that it can deliver.
    heard: (u64, Instant),
}

impl<'a> Checks<'a> {
    /// For a session that begins now.
    pub(super) async fn begin(
        loader: &Loader,
        consumer: &Consumer,
        history: &'a History,
    ) -> Result<Self, BrokerError> {
        let ready = if loader.drain { consumer.ready_in(loader.broker.names().load()).await? } else { 0 };
        Ok(Self {
            history,
            since: Instant::now(),
            bar: DrainBar::start(loader, ready.into()),
            oldest_open: (None, Instant::now()),
            seemed_drained: false,
            heard: (0, Instant::now()),
        })
    }

    /// True each time that nothing was delivered for [`SILENCE_MAX`]. `delivered` is the number of deliveries so far, which is the newest tag.
    fn is_silent(&mut self, delivered: u64) -> bool {
        let is_silent = delivered == self.heard.0 && self.heard.1.elapsed() >= SILENCE_MAX;
        if is_silent || delivered != self.heard.0 {
            self.heard = (delivered, Instant::now());
        }
        is_silent
    }

    /// How long the same delivery has been the oldest unsettled one.
    fn held(&mut self, oldest_open: Option<u64>) -> Duration {
        if oldest_open.is_none() || oldest_open != self.oldest_open.0 {
            self.oldest_open = (oldest_open, Instant::now());
        }
        self.oldest_open.1.elapsed()
    }

    /// True when the oldest unsettled delivery holds up acks for too long.
    fn hole_stays(&self) -> bool {
        self.oldest_open.1.elapsed() >= HOLE_MAX
    }

    /// True when two checks in a row found the queues empty. A delivery on its way to a consumer is in no count, so one check
    /// does not prove anything.
    fn seems_drained(&mut self, empty: bool) -> bool {
        std::mem::replace(&mut self.seemed_drained, empty) && empty && self.history.can_count()
    }
}

impl Session<'_> {
    /// Checks the session. Gives a reason to end it, if there is one.
    pub(super) async fn check(
        &mut self,
        checks: &mut Checks<'_>,
        is_idle: bool,
    ) -> Result<Option<SessionEnd>, BrokerError> {
        self.consumer.check()?;
        if checks.is_silent(self.acks.newest()) && is_idle {
            self.consumer.check_majority().await?;
        }
        checks.bar.update(self.loader);
        self.start_republishing();
        self.ack_run().await?;
        if checks.held(self.acks.oldest_open()) >= self.loader.hold_max {
            tracing::info!(
                "deliveries could not be loaded for {} s: they go back to {}, before RabbitMQ's consumer_timeout takes them",
                self.loader.hold_max.as_secs(),
                self.loader.broker.names().load()
            );
            return Ok(Some(SessionEnd::Released));
        }
        if checks.hole_stays() {
            self.ack_beyond_hole().await?;
        }
        if checks.history.is_over(checks.since.elapsed()) {
            return Ok(Some(SessionEnd::Unfinished));
        }
        let is_drained = self.loader.drain && checks.seems_drained(is_idle && self.queues_are_empty().await?);
        Ok(is_drained.then_some(SessionEnd::Drained))
    }

    /// Acks the settled deliveries behind an unsettled one, one by one.
    pub(super) async fn ack_beyond_hole(&mut self) -> Result<(), BrokerError> {
        for tag in self.acks.take_beyond_hole() {
            self.consumer.ack(tag).await?;
        }
        Ok(())
    }

    /// True when the load queue and its retry queues have nothing ready.
    async fn queues_are_empty(&mut self) -> Result<bool, BrokerError> {
        if !self.load_queue_is_empty().await? {
            return Ok(false);
        }
        for (queue, _) in self.loader.broker.names().retries() {
            if !self.consumer.is_empty(&queue).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True when RabbitMQ has nothing more to deliver. RabbitMQ's count may miss a message: that one is taken.
    pub(super) async fn load_queue_is_empty(&mut self) -> Result<bool, BrokerError> {
        if self.consumer.ready_in(self.loader.broker.names().load()).await? > 0 {
            return Ok(false);
        }
        let missed = self.consumer.get().await?;
        let is_empty = missed.is_none();
        missed.into_iter().for_each(|delivery| self.add(delivery));
        Ok(is_empty)
    }
}
