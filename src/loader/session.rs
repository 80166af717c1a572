//! One broker session: deliveries in, batches in flight, acks out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acks::AckTracker;
use super::batch::{self, Outcome};
use super::failures::{Failed, FailureLane};
use super::progress::DrainBar;
use super::waiting::{Waiting, Work};
use super::{Backoff, Loader, suspect};
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::retry::Interrupted;

/// Why a session ended without an error.
pub(super) enum End {
    /// The queue and its retry queues are empty and all is acked.
    Drained,
    /// The program is to stop, and what was in flight is acked.
    Stopped,
    /// Deliveries came while the session was ending: another session is needed.
    Unfinished,
    /// It has let go of what it could not load for long: another session is needed when that may have changed.
    Released,
}

/// How often a session looks at its connection, at holes in its acks and, while draining, at its queues.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An ack waits for so many settled deliveries while others are in flight, or for a quarter of the prefetch: RabbitMQ writes
/// each ack to its log, and sends on in the same portions. It goes out with a look at the latest.
const ACK_RUN: usize = 256;
/// How long a hole may hold up acks before what is behind it is acked one by one.
const HOLE_MAX: Duration = Duration::from_secs(1);
/// How long what is in flight may take once the program is to stop; unacked deliveries come again elsewhere.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// How long to wait for one failure to be stored once the program is to stop.
const LANE_TIMEOUT: Duration = Duration::from_secs(1);

/// Opens a session and pumps it until it ends.
pub(super) async fn run(
    loader: &Loader,
    lane: &FailureLane,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
    was_open: &mut bool,
) -> Result<End, BrokerError> {
    let opened = tokio::select! {
        opened = loader.broker.consume(loader.prefetch) => opened?,
        () = shutdown.cancelled() => return Ok(End::Stopped),
    };
    *was_open = true;
    backoff.reset();
    loader.rabbitmq.up();
    let queue = loader.broker.names().load();
    tracing::info!(
        queue,
        prefetch = loader.prefetch,
        "consuming {queue} from RabbitMQ at {}",
        loader.broker.address()
    );
    let (settled_sender, settled) = mpsc::channel(usize::from(loader.prefetch));
    let mut session = Session {
        loader,
        lane,
        consumer: opened,
        acks: AckTracker::default(),
        waiting: Waiting::new(loader.batch_size, loader.concurrency),
        settled_sender,
        settled,
        in_lane: 0,
        before_lane: VecDeque::new(),
    };
    let end = session.pump(shutdown).await?;
    session.consumer.close().await;
    Ok(end)
}

struct Session<'a> {
    loader: &'a Loader,
    lane: &'a FailureLane,
    consumer: Consumer,
    acks: AckTracker,
    waiting: Waiting,
    /// Given to the lane with each failure; it answers with the tag.
    settled_sender: mpsc::Sender<u64>,
    settled: mpsc::Receiver<u64>,
    /// Failures given to the lane that it has not told about yet.
    in_lane: usize,
    /// Failures that the lane had no place for yet.
    before_lane: VecDeque<Failed>,
}

/// A batch that is done: its deliveries and what became of each.
type Done = (Vec<Delivery>, Result<Vec<Outcome>, Interrupted>);

impl Session<'_> {
    async fn pump(&mut self, shutdown: &CancellationToken) -> Result<End, BrokerError> {
        let loader = self.loader;
        let mut working = FuturesUnordered::new();
        let long_run = ACK_RUN.min(usize::from(loader.prefetch) / 4);
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut watch = Watch::new(loader, &self.consumer).await?;
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = working.next() => {
                    self.settle_batch(done);
                    if working.is_empty() || self.acks.run_length() >= long_run {
                        self.ack_run().await?;
                    }
                }
                Some(tag) = self.settled.recv() => self.settle_tags(tag).await?,
                delivery = self.consumer.next(), if self.waiting.has_room() => {
                    self.gather(delivery?)?;
                }
                _ = look.tick() => {
                    let is_idle = working.is_empty() && self.acks.is_idle();
                    if let Some(end) = self.look(&mut watch, is_idle).await? {
                        return Ok(end);
                    }
                }
            }
            if let Some(work) = self.waiting.next_work(working.len(), || loader.redis.is_away()) {
                working.push(work.run(loader, shutdown));
            }
        }
        self.stop(working).await
    }

    /// Takes a delivery and all that have arrived with it, up to a full batch.
    fn gather(&mut self, first: Delivery) -> Result<(), BrokerError> {
        let mut next = Some(first);
        let mut redelivered = 0;
        while let Some(delivery) = next {
            redelivered += u64::from(delivery.deliveries_before > 0);
            self.acks.delivered(delivery.tag);
            self.waiting.add(delivery);
            next = if self.waiting.has_room() { self.consumer.next_arrived().transpose()? } else { None };
        }
        self.loader.counts.redelivered(redelivered);
        Ok(())
    }

    /// The one place where outcomes turn into acks: with the next one where the effects stand, through the lane where they do
    /// not.
    fn settle_batch(&mut self, (deliveries, outcomes): Done) {
        // Interrupted: nothing of the batch is acked, all of it comes again.
        let Ok(outcomes) = outcomes else { return };
        let (mut loaded, mut duplicates, mut unwanted) = (0, 0, 0);
        for (delivery, outcome) in deliveries.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Loaded => loaded += 1,
                Outcome::Duplicate => duplicates += 1,
                Outcome::Unwanted => unwanted += 1,
                Outcome::NotAnEvent(reason) | Outcome::CrashSuspect(reason) => {
                    self.hand_over(delivery, reason, false);
                    continue;
                }
                Outcome::Failed(reason) => {
                    self.hand_over(delivery, reason, true);
                    continue;
                }
            }
            self.acks.settle(delivery.tag);
        }
        self.loader.counts.settled_in_batch(loaded, duplicates, unwanted);
    }

    fn hand_over(&mut self, delivery: Delivery, reason: String, retry: bool) {
        let settled = self.settled_sender.clone();
        self.before_lane.push_back(Failed { delivery, reason, retry, settled });
        self.fill_lane();
    }

    /// Gives the lane what it has room for. It may still hold what an earlier session gave it, while RabbitMQ makes
    /// publishers wait: waiting for it here would hold up the acks of good events.
    fn fill_lane(&mut self) {
        while !self.before_lane.is_empty() {
            let Some(place) = self.lane.place() else { return };
            if let Some(failed) = self.before_lane.pop_front() {
                place.send(failed);
                self.in_lane += 1;
            }
        }
    }

    /// Failures are stored: settles `first` and all that the lane has told by now, and acks once.
    async fn settle_tags(&mut self, first: u64) -> Result<(), BrokerError> {
        let mut next = Some(first);
        while let Some(tag) = next {
            self.acks.settle(tag);
            self.in_lane = self.in_lane.saturating_sub(1);
            next = self.settled.try_recv().ok();
        }
        self.fill_lane();
        self.ack_run().await
    }

    async fn ack_run(&mut self) -> Result<(), BrokerError> {
        match self.acks.take_run() {
            Some(through) => self.consumer.ack_through(through).await,
            None => Ok(()),
        }
    }

    /// The regular look: is the connection alive, is the lane free again, does a hole hold up acks or has it for too long, is
    /// everything drained?
    async fn look(&mut self, watch: &mut Watch, idle: bool) -> Result<Option<End>, BrokerError> {
        self.consumer.check()?;
        watch.bar.update(self.loader);
        self.fill_lane();
        self.ack_run().await?;
        if watch.held(self.acks.oldest_open()) >= self.loader.hold_max {
            tracing::info!(
                "deliveries could not be loaded for {} s: they go back to {}, before RabbitMQ's consumer_timeout takes them",
                self.loader.hold_max.as_secs(),
                self.loader.broker.names().load()
            );
            return Ok(Some(End::Released));
        }
        if watch.hole_stays() {
            for tag in self.acks.take_beyond_hole() {
                self.consumer.ack(tag).await?;
            }
        }
        if self.loader.drain && watch.seems_drained(idle && self.queues_are_empty().await?) {
            let nothing_came = self.consumer.cancel_and_check_empty().await?;
            return Ok(Some(if nothing_came { End::Drained } else { End::Unfinished }));
        }
        Ok(None)
    }

    async fn queues_are_empty(&self) -> Result<bool, BrokerError> {
        let names = self.loader.broker.names();
        let retries = names.retries().map(|(name, _)| name);
        for queue in std::iter::once(names.load().to_owned()).chain(retries) {
            if self.consumer.ready_in(&queue).await? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends in order: no more deliveries, finish what is in flight, ack it. What was only gathered comes again elsewhere.
    async fn stop(
        &mut self,
        mut working: FuturesUnordered<impl Future<Output = Done>>,
    ) -> Result<End, BrokerError> {
        let finish = async {
            self.ack_run().await?;
            self.consumer.cancel().await?;
            while let Some(done) = working.next().await {
                self.settle_batch(done);
                self.ack_run().await?;
            }
            while self.in_lane > 0 {
                match tokio::time::timeout(LANE_TIMEOUT, self.settled.recv()).await {
                    Ok(Some(tag)) => self.settle_tags(tag).await?,
                    _ => break,
                }
            }
            Ok::<_, BrokerError>(())
        };
        match tokio::time::timeout(STOP_TIMEOUT, finish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("stopping: {error}; unacked messages will be redelivered"),
            Err(_) => tracing::warn!("stopping: not everything in flight was done; it will be redelivered"),
        }
        Ok(End::Stopped)
    }
}

impl Work {
    async fn run(self, loader: &Loader, shutdown: &CancellationToken) -> Done {
        let outcomes = match self.deliveries.as_slice() {
            [suspect] if self.is_alone => suspect::load(loader, suspect, shutdown).await,
            together => batch::load(loader, together, shutdown).await,
        };
        (self.deliveries, outcomes)
    }
}

/// What a session remembers from look to look.
struct Watch {
    bar: DrainBar,
    /// The oldest delivery that has not settled, and since when it has been that.
    oldest_open: (Option<u64>, Instant),
    seemed_drained: bool,
}

impl Watch {
    async fn new(loader: &Loader, consumer: &Consumer) -> Result<Self, BrokerError> {
        let ready = if loader.drain { consumer.ready_in(loader.broker.names().load()).await? } else { 0 };
        Ok(Self {
            bar: DrainBar::start(loader, ready.into()),
            oldest_open: (None, Instant::now()),
            seemed_drained: false,
        })
    }

    /// How long the same delivery has been the oldest open one.
    fn held(&mut self, oldest_open: Option<u64>) -> Duration {
        if oldest_open.is_none() || oldest_open != self.oldest_open.0 {
            self.oldest_open = (oldest_open, Instant::now());
        }
        self.oldest_open.1.elapsed()
    }

    /// True when it has been that for so long that what is behind it should not wait for it.
    fn hole_stays(&self) -> bool {
        self.oldest_open.1.elapsed() >= HOLE_MAX
    }

    /// True when two looks in a row saw nothing: deliveries on their way to us are not counted as ready any more.
    fn seems_drained(&mut self, empty: bool) -> bool {
        std::mem::replace(&mut self.seemed_drained, empty) && empty
    }
}
