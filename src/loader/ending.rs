//! Ends a session in order: every delivery is loaded and acked, or handed back without counting as redelivered.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};

use super::patience::Patience;
use super::republish::Republish;
use super::session::{Done, Session, SessionEnd};
use super::suspect;
use super::waiting::Work;
use crate::broker::BrokerError;

/// How long RabbitMQ may take to fill the prefetch. It needs milliseconds, or more on a busy machine.
const FILL_MAX: Duration = Duration::from_millis(1500);
/// How long RabbitMQ may take to answer `basic.cancel`. If it does not answer, it takes no copies either.
const CANCEL_MAX: Duration = Duration::from_secs(3);
/// Time for loading the deliveries, from the beginning of the end. One answer from Redis may take almost as long.
const LOAD_MAX: Duration = Duration::from_secs(4);
/// Time for handing back the deliveries that were not loaded, from the beginning of the end.
const BACK_MAX: Duration = Duration::from_millis(5500);
/// How long the last acks may take.
const ACKS_MAX: Duration = Duration::from_millis(500);
/// How often RabbitMQ is asked whether it has more, and the republisher whether it has room.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Session<'_> {
    /// Ends the session: cancels the consumer, then loads and acks its deliveries. Deliveries that Redis does not take in time
    /// are handed back as copies, so that RabbitMQ does not count a redelivery.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ has ended the session or does not answer. RabbitMQ then redelivers unacked messages.
    pub(super) async fn end<F: Future<Output = Done>>(
        &mut self,
        end: SessionEnd,
        working: &mut FuturesUnordered<F>,
        begin: impl Fn(Work) -> F,
        patience: &Patience,
    ) -> Result<SessionEnd, BrokerError> {
        let (began, before) = (Instant::now(), self.acks.newest());
        patience.end_retries();
        let arrived = self.stop_deliveries().await;
        let is_cancelled = arrived.is_ok();
        let loading = async {
            self.load_the_rest(working, &begin, is_cancelled).await?;
            if is_cancelled && self.not_loaded.is_empty() {
                self.ack_all().await?;
                self.wait_for_acks().await?;
                self.load_the_rest(working, &begin, true).await?;
            }
            Ok::<_, BrokerError>(())
        };
        // Deliveries that are not loaded in time are in `not_loaded` or `waiting`. If the session is lost, `ack_all` says so.
        let _ = timeout_at(began + LOAD_MAX, loading).await;
        patience.end_waits();
        while let Some(done) = working.next().await {
            self.settle_batch(done);
        }
        let acked = self.ack_all().await;
        let handed_back = match &arrived {
            Ok(()) => timeout_at(began + BACK_MAX, self.hand_back()).await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        };
        let result = acked.and(handed_back).and(self.ack_all().await).and(arrived);
        self.report(end, result.map(|()| self.acks.newest() - before))
    }

    /// Cancels the consumer and gathers what RabbitMQ has sent.
    ///
    /// RabbitMQ answers a cancel before it informs the queue, so the queue may send deliveries after the answer. They are dropped
    /// and count as redelivered. To prevent this, no ack goes out first: when the prefetch is full, the queue sends nothing
    /// more.
    async fn stop_deliveries(&mut self) -> Result<(), BrokerError> {
        timeout(FILL_MAX, self.fill_up()).await.unwrap_or(Ok(()))?;
        let no_answer = BrokerError::Timeout { operation: "cancel the consumer", after: CANCEL_MAX };
        timeout(CANCEL_MAX, self.consumer.cancel()).await.unwrap_or(Err(no_answer))?;
        self.gather_arrived();
        Ok(())
    }

    /// Waits until the queue has taken the acks. A channel of RabbitMQ keeps acks back while the queue has not answered 32 earlier
    /// ones (`SOFT_LIMIT` in RabbitMQ's `rabbit_fifo_client.erl`). A channel that is closed drops them. The queue answers a `basic.get`
    /// after everything that was sent to it before. So the second answer comes after the acks that were kept back until the first.
    /// Messages that the answers bring are loaded, too.
    async fn wait_for_acks(&mut self) -> Result<(), BrokerError> {
        for _ in 0..2 {
            if let Some(delivery) = self.consumer.get().await? {
                self.add(delivery);
            }
        }
        Ok(())
    }

    /// Gathers until the prefetch is full or the queue is empty.
    async fn fill_up(&mut self) -> Result<(), BrokerError> {
        self.gather_arrived();
        while self.acks.unacked() < usize::from(self.prefetch) {
            if self.load_queue_is_empty().await? {
                break;
            }
            if let Ok(next) = timeout(LOOK_EVERY, self.consumer.next()).await {
                self.add(next?);
                self.gather_arrived();
            }
        }
        Ok(())
    }

    fn gather_arrived(&mut self) {
        // An error means that no more deliveries come. Here that is fine.
        while let Some(Ok(delivery)) = self.consumer.next_arrived() {
            self.add(delivery);
        }
    }

    /// Finishes the batches in flight and, if the consumer is cancelled, loads the waiting deliveries. Begins no more batches
    /// after Redis has not taken a delivery.
    async fn load_the_rest<F: Future<Output = Done>>(
        &mut self,
        working: &mut FuturesUnordered<F>,
        begin: &impl Fn(Work) -> F,
        with_those_waiting: bool,
    ) -> Result<(), BrokerError> {
        loop {
            while with_those_waiting
                && self.not_loaded.is_empty()
                && let Some(work) = self.waiting.next_work(working.len(), || true)
            {
                working.push(begin(work));
            }
            let Some(done) = working.next().await else { return Ok(()) };
            self.settle_batch(done);
            self.ack_if_worth_it(working.is_empty()).await?;
        }
    }

    /// Acks every settled delivery.
    async fn ack_all(&mut self) -> Result<(), BrokerError> {
        let acks = async {
            self.ack_run().await?;
            self.ack_beyond_hole().await
        };
        let no_answer = BrokerError::Timeout { operation: "ack", after: ACKS_MAX };
        timeout(ACKS_MAX, acks).await.unwrap_or(Err(no_answer))
    }

    /// Republishes the deliveries that were not loaded to the load queue. Waits until these and the failures are confirmed.
    async fn hand_back(&mut self) -> Result<(), BrokerError> {
        let mut rest = std::mem::take(&mut self.not_loaded);
        rest.extend(self.waiting.take_all());
        if !rest.is_empty() {
            // The next loader must not find a note of this one.
            suspect::retract_soon(self.loader).await;
        }
        rest.into_iter().for_each(|delivery| self.republish(delivery, Republish::LoadQueue));
        while self.republishing > 0 || !self.to_republish.is_empty() {
            match timeout(LOOK_EVERY, self.results.recv()).await {
                Ok(Some(result)) => self.settle_republished(result).await?,
                Ok(None) => break,
                Err(_) => self.start_republishing(),
            }
        }
        Ok(())
    }

    /// Logs how many deliveries were handed back, and what could not be done. Gives the reason of the end.
    fn report(&self, end: SessionEnd, result: Result<u64, BrokerError>) -> Result<SessionEnd, BrokerError> {
        let (queue, back, unacked) =
            (self.loader.broker.names().load(), self.handed_back, self.acks.unacked());
        if back > 0 {
            tracing::info!(back, "{back} messages are back in {queue}: Redis did not take them in time");
        }
        match result {
            Err(error) if end == SessionEnd::Stopped => {
                tracing::warn!("stopping: {error}; unacked messages will be redelivered");
                Ok(end)
            }
            Err(error) => Err(error),
            Ok(_) if unacked > 0 => {
                tracing::warn!(
                    "{unacked} messages could not be handed back in time; they will be redelivered"
                );
                Ok(end)
            }
            Ok(arrived) if arrived > 0 && end == SessionEnd::Drained => Ok(SessionEnd::Unfinished),
            Ok(_) => Ok(end),
        }
    }
}
