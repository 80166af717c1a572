//! The queue of gap records: looked at as a whole, and taken from only when a gap is done.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::gap_plan::Gap;
use super::patiently;
use crate::broker::{Broker, BrokerError};
use crate::health::{Dependency, Health};
use crate::retry::Interrupted;
use crate::terminal::Escaped;

/// Records looked at in one round; the others wait for the next.
const RECORDS_MAX: u32 = 10_000;

pub(super) struct GapQueue {
    broker: Broker,
    server: Dependency,
}

impl GapQueue {
    pub(super) fn new(broker: &Broker, health: &Health) -> Self {
        let server = health.dependency(format!("RabbitMQ at {} (gaps)", broker.address()));
        Self { broker: broker.clone(), server }
    }

    /// Every gap on record, each once, however long RabbitMQ takes to be there. What is no record is left where it is.
    pub(super) async fn look(&self, shutdown: &CancellationToken) -> Result<Vec<Gap>, Interrupted> {
        patiently(&self.server, shutdown, async || self.pass(|_| false).await).await
    }

    /// Removes the records with these ids, however long it takes.
    pub(super) async fn remove(
        &self,
        ids: &HashSet<String>,
        shutdown: &CancellationToken,
    ) -> Result<(), Interrupted> {
        if ids.is_empty() {
            return Ok(());
        }
        let done = |gap: &Gap| ids.contains(&gap.record.id());
        patiently(&self.server, shutdown, async || self.pass(done).await).await.map(drop)
    }

    /// Goes through the queue once and removes the records that are `done`; the rest is back when the session closes.
    async fn pass(&self, done: impl Fn(&Gap) -> bool) -> Result<Vec<Gap>, BrokerError> {
        let taker = self.broker.taker().await?;
        let queue = self.broker.names().gaps();
        let (mut gaps, mut ids) = (Vec::new(), HashSet::new());
        for _ in 0..taker.depth(&queue).await?.ready.min(RECORDS_MAX) {
            let Some(taken) = taker.take(&queue).await? else { break };
            match Gap::parse(&taken.body) {
                Ok(gap) if done(&gap) => taker.ack(taken.tag).await?,
                Ok(gap) if ids.insert(gap.record.id()) => gaps.push(gap),
                Ok(_) => {}
                Err(why) => {
                    tracing::warn!("{queue} holds what is no record of a gap, left there: {}", Escaped(&why))
                }
            }
        }
        taker.close().await;
        Ok(gaps)
    }
}
