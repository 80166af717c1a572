//! One broker session: deliveries in, batches in flight, acks out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acks::AckTracker;
use super::batch::{self, Disposition};
use super::check::Checks;
use super::failures::{FailureLane, Leaving, Republish, Told};
use super::history::History;
use super::patience::Patience;
use super::waiting::{Waiting, Work};
use super::{Backoff, Loader, suspect};
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::status::Totals;

/// Why a session ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The queue and its retry queues are empty and all is acked.
    Drained,
    /// The program is to stop.
    Stopped,
    /// Deliveries came while the session was ending: another session is needed.
    Unfinished,
    /// It has let go of what it could not load for long: another session is needed when that may have changed.
    Released,
}

/// How often a session is checked (see `check`).
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// An ack waits for so many settled deliveries while others are in flight, or for a quarter of the prefetch: RabbitMQ writes
/// each ack to its log, and sends on in the same portions. It goes out with a look at the latest.
const ACK_RUN: usize = 256;
/// How long saying goodbye to RabbitMQ may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Opens a session and pumps it until it ends.
pub(super) async fn run(
    loader: &Loader,
    lane: &FailureLane,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
    was_open: &mut bool,
    history: &mut History,
) -> Result<End, BrokerError> {
    let prefetch = history.prefetch(loader.prefetch);
    let opened = tokio::select! {
        opened = loader.broker.consume(prefetch) => opened?,
        () = shutdown.cancelled() => return Ok(End::Stopped),
    };
    *was_open = true;
    backoff.reset();
    loader.rabbitmq.up();
    let queue = loader.broker.names().load();
    tracing::info!(queue, prefetch, "consuming {queue} from RabbitMQ at {}", loader.broker.address());
    let (told_sender, told) = mpsc::channel(usize::from(loader.prefetch));
    let opened_at = Instant::now();
    let mut session = Session {
        loader,
        lane,
        prefetch,
        consumer: opened,
        acks: AckTracker::default(),
        waiting: Waiting::new(loader.batch_size, loader.concurrency),
        not_loaded: Vec::new(),
        handed_back: 0,
        told_sender,
        told,
        in_lane: 0,
        before_lane: VecDeque::new(),
    };
    let ended = session.pump(shutdown, history).await;
    history.session_ended(opened_at.elapsed(), ended.is_err());
    let end = ended?;
    // One that hangs does not answer; then closing the socket has to do.
    let _ = tokio::time::timeout(CLOSE_MAX, session.consumer.close()).await;
    Ok(end)
}

pub(super) struct Session<'a> {
    pub(super) loader: &'a Loader,
    pub(super) lane: &'a FailureLane,
    /// Deliveries that may be unacked at once.
    pub(super) prefetch: u16,
    pub(super) consumer: Consumer,
    pub(super) acks: AckTracker,
    pub(super) waiting: Waiting,
    /// What Redis has not taken before the session's end.
    pub(super) not_loaded: Vec<Delivery>,
    /// How much of that is back in the queue.
    pub(super) handed_back: usize,
    /// Given to the lane with each delivery; it tells what became of it.
    told_sender: mpsc::Sender<Told>,
    pub(super) told: mpsc::Receiver<Told>,
    /// Deliveries given to the lane that it has not told about yet.
    pub(super) in_lane: usize,
    /// Deliveries that the lane had no place for yet.
    pub(super) before_lane: VecDeque<Leaving>,
}

/// A batch that is done: its deliveries and what became of each.
pub(super) type Done = (Vec<Delivery>, Vec<Disposition>);

impl Session<'_> {
    async fn pump(&mut self, shutdown: &CancellationToken, history: &History) -> Result<End, BrokerError> {
        let loader = self.loader;
        let patience = Patience::until(shutdown);
        let begin = |work: Work| work.run(loader, &patience);
        let mut working = FuturesUnordered::new();
        let mut check = tokio::time::interval(CHECK_EVERY);
        let mut checks = Checks::begin(loader, &self.consumer, history).await?;
        let end = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break End::Stopped,
                Some(done) = working.next() => {
                    self.settle_batch(done);
                    self.ack_if_worth_it(working.is_empty()).await?;
                }
                Some(told) = self.told.recv() => self.settle_told(told).await?,
                delivery = self.consumer.next(), if self.waiting.has_room() => {
                    self.gather(delivery?)?;
                }
                _ = check.tick() => {
                    let is_idle = working.is_empty() && self.acks.is_idle();
                    if let Some(end) = self.check(&mut checks, is_idle).await? {
                        break end;
                    }
                }
            }
            if let Some(work) = self.waiting.next_work(working.len(), || loader.redis.is_away()) {
                working.push(begin(work));
            }
        };
        self.end(end, &mut working, begin, &patience).await
    }

    /// Acks when nothing else is in flight, or when the ack covers many deliveries.
    pub(super) async fn ack_if_worth_it(&mut self, nothing_is_in_flight: bool) -> Result<(), BrokerError> {
        let long_run = ACK_RUN.min(usize::from(self.prefetch) / 4);
        if nothing_is_in_flight || self.acks.run_length() >= long_run {
            return self.ack_run().await;
        }
        Ok(())
    }

    /// Takes a delivery and all that have arrived with it, up to a full batch.
    fn gather(&mut self, first: Delivery) -> Result<(), BrokerError> {
        let mut next = Some(first);
        while let Some(delivery) = next {
            self.add(delivery);
            next = if self.waiting.has_room() { self.consumer.next_arrived().transpose()? } else { None };
        }
        Ok(())
    }

    pub(super) fn add(&mut self, delivery: Delivery) {
        if delivery.deliveries_before > 0 {
            self.loader.ledger.redelivered();
        }
        self.acks.delivered(delivery.tag);
        self.waiting.add(delivery);
    }

    /// The one place where decisions turn into acks. Of a delivery that is republished, the ack follows the confirm.
    pub(super) fn settle_batch(&mut self, (deliveries, dispositions): Done) {
        let mut outcomes = Totals::default();
        for (delivery, disposition) in deliveries.into_iter().zip(dispositions) {
            match disposition {
                Disposition::Ack(outcome) => {
                    *outcomes.of_mut(outcome) += 1;
                    self.acks.settle(delivery.tag);
                }
                Disposition::Republish(republish) => self.hand_over(delivery, republish),
                Disposition::NotLoaded => self.not_loaded.push(delivery),
            }
        }
        self.loader.ledger.enter(&outcomes);
    }

    pub(super) fn hand_over(&mut self, delivery: Delivery, republish: Republish) {
        let told = self.told_sender.clone();
        self.before_lane.push_back(Leaving { delivery, republish, told });
        self.fill_lane();
    }

    /// Gives the lane what it has room for. It may still hold what an earlier session gave it, while RabbitMQ makes
    /// publishers wait: waiting for it here would hold up the acks of good events.
    pub(super) fn fill_lane(&mut self) {
        while !self.before_lane.is_empty() {
            let Some(place) = self.lane.place() else { return };
            if let Some(leaving) = self.before_lane.pop_front() {
                place.send(leaving);
                self.in_lane += 1;
            }
        }
    }

    /// The lane has news: settles `first` and all that it has told by now, and acks once.
    pub(super) async fn settle_told(&mut self, first: Told) -> Result<(), BrokerError> {
        let mut next = Some(first);
        while let Some(told) = next {
            match told {
                Told::Stored(tag) => self.acks.settle(tag),
                Told::Back(tag) => {
                    self.acks.settle(tag);
                    self.handed_back += 1;
                }
                Told::Kept => {}
            }
            self.in_lane = self.in_lane.saturating_sub(1);
            next = self.told.try_recv().ok();
        }
        self.fill_lane();
        self.ack_run().await
    }

    pub(super) async fn ack_run(&mut self) -> Result<(), BrokerError> {
        match self.acks.take_run() {
            Some(through) => self.consumer.ack_through(through).await,
            None => Ok(()),
        }
    }
}

impl Work {
    async fn run(self, loader: &Loader, patience: &Patience) -> Done {
        let dispositions = match self.deliveries.as_slice() {
            [suspect] if self.is_alone => vec![suspect::load(loader, suspect, patience).await],
            together => batch::load(loader, together, patience).await,
        };
        (self.deliveries, dispositions)
    }
}
