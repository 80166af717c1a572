//! Saves the memory of all feeds while this fetcher is on duty, and restores it when the duty begins.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::duty::{Duty, Turn};
use super::extras::{Extras, SETTLE_MAX};
use super::feed::Feed;
use super::feeds::Feeds;
use super::moment::Moment;
use super::remembered::{Name, Remembered, raw};
use super::schedule::FEW_SOURCES;
use crate::broker::{Broker, BrokerError, Outgoing, PublishError};
use crate::gap::GapRecord;
use crate::health::Health;
use crate::status::{Board, FetcherFigures};

/// Changes are saved this often at most. After a kill, the next fetcher publishes the events of so many seconds again.
const SAVE_EVERY: Duration = Duration::from_secs(3);
/// A memory larger than this is saved less often: thousands of sources have megabytes. The wait grows with it, up to this.
const SAVE_BYTES: usize = 256 * 1024;
const SAVE_EVERY_MAX: Duration = Duration::from_secs(60);
/// Without changes the memory is saved this often. RabbitMQ closes the channel of a delivery that is unacked for 30 minutes.
const RENEW_EVERY: Duration = Duration::from_secs(300);
/// How long the last copies and records may take at the end. Each poll has waited for its own.
const LAST_SETTLE_MAX: Duration = Duration::from_millis(500);

/// The memory of all feeds, and the right to poll that comes with it.
pub(super) struct Keeper {
    broker: Broker,
    health: Health,
    figures: std::sync::Arc<FetcherFigures>,
    duty: Duty,
    extras: Option<Extras>,
    /// The memory as it was last read or saved. It has the sources of all earlier fetchers, too.
    remembered: Remembered,
    /// True once the memory was read. From then on this process has newer knowledge than the queue, unless another fetcher saved.
    has_begun: bool,
    saved_at: Instant,
    /// When to save next.
    save_at: Instant,
    /// How often changes are saved at most.
    save_every: Duration,
}

impl Keeper {
    /// Not on duty yet.
    pub(super) fn new(broker: &Broker, board: &Board) -> Self {
        Self {
            duty: Duty::new(broker, board.health()),
            broker: broker.clone(),
            health: board.health().clone(),
            figures: board.fetcher(),
            extras: None,
            remembered: Remembered::default(),
            has_begun: false,
            saved_at: Instant::now(),
            save_at: Instant::now(),
            save_every: SAVE_EVERY,
        }
    }

    /// Waits until this fetcher is on duty, no longer than `limit`, and restores the feeds from the memory of the fetcher before it.
    ///
    /// # Errors
    /// As [`Duty::begin`].
    pub(super) async fn begin(
        &mut self,
        feeds: &mut Feeds,
        limit: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<Turn<()>, PublishError> {
        let ours = self.remembered.json();
        let Turn::Ours(memories) = self.duty.begin(&ours, limit, shutdown).await? else {
            return Ok(Turn::Others);
        };
        let found = Remembered::newest(&memories);
        if !self.has_begun || found.revision > self.remembered.revision {
            self.adopt(found, feeds);
        }
        self.has_begun = true;
        // At once, so that of several memories one is left.
        self.save_at = Instant::now();
        self.figures.on_duty(true);
        Ok(Turn::Ours(()))
    }

    fn adopt(&mut self, mut found: Remembered, feeds: &mut Feeds) {
        feeds.all.iter_mut().for_each(|feed| resume(feed, &found));
        feeds.resumed(Moment::now());
        match &self.extras {
            Some(extras) => extras.take_over(&mut found),
            None => self.extras = Some(Extras::start(&self.broker, &self.health, &mut found)),
        }
        self.remembered = found;
    }

    /// Restores a feed that is new here, if an earlier list of sources had it.
    pub(super) fn recall(&self, feed: &mut Feed) {
        resume(feed, &self.remembered);
    }

    /// These feeds are polled no more. Their memory is kept, should they come back.
    pub(super) fn leave(&mut self, feeds: impl Iterator<Item = Feed>) {
        for feed in feeds {
            if let Some(raw) = raw(&feed, FEW_SOURCES + 1) {
                self.remembered.sources.insert(Name::of(&feed.source), raw);
            }
        }
    }

    /// The duty is lost, for this reason.
    pub(super) fn lose(&mut self, error: BrokerError) {
        self.figures.on_duty(false);
        self.duty.end(error);
    }

    /// Waits until `end`. Saves the memory meanwhile when that is due.
    ///
    /// # Errors
    /// [`BrokerError`] when this fetcher is not on duty any more.
    pub(super) async fn keep_until(&mut self, end: Instant, feeds: &mut [Feed]) -> Result<(), BrokerError> {
        loop {
            tokio::select! {
                biased;
                error = self.duty.lost() => return Err(error),
                () = tokio::time::sleep_until(end.min(self.save_at)) => {}
            }
            let now = Instant::now();
            if now >= self.save_at {
                self.save(feeds).await?;
            }
            if now >= end {
                return self.duty.check();
            }
        }
    }

    async fn save(&mut self, feeds: &mut [Feed]) -> Result<(), BrokerError> {
        let mut next = Remembered { revision: self.remembered.revision + 1, ..Remembered::default() };
        let sources = feeds.len();
        for feed in feeds {
            feed.saved = feed.saved.take().or_else(|| raw(feed, sources));
            next.sources.extend(feed.saved.clone().map(|raw| (Name::of(&feed.source), raw)));
        }
        next.keep_others(&self.remembered);
        if let Some(extras) = &self.extras {
            extras.remember(&mut next);
        }
        let json = next.json();
        let is_saved = self.duty.save(&json).await?;
        self.saved_at = Instant::now();
        self.save_every = save_every(json.len());
        self.save_at = self.saved_at + if is_saved { RENEW_EVERY } else { self.save_every };
        if is_saved {
            self.remembered = next;
        }
        Ok(())
    }

    /// Feeds know something new.
    pub(super) fn has_news(&mut self) {
        self.save_at = self.save_at.min(self.saved_at + self.save_every);
    }

    /// Gives copies of events to the archive.
    pub(super) fn copy<'a>(&self, events: impl Iterator<Item = &'a Outgoing>) {
        if let Some(extras) = &self.extras {
            extras.copy(events);
        }
    }

    /// Gives records of gaps to their queue.
    pub(super) fn record(&self, gaps: impl Iterator<Item = GapRecord>) {
        if let Some(extras) = &self.extras {
            extras.record(gaps);
        }
    }

    /// Waits a moment for the archive and the queue of gaps.
    pub(super) async fn settle(&self) {
        if let Some(extras) = &self.extras {
            extras.settle(SETTLE_MAX).await;
        }
    }

    /// Saves a last time, and hands the duty on.
    pub(super) async fn close(&mut self, feeds: &mut [Feed]) {
        if let Some(extras) = &self.extras {
            extras.settle(LAST_SETTLE_MAX).await;
        }
        if self.duty.check().is_ok()
            && let Err(error) = self.save(feeds).await
        {
            tracing::warn!("{error}; the next fetcher publishes the events of the last seconds again");
        }
        if let Some(extras) = self.extras.take() {
            extras.stop();
        }
        self.duty.close().await;
    }
}

/// Continues from the memory of an earlier process, if it has this source.
fn resume(feed: &mut Feed, found: &Remembered) {
    let Some(raw) = found.sources.get(&Name::of(&feed.source)) else { return };
    let resumed = serde_json::from_str(raw.get()).map_err(|error| error.to_string());
    if let Err(why) = resumed.and_then(|one| feed.resume(one)) {
        tracing::warn!(source = %feed.source, "{}: the saved memory of this source is rejected, and the source begins without one: {why}", feed.source);
    }
}

/// How often a memory of so many bytes is saved at most.
fn save_every(bytes: usize) -> Duration {
    let times = u32::try_from(bytes.div_ceil(SAVE_BYTES)).unwrap_or(u32::MAX).max(1);
    SAVE_EVERY.saturating_mul(times).min(SAVE_EVERY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_memory_is_saved_less_often() {
        let every_s = [0, 1000, SAVE_BYTES, SAVE_BYTES + 1, 2_400_000, 1 << 30]
            .map(|bytes| save_every(bytes).as_secs());
        assert_eq!(every_s, [3, 3, 3, 6, 30, 60]);
    }
}
