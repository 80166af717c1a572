//! `replay dead`: look at the dead letters, or send them back to their load queue.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::dead_list::{Groups, reason_of};
use super::feeder::{Feeder, Target};
use super::tally::thousands;
use super::{patiently, say};
use crate::broker::{Broker, BrokerError, Outgoing, Taken, Taker};
use crate::config::{DeadArgs, ListFormat};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// Sent back together: a kill in the middle leaves so many in both queues at most.
const BATCH: usize = 256;

/// Does what `args` asks for.
///
/// # Errors
/// When RabbitMQ refuses us for good at the start. One that goes away is waited for.
pub(super) async fn run(
    args: &DeadArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let server = health.dependency(format!("RabbitMQ at {} (dead letters)", broker.address()));
    let mut feeder = Feeder::new(broker, Target::LoadQueue, &args.pace, health, shutdown.clone());
    feeder.open().await?;
    let mut job = Job { args, broker, server, feeder, sent: 0, refused: 0 };
    let ended =
        if args.list || args.dry_run { job.look(&shutdown).await } else { job.send_back(&shutdown).await };
    job.feeder.close().await;
    if !(args.list || args.dry_run) {
        let (sent, queue) = (thousands(job.sent), broker.names().load());
        say(&format!("sent {sent} dead letters back to {queue}\n"));
    }
    ended?;
    if job.refused > 0 {
        bail!(
            "{} dead letters are larger than RabbitMQ takes now, and left where they are: see the log",
            job.refused
        );
    }
    Ok(())
}

struct Job<'a> {
    args: &'a DeadArgs,
    broker: &'a Broker,
    server: Dependency,
    feeder: Feeder,
    /// Sent back so far.
    sent: u64,
    /// Left where they are, because RabbitMQ does not take them any more.
    refused: usize,
}

impl Job<'_> {
    /// Shows what there is, or what would be sent back. All of it is in our hands meanwhile, and back when we close.
    async fn look(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let groups = patiently(&self.server, shutdown, async || self.try_look().await).await?;
        if self.args.format == ListFormat::Table && !self.args.list {
            say("would send back:\n");
        }
        say(&groups.show(self.args.format));
        Ok(())
    }

    async fn try_look(&self) -> Result<Groups, BrokerError> {
        let taker = self.broker.taker().await?;
        let queue = self.broker.names().dead();
        let mut groups = Groups::default();
        let mut left = self.limit();
        // No more than there are now: what fails again meanwhile is not for us.
        for _ in 0..taker.depth(&queue).await?.ready {
            let Some(taken) = taker.take(&queue).await? else { break };
            if left > 0 && self.wants(&taken) {
                groups.add(&taken.envelope);
                left -= 1;
            }
        }
        taker.close().await;
        Ok(groups)
    }

    /// Sends back what was asked for, over as many sessions as it takes.
    async fn send_back(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::for_server();
        loop {
            match self.try_send_back(shutdown).await? {
                Ok(()) => {
                    self.server.up();
                    return Ok(());
                }
                Err(error) => self.server.away(error),
            }
            backoff.pause(shutdown).await?;
        }
    }

    async fn try_send_back(
        &mut self,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Result<(), BrokerError>> {
        let taker = match self.broker.taker().await {
            Ok(taker) => taker,
            Err(error) => return Ok(Err(error)),
        };
        let done = self.send_all_from(&taker, shutdown).await?;
        // Those that do not match stand in the queue again.
        taker.close().await;
        Ok(done)
    }

    async fn send_all_from(
        &mut self,
        taker: &Taker,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Result<(), BrokerError>> {
        let queue = self.broker.names().dead();
        let mut left_in_queue = match taker.depth(&queue).await {
            // No more than there are now: one that fails again at once must not go round for ever.
            Ok(depth) => depth.ready,
            Err(error) => return Ok(Err(error)),
        };
        while left_in_queue > 0 && self.sent < self.limit() {
            if shutdown.is_cancelled() {
                return Err(Interrupted.into());
            }
            let room = usize::try_from(self.limit() - self.sent).unwrap_or(usize::MAX);
            // No more than leave together, so that a stop finds none that is published and not acked.
            let room = room.min(BATCH).min(self.feeder.at_once());
            let batch = match self.gather(taker, &queue, &mut left_in_queue, room).await {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error)),
            };
            if let Err(error) = self.move_back(taker, batch).await? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Takes up to `room` that match.
    async fn gather(
        &self,
        taker: &Taker,
        queue: &str,
        left: &mut u32,
        room: usize,
    ) -> Result<Vec<Taken>, BrokerError> {
        let mut batch = Vec::new();
        while *left > 0 && batch.len() < room {
            let Some(taken) = taker.take(queue).await? else {
                *left = 0;
                break;
            };
            *left -= 1;
            if self.wants(&taken) {
                batch.push(taken);
            }
        }
        Ok(batch)
    }

    /// Publishes, and acks only what is confirmed: whatever happens in between, each is in one queue at least.
    async fn move_back(
        &mut self,
        taker: &Taker,
        batch: Vec<Taken>,
    ) -> anyhow::Result<Result<(), BrokerError>> {
        let tags: Vec<u64> = batch.iter().map(|taken| taken.tag).collect();
        let messages: Vec<Outgoing> = batch.into_iter().map(redriven).collect();
        let refused = self.feeder.publish(&messages).await?;
        self.refused += refused.len();
        for one in &refused {
            tracing::error!("left with the dead letters: {}", one.reason);
        }
        for (place, tag) in tags.into_iter().enumerate() {
            if refused.iter().any(|one| one.place == place) {
                continue;
            }
            if let Err(error) = taker.ack(tag).await {
                return Ok(Err(error));
            }
            self.sent += 1;
        }
        Ok(Ok(()))
    }

    fn limit(&self) -> u64 {
        self.args.limit.unwrap_or(u64::MAX)
    }

    fn wants(&self, taken: &Taken) -> bool {
        self.args.matching.as_ref().is_none_or(|text| reason_of(&taken.envelope).contains(text))
    }
}

/// The message as it was before it failed, but for its history.
fn redriven(taken: Taken) -> Outgoing {
    let Taken { envelope, routing_key, .. } = &taken;
    // What RabbitMQ dead-lettered on its own has no note of ours; its type is what it was published under.
    let routing_key =
        envelope.original_routing_key().or_else(|| envelope.kind()).unwrap_or_else(|| routing_key.clone());
    Outgoing {
        route: Target::LoadQueue.route(routing_key),
        body: taken.body,
        envelope: taken.envelope.redriven(),
    }
}
