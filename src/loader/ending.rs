//! The end of a session in order: nothing that was delivered is lost, loaded twice, or counted against anybody.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};

use super::failures::Republish;
use super::patience::Patience;
use super::session::{Done, End, Session};
use super::suspect;
use super::waiting::Work;
use crate::broker::BrokerError;

/// How long RabbitMQ may take to send all that it may send ahead of our acks. It needs milliseconds, and more on a busy machine.
const FILL_MAX: Duration = Duration::from_millis(1500);
/// How long RabbitMQ may take to answer that it sends no more. One that does not will take no copies either.
const CANCEL_MAX: Duration = Duration::from_secs(3);
/// Counted from the beginning of the end: until then, what was delivered is loaded. Redis's answer may take almost as long.
const LOAD_MAX: Duration = Duration::from_secs(4);
/// Counted likewise: until then, what was not loaded is handed back.
const BACK_MAX: Duration = Duration::from_millis(5500);
/// How long the last acks may take.
const ACKS_MAX: Duration = Duration::from_millis(500);
/// How often somebody is asked who does not tell on his own: RabbitMQ whether it has more, the lane whether it has room.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Session<'_> {
    /// Ends the session. RabbitMQ sends no more; what it has sent is loaded and acked, and what Redis does not take in time is handed
    /// back, so that RabbitMQ does not count it as redelivered.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ has ended the session or does not answer. What is unacked then comes again.
    pub(super) async fn end<F: Future<Output = Done>>(
        &mut self,
        end: End,
        working: &mut FuturesUnordered<F>,
        begin: impl Fn(Work) -> F,
        patience: &Patience,
    ) -> Result<End, BrokerError> {
        let began = Instant::now();
        patience.end_retries();
        let arrived = self.stop_deliveries().await;
        let is_cancelled = arrived.is_ok();
        // In time or not: what is not loaded by then is in `not_loaded` or waits. A session that is lost shows below.
        let _ = timeout_at(began + LOAD_MAX, self.load_the_rest(working, begin, is_cancelled)).await;
        patience.end_waits();
        while let Some(done) = working.next().await {
            self.settle_batch(done);
        }
        let acked = self.ack_all().await;
        let handed_back = match &arrived {
            Ok(_) => timeout_at(began + BACK_MAX, self.hand_back()).await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        };
        let result = acked.and(handed_back).and(self.ack_all().await).and(arrived);
        self.tell(end, result)
    }

    /// Asks RabbitMQ to send no more, and gathers all that it has sent. Gives how much that was.
    ///
    /// RabbitMQ answers before it tells the queue, so deliveries may still follow the answer. Nobody sees them, and the queue gets
    /// them back as redelivered. So no ack goes out before: once the prefetch is reached, the queue has nothing more to send.
    async fn stop_deliveries(&mut self) -> Result<u64, BrokerError> {
        let before = self.acks.newest();
        timeout(FILL_MAX, self.fill_up()).await.unwrap_or(Ok(()))?;
        let no_answer = BrokerError::Timeout { operation: "cancel the consumer", after: CANCEL_MAX };
        timeout(CANCEL_MAX, self.consumer.cancel()).await.unwrap_or(Err(no_answer))?;
        self.gather_arrived();
        Ok(self.acks.newest() - before)
    }

    /// Gathers until RabbitMQ may send no more, or has no more.
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
        // The end of the deliveries is an error to those who wait for more.
        while let Some(Ok(delivery)) = self.consumer.next_arrived() {
            self.add(delivery);
        }
    }

    /// Loads what is in flight and, unless RabbitMQ may still send more, what waits. Begins nothing more once Redis has not taken
    /// something.
    async fn load_the_rest<F: Future<Output = Done>>(
        &mut self,
        working: &mut FuturesUnordered<F>,
        begin: impl Fn(Work) -> F,
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

    /// Acks all that may be acked, behind holes too.
    async fn ack_all(&mut self) -> Result<(), BrokerError> {
        let acks = async {
            self.ack_run().await?;
            self.ack_beyond_hole().await
        };
        let no_answer = BrokerError::Timeout { operation: "ack", after: ACKS_MAX };
        timeout(ACKS_MAX, acks).await.unwrap_or(Err(no_answer))
    }

    /// Gives what was not loaded back to the queue, and waits until the lane has stored that and the failures.
    async fn hand_back(&mut self) -> Result<(), BrokerError> {
        let mut rest = std::mem::take(&mut self.not_loaded);
        rest.extend(self.waiting.take_all());
        if !rest.is_empty() {
            // Whoever takes it next is not to find a note of ours.
            suspect::retract_soon(self.loader).await;
        }
        rest.into_iter().for_each(|delivery| self.hand_over(delivery, Republish::LoadQueue));
        while self.in_lane > 0 || !self.before_lane.is_empty() {
            match timeout(LOOK_EVERY, self.told.recv()).await {
                Ok(Some(told)) => self.settle_told(told).await?,
                Ok(None) => break,
                Err(_) => self.fill_lane(),
            }
        }
        Ok(())
    }

    /// Tells what was not loaded, and what could not be done in order.
    fn tell(&self, end: End, result: Result<u64, BrokerError>) -> Result<End, BrokerError> {
        let (queue, back, unacked) =
            (self.loader.broker.names().load(), self.handed_back, self.acks.unacked());
        if back > 0 {
            tracing::info!(back, "{back} messages are back in {queue}: Redis did not take them in time");
        }
        match result {
            Err(error) if end == End::Stopped => {
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
            Ok(arrived) if arrived > 0 && end == End::Drained => Ok(End::Unfinished),
            Ok(_) => Ok(end),
        }
    }
}
