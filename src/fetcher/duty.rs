//! Which fetcher polls: the one that holds the memory. Any other waits, and takes over when RabbitMQ gives it the memory.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, MemoryQueue, PublishError};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// A fetcher that is given the memory sooner than this does not call it waiting.
const WAIT_TOLD_AFTER: Duration = Duration::from_secs(3);
/// How often a fetcher that waits makes sure that there is something to wait for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The right to poll, held or waited for.
pub(super) struct Duty {
    broker: Broker,
    dependency: Dependency,
    queue: Option<MemoryQueue>,
    /// A session was open once. From then on no fault is final.
    was_open: bool,
}

/// The result of waiting for the right to poll.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn<T> {
    /// This fetcher has the right to poll.
    Ours(T),
    /// Another fetcher kept it for the whole wait.
    Others,
}

impl Duty {
    /// Not on duty, and not waiting yet.
    pub(super) fn new(broker: &Broker, health: &Health) -> Self {
        let dependency =
            health.dependency(format!("RabbitMQ at {} (the fetcher's memory)", broker.address()));
        Self { broker: broker.clone(), dependency, queue: None, was_open: false }
    }

    /// Waits until this fetcher is on duty, and returns the memories in the queue: one, or more if a fetcher died while it saved.
    /// If there is none, publishes `ours`. With `limit`, it waits no longer for another fetcher.
    ///
    /// # Errors
    /// [`PublishError`] when the program is to stop, or when the first session is refused and waiting does not help.
    pub(super) async fn begin(
        &mut self,
        ours: &[u8],
        limit: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<Turn<Vec<Vec<u8>>>, PublishError> {
        let mut backoff = Backoff::for_server();
        loop {
            let begun = tokio::select! {
                begun = self.try_begin(ours, limit) => begun,
                () = shutdown.cancelled() => return Err(Interrupted.into()),
            };
            match begun {
                Ok(begun) => return Ok(begun),
                Err(error) if error.waiting_cannot_help() && !self.was_open => {
                    return Err(PublishError::Hopeless(error));
                }
                Err(error) => self.dependency.away(error),
            }
            backoff.pause(shutdown).await?;
        }
    }

    async fn try_begin(
        &mut self,
        ours: &[u8],
        limit: Option<Duration>,
    ) -> Result<Turn<Vec<Vec<u8>>>, BrokerError> {
        let mut queue = self.broker.memory_queue(ours).await?;
        self.was_open = true;
        self.dependency.up();
        let Some(first) = wait(&mut queue, ours, limit).await? else { return Ok(Turn::Others) };
        let mut memories = vec![first];
        while let Some(more) = queue.next_arrived()? {
            memories.push(more);
        }
        self.queue = Some(queue);
        Ok(Turn::Ours(memories))
    }

    /// Returns when this fetcher is not on duty any more, with the reason. Safe to drop while waiting.
    pub(super) async fn lost(&mut self) -> BrokerError {
        loop {
            let Some(queue) = &mut self.queue else { return self.off_duty() };
            // A message that comes now is what another fetcher began with; it goes with the next save.
            if let Err(error) = queue.next().await {
                return error;
            }
        }
    }

    /// Checks that this fetcher is still on duty.
    ///
    /// # Errors
    /// [`BrokerError`] when it is not.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        self.queue.as_ref().map_or_else(|| Err(self.off_duty()), MemoryQueue::check)
    }

    /// Replaces the memory in the queue by `memory`. False while RabbitMQ blocks publishers.
    ///
    /// # Errors
    /// [`BrokerError`] when it could not be saved; the duty is lost then.
    pub(super) async fn save(&mut self, memory: &[u8]) -> Result<bool, BrokerError> {
        match &mut self.queue {
            None => Err(self.off_duty()),
            Some(queue) => queue.save(memory).await,
        }
    }

    /// The duty is lost, for this reason.
    pub(super) fn end(&mut self, error: BrokerError) {
        self.queue = None;
        self.dependency.away(error);
    }

    /// Hands the memory on to whichever fetcher waits.
    pub(super) async fn close(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.close().await;
        }
    }

    fn off_duty(&self) -> BrokerError {
        BrokerError::Cancelled { queue: self.broker.names().memory() }
    }
}

/// Waits for the memory. None if another fetcher keeps it for longer than `limit`.
async fn wait(
    queue: &mut MemoryQueue,
    ours: &[u8],
    limit: Option<Duration>,
) -> Result<Option<Vec<u8>>, BrokerError> {
    let began = Instant::now();
    let mut is_told = false;
    let mut pause = limit.unwrap_or(WAIT_TOLD_AFTER);
    loop {
        if let Ok(memory) = tokio::time::timeout(pause, queue.next()).await {
            if is_told {
                tracing::info!("this fetcher takes over after waiting for {} s", began.elapsed().as_secs());
            }
            return memory.map(Some);
        }
        if limit.is_some() {
            return Ok(None);
        }
        if !std::mem::replace(&mut is_told, true) {
            tracing::info!(
                "another fetcher polls for this namespace; this one waits and takes over when that one ends"
            );
        }
        queue.seed_if_alone(ours).await?;
        pause = LOOK_EVERY;
    }
}
