//! The queue of gap records. Records are read in parts. They are removed when their gap is filled or given up.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::gap_plan::{Gap, NoGap};
use super::queue_access::{Found, QueueAccess, SessionError};
use crate::broker::{
    Broker, BrokerError, Outgoing, Part, PublishError, Publisher, QueueReader, Route, Taken,
};
use crate::gap::GapRecord;
use crate::health::Health;
use crate::retry::Backoff;
use crate::terminal::Escaped;

/// Records read together. They are in memory, and each hour of them is a request to GH Archive.
pub(super) const RECORDS_MAX: u32 = 10_000;

/// The queue of gap records, with a publisher for records that move to its tail.
pub(super) struct GapQueue {
    name: String,
    access: QueueAccess,
    /// Messages that are no records, as logged last.
    strange: u32,
    publisher: Publisher,
    shutdown: CancellationToken,
}

/// The records at the head of the queue.
#[derive(Default)]
pub(super) struct Records {
    /// The gaps, each once.
    pub(super) gaps: Vec<Gap>,
    /// Records that no replay fills, each once.
    pub(super) out_of_reach: Vec<GapRecord>,
    /// The number of messages read. Some gaps have two records, and some messages are no records.
    pub(super) messages: u32,
    /// Messages behind them.
    pub(super) behind: u32,
    /// The most deliveries that RabbitMQ has counted for one of the messages. 4.3 and later do not count looks.
    pub(super) counted: u32,
}

/// What becomes of records, by the ids of their gaps. All others stay as they are.
#[derive(Default)]
pub(super) struct Settled {
    /// Filled or given up: their records are removed.
    pub(super) done: HashSet<String>,
    /// Their records get another body.
    pub(super) changed: HashMap<String, Vec<u8>>,
}

impl Settled {
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.changed.is_empty()
    }
}

impl GapQueue {
    pub(super) fn new(broker: &Broker, health: &Health, shutdown: CancellationToken) -> Self {
        let server = health.dependency(format!("RabbitMQ at {} (gaps)", broker.address()));
        let name = broker.names().gaps();
        let access = QueueAccess::new(broker, name.clone(), server, Duration::ZERO, shutdown.clone());
        Self { name, access, strange: 0, publisher: broker.publisher(&[Part::Gaps], health, false), shutdown }
    }

    /// The first records, `most` messages at most, however long RabbitMQ takes to be there. They stay where they are.
    ///
    /// # Errors
    /// As [`QueueAccess::open`].
    pub(super) async fn look(&mut self, most: u32) -> anyhow::Result<Records> {
        let mut backoff = Backoff::for_server();
        loop {
            let Found::Ready(mut reader, ready) = self.access.open().await? else {
                return Ok(Records::default());
            };
            match self.read(&mut reader, most.min(ready), ready).await {
                Ok(records) => {
                    reader.close().await;
                    return Ok(records);
                }
                Err(error) => self.access.lost(error),
            }
            backoff.pause(&self.shutdown).await?;
        }
    }

    async fn read(
        &mut self,
        reader: &mut QueueReader,
        most: u32,
        ready: u32,
    ) -> Result<Records, BrokerError> {
        let (mut records, mut ids) = (Records::default(), HashSet::new());
        let mut strange = (0_u32, String::new());
        while records.messages < most {
            let some = reader.take((most - records.messages) as usize).await?;
            if some.is_empty() {
                break;
            }
            for taken in some {
                records.messages += 1;
                records.counted = records.counted.max(taken.envelope.counted_deliveries());
                match Gap::parse(&taken.body) {
                    Ok(gap) if ids.insert(gap.record.id()) => records.gaps.push(gap),
                    Err(NoGap::OutOfReach(record)) if ids.insert(record.id()) => {
                        records.out_of_reach.push(*record);
                    }
                    Ok(_) | Err(NoGap::OutOfReach(_)) => {}
                    Err(NoGap::NoRecord(why)) => strange = (strange.0 + 1, why),
                }
            }
        }
        self.tell_strange(strange.0, &strange.1);
        records.behind = ready.saturating_sub(records.messages);
        Ok(records)
    }

    /// Logs that there are messages that are no records, unless as many were logged before.
    fn tell_strange(&mut self, count: u32, why: &str) {
        if count > 0 && count != self.strange {
            tracing::warn!(
                "{count} messages of {} are no records of gaps, and stay there; the last one: {}",
                self.name,
                Escaped(why)
            );
        }
        self.strange = count;
    }

    /// Takes the first `messages` again. Removes the records that are done, and moves the others to the tail, so that the records
    /// behind them can be read. RabbitMQ counts the deliveries of a moved message from 0.
    ///
    /// # Errors
    /// As [`QueueAccess::open`].
    pub(super) async fn settle(&mut self, messages: u32, settled: &Settled) -> anyhow::Result<()> {
        let (mut left, mut moved) = (messages, HashSet::new());
        let mut backoff = Backoff::for_server();
        while left > 0 {
            let Found::Ready(mut reader, _) = self.access.open().await? else { return Ok(()) };
            match self.settle_some(&mut reader, &mut left, settled, &mut moved).await {
                Ok(()) => {
                    reader.close().await;
                    return Ok(());
                }
                Err(SessionError::Final(error)) => {
                    reader.close().await;
                    return Err(error);
                }
                Err(SessionError::Lost(error)) => self.access.lost(error),
            }
            backoff.pause(&self.shutdown).await?;
        }
        Ok(())
    }

    /// One session of [`Self::settle`]. `moved` are the ids of records that are confirmed at the tail.
    async fn settle_some(
        &mut self,
        reader: &mut QueueReader,
        left: &mut u32,
        settled: &Settled,
        moved: &mut HashSet<String>,
    ) -> Result<(), SessionError> {
        while *left > 0 {
            let some = reader.take(*left as usize).await?;
            if some.is_empty() {
                return Ok(());
            }
            *left = left.saturating_sub(u32::try_from(some.len()).unwrap_or(u32::MAX));
            let is_gone = |taken: &Taken| {
                id_of(taken).is_some_and(|id| settled.done.contains(&id) || moved.contains(&id))
            };
            let (gone, mut stays): (Vec<_>, Vec<_>) = some.into_iter().partition(is_gone);
            let ids: Vec<String> = stays.iter().filter_map(id_of).collect();
            // Most often none has changed, and none has to be read.
            for record in stays.iter_mut().filter(|_| !settled.changed.is_empty()) {
                if let Some(body) = id_of(record).and_then(|id| settled.changed.get(&id)) {
                    record.body.clone_from(body);
                }
            }
            let mut tags: Vec<u64> = gone.iter().map(|taken| taken.tag).collect();
            tags.extend(self.copy_to_tail(stays).await?);
            reader.ack(&tags).await?;
            moved.extend(ids);
        }
        Ok(())
    }

    /// Publishes copies, and returns the tags of the originals whose copies are confirmed. A crash before they are acked leaves two
    /// records of a gap, which is harmless.
    async fn copy_to_tail(&mut self, records: Vec<Taken>) -> Result<Vec<u64>, PublishError> {
        let (tags, copies): (Vec<u64>, Vec<Outgoing>) = records
            .into_iter()
            .map(|Taken { tag, body, envelope, .. }| {
                (tag, Outgoing { route: Route::Queue(self.name.clone()), body, envelope: envelope.copied() })
            })
            .unzip();
        let too_large = self.publisher.publish_all(&copies, &self.shutdown).await?;
        let is_kept = |copy: &Outgoing| !too_large.iter().any(|refused| std::ptr::eq(refused.message, copy));
        Ok(tags.into_iter().zip(&copies).filter(|(_, copy)| is_kept(copy)).map(|(tag, _)| tag).collect())
    }

    /// Closes the connection of the publisher.
    pub(super) async fn close(&mut self) {
        self.publisher.close().await;
    }
}

fn id_of(taken: &Taken) -> Option<String> {
    GapRecord::parse(&taken.body).ok().map(|record| record.id())
}
