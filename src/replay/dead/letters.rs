//! Takes the dead letters that the flags ask for, from the queue that they name.

use std::time::Duration;

use anyhow::bail;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::super::queue_access::{Found, QueueAccess, SessionError};
use super::super::say;
use super::destination::Destination;
use crate::broker::{Broker, BrokerError, QueueReader, Taken};
use crate::config::DeadArgs;
use crate::dead_letters::{Group, Groups, Origin, origin, reason};
use crate::health::Health;
use crate::retry::{Backoff, Interrupted};

/// Letters taken together. A crash leaves this many at most in two places.
const BATCH: usize = 256;
/// Bytes after which a batch is full.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How long to wait for letters of an empty queue. Another program may hold them unacked, which AMQP does not show.
const LOOKS_AGAIN_FOR: Duration = Duration::from_secs(2);

/// The kind of queue.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The dead letters of one load queue.
    DeadLetters,
    /// Messages that no load queue took, and messages that RabbitMQ moved there.
    Unrouted,
}

/// The letters that `args` asks for.
pub(super) struct Letters<'a> {
    args: &'a DeadArgs,
    broker: &'a Broker,
    kind: Kind,
    access: QueueAccess,
    shutdown: CancellationToken,
    /// The most letters to take.
    limit: u64,
    /// Taken and acked.
    moved: u64,
    /// Letters delivered, wanted or not.
    seen: u64,
}

impl<'a> Letters<'a> {
    pub(super) fn new(
        args: &'a DeadArgs,
        broker: &'a Broker,
        health: &Health,
        shutdown: CancellationToken,
    ) -> Self {
        let (kind, queue) = match args.is_unrouted() {
            true => (Kind::Unrouted, broker.names().unrouted()),
            false => (Kind::DeadLetters, broker.names().dead()),
        };
        let server = health.dependency(format!("RabbitMQ at {} (dead letters)", broker.address()));
        let access = QueueAccess::new(broker, queue, server, LOOKS_AGAIN_FOR, shutdown.clone());
        let limit = args.limit.unwrap_or(u64::MAX);
        Self { args, broker, kind, access, shutdown, limit, moved: 0, seen: 0 }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind.clone()
    }

    /// The queue's whole name.
    pub(super) fn queue(&self) -> &str {
        self.access.queue()
    }

    pub(super) fn limit_to(&mut self, count: u64) {
        self.limit = self.limit.min(count);
    }

    /// Prints the summary, unless the run failed before any letter was taken.
    pub(super) fn tell(&self, ended: &anyhow::Result<()>, verb: &str, whereto: &str) {
        if ended.is_ok() || self.moved > 0 {
            say(&self.sentence(verb, whereto));
        }
    }

    fn sentence(&self, verb: &str, whereto: &str) -> String {
        let what = match self.kind {
            Kind::DeadLetters => "dead letters".to_owned(),
            Kind::Unrouted => format!("messages of {}", self.queue()),
        };
        let why = match (self.moved, self.seen) {
            (0, 0) => format!(": none was ready in {} for {} s", self.queue(), LOOKS_AGAIN_FOR.as_secs()),
            (0, seen) if self.args.matching.is_some() => format!(": {} were looked at", HumanCount(seen)),
            _ => String::new(),
        };
        format!("{verb} {} {what} {whereto}{why}\n", HumanCount(self.moved))
    }

    /// Groups all letters that are wanted by reason. Meanwhile they are unacked; in the end they are back in their queue.
    pub(super) async fn look(&mut self) -> anyhow::Result<Vec<Group>> {
        let mut backoff = Backoff::for_server();
        loop {
            let (mut reader, ready) = self.open().await?;
            let looked = tokio::select! {
                looked = self.group(&mut reader, ready) => looked,
                () = self.shutdown.cancelled() => Ok(None),
            };
            match looked {
                Ok(groups) => {
                    reader.close().await;
                    return groups.map(Groups::largest_first).ok_or(Interrupted.into());
                }
                Err(error) => self.access.lost(error),
            }
            backoff.pause(&self.shutdown).await?;
        }
    }

    async fn group(&self, reader: &mut QueueReader, ready: u32) -> Result<Option<Groups>, BrokerError> {
        let mut groups = Groups::default();
        // No more than are there now, without letters that come meanwhile.
        let (mut wanted, mut left) = (self.limit, ready as usize);
        while wanted > 0 && left > 0 {
            let letters = reader.take(left).await?;
            left = if letters.is_empty() { 0 } else { left - letters.len() };
            for letter in letters.iter().filter(|letter| self.wants(letter)) {
                if wanted > 0 {
                    groups.add(self.kind.reason(letter, self.broker), letter);
                    wanted -= 1;
                }
            }
        }
        Ok(Some(groups))
    }

    /// Gives the letters that are wanted to `destination`, over as many sessions as it takes. Each letter is acked after the
    /// destination has stored it, so that it is always in one place at least.
    pub(super) async fn drain(&mut self, destination: &mut Destination<'_>) -> anyhow::Result<()> {
        let mut backoff = Backoff::for_server();
        loop {
            let (mut reader, ready) = self.open().await?;
            match self.pass(&mut reader, ready, destination).await {
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
    }

    async fn pass(
        &mut self,
        reader: &mut QueueReader,
        ready: u32,
        destination: &mut Destination<'_>,
    ) -> Result<(), SessionError> {
        // No more than are there now: a letter that fails again at once must not go round for ever.
        let mut left = ready as usize;
        while left > 0 && self.moved < self.limit {
            if self.shutdown.is_cancelled() {
                return Err(SessionError::Final(Interrupted.into()));
            }
            let room = usize::try_from(self.limit - self.moved).unwrap_or(usize::MAX);
            // No more than the destination accepts together, so that a stop leaves no letter stored and unacked.
            let room = room.min(BATCH).min(destination.at_once());
            let batch = self.gather(reader, &mut left, room).await?;
            let accepted = destination.accept(batch).await.map_err(SessionError::Final)?;
            reader.ack(&accepted).await?;
            self.moved += accepted.len() as u64;
        }
        Ok(())
    }

    /// Takes up to `room` letters that are wanted. The others stay unacked until the session ends.
    async fn gather(
        &mut self,
        reader: &mut QueueReader,
        left: &mut usize,
        room: usize,
    ) -> Result<Vec<Taken>, BrokerError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while *left > 0 && batch.len() < room && bytes < BATCH_BYTES {
            let letters = reader.take((room - batch.len()).min(*left)).await?;
            *left = if letters.is_empty() { 0 } else { *left - letters.len() };
            self.seen += letters.len() as u64;
            for letter in letters.into_iter().filter(|letter| self.wants(letter)) {
                bytes += letter.body.len();
                batch.push(letter);
            }
        }
        Ok(batch)
    }

    fn wants(&self, letter: &Taken) -> bool {
        let matches = |text: &String| self.kind.reason(letter, self.broker).contains(text);
        self.args.matching.as_ref().is_none_or(matches)
    }

    /// A session on the queue, and how many letters are ready.
    async fn open(&mut self) -> anyhow::Result<(Box<QueueReader>, u32)> {
        match self.access.open().await? {
            Found::Ready(reader, ready) => Ok((reader, ready)),
            Found::Absent => bail!("queue {} does not exist: {}", self.queue(), self.kind.remedy()),
        }
    }
}

impl Kind {
    /// The remedy for a queue that does not exist.
    fn remedy(&self) -> &'static str {
        match self {
            Self::DeadLetters => {
                "check --queue and --namespace (ETL_NAMESPACE); the loaders of a load queue make it"
            }
            Self::Unrouted => "check --namespace (ETL_NAMESPACE); the fetcher makes it",
        }
    }

    /// Why a letter is there, as `--list` shows it and `--match` sees it.
    pub(super) fn reason(&self, letter: &Taken, broker: &Broker) -> String {
        match self {
            Self::DeadLetters => reason(letter),
            Self::Unrouted => match origin(letter, broker.names()) {
                Origin::Exchange => "unrouted: published while no load queue was bound".into(),
                Origin::LoadQueue(queue) => {
                    format!("moved by RabbitMQ from {queue}.dead: {}", reason(letter))
                }
                Origin::Gaps => "moved by RabbitMQ from gaps: a record of a gap".into(),
            },
        }
    }
}
