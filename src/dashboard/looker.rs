//! Reads the lengths of RabbitMQ's queues, and the first dead letters and gap records, while a client asks or metrics are scraped. The
//! messages go back to their queue at once.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::depths::{Depths, Queue};
use super::shared::{Dated, Shared};
use crate::broker::{Broker, BrokerError, Taken};
use crate::dead_letters::{Group, Groups, reason};
use crate::gap::GapRecord;

/// How often lengths are read.
const DEPTHS_EVERY: Duration = Duration::from_secs(2);
/// How often messages are read, and how often when their number stays the same. RabbitMQ before 4.3 counts each read as a delivery,
/// and a policy's delivery limit may be low: for each delivery that was counted, the wait doubles.
const MESSAGES_EVERY: Duration = Duration::from_secs(15);
const UNCHANGED_EVERY: Duration = Duration::from_secs(120);
const SELDOM: Duration = Duration::from_secs(3600);
/// Messages, bytes and time of one read at most. While it lasts, no other program can take the messages.
const MESSAGES_MAX: usize = 200;
const BYTES_MAX: usize = 8 * 1024 * 1024;
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The contents of the queues at the last read.
#[derive(Default)]
pub(super) struct QueueSnapshots {
    pub(super) queues: Option<Dated<Vec<Queue>>>,
    pub(super) dead: Option<Dated<DeadLetters>>,
    pub(super) gaps: Option<Dated<Gaps>>,
}

/// The number of dead letters, and the first of them by reason.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct DeadLetters {
    pub(super) total: u32,
    pub(super) looked_at: usize,
    pub(super) groups: Vec<Group>,
}

/// The number of gap records, and the first of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Gaps {
    pub(super) total: u32,
    pub(super) gaps: Vec<GapRecord>,
}

/// The last read of a queue's messages.
#[derive(Clone, Copy, Debug)]
struct LastLook {
    at: Instant,
    /// Messages in the queue then.
    ready: u32,
    /// The most deliveries that RabbitMQ had counted for one of them.
    counted: u32,
}

impl LastLook {
    fn every(self, ready: u32) -> Duration {
        let every = if self.ready == ready { UNCHANGED_EVERY } else { MESSAGES_EVERY };
        every.saturating_mul(1 << self.counted.min(16)).min(SELDOM)
    }
}

/// When one queue's messages have to be read again.
#[derive(Default)]
struct Messages {
    looked: Option<LastLook>,
}

impl Messages {
    fn is_due(&self, ready: u32) -> bool {
        self.looked.is_none_or(|looked| looked.at.elapsed() >= looked.every(ready))
    }

    /// Reads the first messages of `queue`, which has `ready`. None while another program holds them unacked.
    async fn look(
        &mut self,
        broker: &Broker,
        queue: &str,
        ready: u32,
        mut see: impl FnMut(&Taken),
    ) -> Result<Option<usize>, BrokerError> {
        let mut reader = match broker.read_queue(queue).await {
            Ok(reader) => reader,
            Err(BrokerError::InUse { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let at = Instant::now();
        let (mut messages, mut bytes, mut counted) = (0, 0, 0);
        while messages < MESSAGES_MAX && bytes < BYTES_MAX && at.elapsed() < LOOK_MAX {
            let some = reader.take(MESSAGES_MAX - messages).await?;
            if some.is_empty() {
                break;
            }
            for message in some {
                counted = counted.max(message.envelope.counted_deliveries());
                bytes += message.body.len();
                messages += 1;
                see(&message);
            }
        }
        reader.close().await;
        self.looked = Some(LastLook { at, ready, counted });
        Ok(Some(messages))
    }
}

/// The task that reads queues, with its session.
struct Looker {
    shared: Arc<Shared>,
    broker: Broker,
    depths: Depths,
    dead: Messages,
    gaps: Messages,
}

/// Reads queues until the program ends. It connects when a client asks for the first time.
pub(super) async fn run(shared: Arc<Shared>, broker: Broker) {
    let mut looker = Looker {
        shared: Arc::clone(&shared),
        broker,
        depths: Depths::default(),
        dead: Messages::default(),
        gaps: Messages::default(),
    };
    let mut has_warned = false;
    loop {
        if !(shared.is_asked() || shared.is_scraped()) {
            looker.depths.rest().await;
        } else if let Err(error) = looker.look().await {
            // The listener reports that RabbitMQ is away.
            if !shared.rabbitmq.is_away() && !std::mem::replace(&mut has_warned, true) {
                tracing::warn!("cannot look into {} and its like: {error}", shared.names.load());
            }
        }
        pause(&shared).await;
    }
}

/// Waits for the next read, which is due at once when a client asks for the first time.
async fn pause(shared: &Shared) {
    for _ in 0..DEPTHS_EVERY.as_millis() / 100 {
        sleep(Duration::from_millis(100)).await;
        if (shared.is_asked() || shared.is_scraped())
            && shared.looks.lock().queues.is_none()
            && !shared.rabbitmq.is_away()
        {
            return;
        }
    }
}

impl Looker {
    async fn look(&mut self) -> Result<(), BrokerError> {
        let queues = self.depths.count(&self.broker, &self.shared.names).await?;
        let ready = |kind: &str| queues.iter().find(|queue| queue.kind == kind)?.ready;
        let (dead, gaps) = (ready("dead"), ready("gaps"));
        self.shared.looks.lock().take(queues, dead, gaps);
        if !self.shared.is_asked() {
            // Metrics need no more than depths.
            return Ok(());
        }
        self.look_at_dead_letters(dead.unwrap_or(0)).await?;
        self.look_at_gaps(gaps.unwrap_or(0)).await
    }

    async fn look_at_dead_letters(&mut self, total: u32) -> Result<(), BrokerError> {
        if total == 0 {
            self.dead = Messages::default();
            self.shared.looks.lock().dead = Some(Dated::now(DeadLetters::default()));
        } else if self.dead.is_due(total) {
            let mut groups = Groups::default();
            let see = |letter: &Taken| groups.add(reason(letter), letter);
            let looked = self.dead.look(&self.broker, &self.shared.names.dead(), total, see).await?;
            if let Some(looked_at) = looked {
                let groups = groups.largest_first();
                self.shared.looks.lock().dead = Some(Dated::now(DeadLetters { total, looked_at, groups }));
            }
        }
        Ok(())
    }

    async fn look_at_gaps(&mut self, total: u32) -> Result<(), BrokerError> {
        if total == 0 {
            self.gaps = Messages::default();
            self.shared.looks.lock().gaps = Some(Dated::now(Gaps::default()));
        } else if self.gaps.is_due(total) {
            let mut gaps = Vec::new();
            let see = |record: &Taken| gaps.extend(GapRecord::parse(&record.body));
            let looked = self.gaps.look(&self.broker, &self.shared.names.gaps(), total, see).await?;
            if looked.is_some() {
                self.shared.looks.lock().gaps = Some(Dated::now(Gaps { total, gaps }));
            }
        }
        Ok(())
    }
}

impl QueueSnapshots {
    /// Takes the lengths of all queues. The number of dead letters and gaps is read more often than their contents.
    fn take(&mut self, queues: Vec<Queue>, dead: Option<u32>, gaps: Option<u32>) {
        self.queues = Some(Dated::now(queues));
        if let (Some(looked), Some(total)) = (&mut self.dead, dead) {
            looked.value.total = total;
        }
        if let (Some(looked), Some(total)) = (&mut self.gaps, gaps) {
            looked.value.total = total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rabbitmq_counts_is_looked_at_more_and_more_seldom() {
        let every =
            |counted, ready| LastLook { at: Instant::now(), ready: 5, counted }.every(ready).as_secs();
        assert_eq!((every(0, 6), every(0, 5)), (15, 120));
        assert_eq!([1, 2, 3, 7, 8, 100].map(|counted| every(counted, 6)), [30, 60, 120, 1920, 3600, 3600]);
        assert_eq!((every(3, 5), every(u32::MAX, 5)), (960, 3600));
        // A policy's limit of 20, for letters that come all the time.
        let seconds: u64 = (0..20).map(|counted| every(counted, 6)).sum();
        assert!(seconds > 12 * 3600, "{seconds}");
    }
}
