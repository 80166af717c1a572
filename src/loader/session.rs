//! One broker session: gathers deliveries into batches, keeps several batches in flight, and acks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::acks::AckTracker;
use super::batch::{self, Disposition};
use super::check::Checks;
use super::history::History;
use super::patience::Patience;
use super::republish::{Republish, RepublishRequest, Republished, Republisher};
use super::waiting::{Waiting, Work};
use super::{Backoff, Loader, suspect};
use crate::broker::{BrokerError, Consumer, Delivery};
use crate::status::Totals;

/// Why a session ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionEnd {
    /// The queue and its retry queues are empty and all is acked.
    Drained,
    /// The program is to stop.
    Stopped,
    /// Deliveries arrived while the session was ending, or they may come together again: open another session.
    Unfinished,
    /// Deliveries that could not be loaded for long went back to the queue: open another session later.
    Released,
}

/// How often a session is checked (see `check`).
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// While batches are in flight, an ack waits for so many settled deliveries, or for a quarter of the prefetch. RabbitMQ logs
/// every ack and refills the prefetch in the same steps, so few large acks are cheaper. The next regular check sends a pending
/// ack.
const ACK_RUN: usize = 256;
/// How long closing the connection to RabbitMQ may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// Opens a session and works on it until it ends.
pub(super) async fn run(
    loader: &Loader,
    republisher: &Republisher,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
    was_open: &mut bool,
    history: &mut History,
) -> Result<SessionEnd, BrokerError> {
    let prefetch = history.prefetch(loader.prefetch);
    let Some(consumer) = loader.broker.consume(prefetch, shutdown).await? else {
        return Ok(SessionEnd::Stopped);
    };
    *was_open = true;
    backoff.reset();
    loader.rabbitmq.up();
    let queue = loader.broker.names().load();
    tracing::info!(queue, prefetch, "consuming {queue} from RabbitMQ at {}", consumer.address());
    let (results_sender, results) = mpsc::channel(usize::from(loader.prefetch));
    let opened_at = Instant::now();
    let mut session = Session {
        loader,
        republisher,
        prefetch,
        consumer,
        acks: AckTracker::default(),
        waiting: Waiting::new(loader.batch_size, loader.concurrency),
        not_loaded: Vec::new(),
        handed_back: 0,
        results_sender,
        results,
        republishing: 0,
        to_republish: VecDeque::new(),
    };
    let ended = session.work(shutdown, history).await;
    history.session_ended(opened_at.elapsed(), ended.is_err());
    let end = ended?;
    // A RabbitMQ that hangs does not answer. Dropping the session closes the socket.
    let _ = tokio::time::timeout(CLOSE_MAX, session.consumer.close()).await;
    Ok(end)
}

/// A session in progress.
pub(super) struct Session<'a> {
    pub(super) loader: &'a Loader,
    pub(super) republisher: &'a Republisher,
    /// Deliveries that may be unacked at once.
    pub(super) prefetch: u16,
    pub(super) consumer: Consumer,
    pub(super) acks: AckTracker,
    pub(super) waiting: Waiting,
    /// Deliveries that Redis has not taken before the session's end.
    pub(super) not_loaded: Vec<Delivery>,
    /// How many of those are back in the load queue.
    pub(super) handed_back: usize,
    /// Goes with each request to the republisher, for its result.
    results_sender: mpsc::Sender<Republished>,
    pub(super) results: mpsc::Receiver<Republished>,
    /// Requests to the republisher without a result yet.
    pub(super) republishing: usize,
    /// Requests that the republisher had no room for yet.
    pub(super) to_republish: VecDeque<RepublishRequest>,
}

/// A batch that is done: its deliveries and the decision about each.
pub(super) type Done = (Vec<Delivery>, Vec<Disposition>);

impl Session<'_> {
    async fn work(
        &mut self,
        shutdown: &CancellationToken,
        history: &History,
    ) -> Result<SessionEnd, BrokerError> {
        let loader = self.loader;
        let patience = Patience::until(shutdown);
        let begin = |work: Work| work.run(loader, &patience);
        let mut working = FuturesUnordered::new();
        let mut check = tokio::time::interval(CHECK_EVERY);
        let mut checks = Checks::begin(loader, &self.consumer, history).await?;
        let end = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break SessionEnd::Stopped,
                Some(done) = working.next() => {
                    self.settle_batch(done);
                    self.ack_if_worth_it(working.is_empty()).await?;
                }
                Some(result) = self.results.recv() => self.settle_republished(result).await?,
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

    /// Acks if nothing is in flight, or if the ack covers many deliveries.
    pub(super) async fn ack_if_worth_it(&mut self, nothing_is_in_flight: bool) -> Result<(), BrokerError> {
        let long_run = ACK_RUN.min(usize::from(self.prefetch) / 4);
        if nothing_is_in_flight || self.acks.run_length() >= long_run {
            return self.ack_run().await;
        }
        Ok(())
    }

    /// Takes a delivery and those that have arrived with it, up to a full batch.
    fn gather(&mut self, first: Delivery) -> Result<(), BrokerError> {
        let mut next = Some(first);
        while let Some(delivery) = next {
            self.add(delivery);
            next = if self.waiting.has_room() { self.consumer.next_arrived().transpose()? } else { None };
        }
        Ok(())
    }

    /// Takes one delivery into account and lets it wait for its batch.
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
                Disposition::Republish(republish) => self.republish(delivery, republish),
                Disposition::NotLoaded => self.not_loaded.push(delivery),
            }
        }
        self.loader.ledger.enter(&outcomes);
    }

    /// Has a copy of the delivery published. The delivery is acked when its copy is confirmed.
    pub(super) fn republish(&mut self, delivery: Delivery, republish: Republish) {
        let results = self.results_sender.clone();
        self.to_republish.push_back(RepublishRequest { delivery, republish, results });
        self.start_republishing();
    }

    /// Gives the republisher as many requests as it has room for. While RabbitMQ blocks publishers, it may still hold requests of
    /// an earlier session. Waiting for room here would hold up the acks of good events.
    pub(super) fn start_republishing(&mut self) {
        while !self.to_republish.is_empty() {
            let Some(place) = self.republisher.place() else { return };
            if let Some(request) = self.to_republish.pop_front() {
                place.send(request);
                self.republishing += 1;
            }
        }
    }

    /// Takes the result `first` and all others that have arrived, then acks once.
    pub(super) async fn settle_republished(&mut self, first: Republished) -> Result<(), BrokerError> {
        let mut next = Some(first);
        while let Some(result) = next {
            match result {
                Republished::Stored(tag) => self.acks.settle(tag),
                Republished::HandedBack(tag) => {
                    self.acks.settle(tag);
                    self.handed_back += 1;
                }
                Republished::Failed => {}
            }
            self.republishing = self.republishing.saturating_sub(1);
            next = self.results.try_recv().ok();
        }
        self.start_republishing();
        self.ack_run().await
    }

    /// Acks the oldest deliveries, up to the first unsettled one.
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
