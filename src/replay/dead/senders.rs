//! Sends letters back to where they come from: their load queue, the exchange of events, or the queue of gaps.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::super::ask_until_answered;
use super::super::feeder::{Feeder, Target};
use crate::broker::{Broker, BrokerError, Outgoing, Route, Taken};
use crate::config::DeadArgs;
use crate::dead_letters::{Origin, id, origin};
use crate::health::{Dependency, Health};
use crate::retry::Interrupted;
use crate::terminal::Escaped;

/// Letters that cannot be sent and are logged; more are only counted.
const NAMED_IN_LOG: u64 = 10;

/// Publishes letters with confirms.
pub(super) struct Senders<'a> {
    args: &'a DeadArgs,
    broker: &'a Broker,
    health: &'a Health,
    server: Dependency,
    shutdown: CancellationToken,
    /// One for each load queue, by its name below the namespace.
    feeders: BTreeMap<String, Feeder>,
    /// Whether a queue exists, by its whole name.
    queues: BTreeMap<String, bool>,
    sent: Sent,
    refused: u64,
}

/// How many letters went where.
#[derive(Default)]
struct Sent {
    to_exchange: u64,
    to_load_queues: u64,
    to_gaps: u64,
}

/// A letter, with the message that sends it back.
struct LetterToSend {
    tag: u64,
    origin: Origin,
    message: Outgoing,
}

impl<'a> Senders<'a> {
    pub(super) fn new(
        args: &'a DeadArgs,
        broker: &'a Broker,
        health: &'a Health,
        shutdown: CancellationToken,
    ) -> Self {
        let server = health.dependency(format!("RabbitMQ at {} (dead letters)", broker.address()));
        Self {
            args,
            broker,
            health,
            server,
            shutdown,
            feeders: BTreeMap::new(),
            queues: BTreeMap::new(),
            sent: Sent::default(),
            refused: 0,
        }
    }

    /// The most letters that are published together.
    pub(super) fn at_once(&self) -> usize {
        Feeder::at_once_of(&self.args.pace)
    }

    /// Letters that could not be sent.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Where the letters went, for a sentence.
    pub(super) fn whereto(&self) -> String {
        let names = self.broker.names();
        if !self.args.is_unrouted() {
            return format!("back to {}", names.load());
        }
        let Sent { to_exchange, to_load_queues, to_gaps } = self.sent;
        let [events, letters, gaps] = [to_exchange, to_load_queues, to_gaps].map(HumanCount);
        format!(
            "back where they belong ({events} events to {}, {letters} dead letters to their load queues, {gaps} gap records to {})",
            names.exchange(),
            names.gaps()
        )
    }

    /// Publishes `batch`, and returns the tags of the letters that are confirmed.
    pub(super) async fn send(&mut self, batch: Vec<Taken>) -> anyhow::Result<Vec<u64>> {
        let mut letters: BTreeMap<String, Vec<LetterToSend>> = BTreeMap::new();
        for letter in batch {
            let origin = self.origin(&letter);
            if let Some(missing) = self.missing_queue(&origin).await? {
                self.refuse(&letter, &format!("queue {missing} does not exist"));
                continue;
            }
            let through = match &origin {
                Origin::LoadQueue(queue) => queue.clone(),
                Origin::Exchange | Origin::Gaps => "load".to_owned(),
            };
            letters.entry(through).or_default().push(to_send(letter, origin, self.broker));
        }
        let mut tags = Vec::new();
        for (queue, letters) in letters {
            tags.extend(self.publish(&queue, letters).await?);
        }
        Ok(tags)
    }

    fn origin(&self, letter: &Taken) -> Origin {
        match self.args.is_unrouted() {
            true => origin(letter, self.broker.names()),
            false => Origin::LoadQueue(self.args.queue.clone()),
        }
    }

    /// The queue that a letter needs and that does not exist, if so. The queues of our own load queue are declared when we publish.
    async fn missing_queue(&mut self, origin: &Origin) -> Result<Option<String>, Interrupted> {
        let queue = match origin {
            Origin::Exchange => return Ok(None),
            Origin::LoadQueue(_) if !self.args.is_unrouted() => return Ok(None),
            Origin::LoadQueue(queue) => self.broker.of_queue(queue).names().load().to_owned(),
            Origin::Gaps => self.broker.names().gaps(),
        };
        if !self.queues.contains_key(&queue) {
            let exists =
                ask_until_answered(&self.server, &self.shutdown, async || self.exists(&queue).await).await?;
            self.queues.insert(queue.clone(), exists);
        }
        Ok(if self.queues.get(&queue) == Some(&true) { None } else { Some(queue) })
    }

    async fn exists(&self, queue: &str) -> Result<bool, BrokerError> {
        let session = self.broker.depth_session().await?;
        let looked = session.depth(queue).await;
        session.close().await;
        match looked {
            Ok(_) => Ok(true),
            Err(BrokerError::NoSuchQueue { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn publish(&mut self, queue: &str, letters: Vec<LetterToSend>) -> anyhow::Result<Vec<u64>> {
        let (tags, messages): (Vec<_>, Vec<_>) =
            letters.into_iter().map(|letter| ((letter.tag, letter.origin), letter.message)).unzip();
        let feeder = self.feeder(queue).await?;
        let refused = feeder.publish(&messages).await?;
        self.refused += refused.len() as u64;
        for one in &refused {
            tracing::error!("a letter stays in its queue: {}", one.reason);
        }
        let is_refused = |place: usize| refused.iter().any(|one| one.place == place);
        let sent = tags.into_iter().enumerate().filter(|(place, _)| !is_refused(*place));
        Ok(sent
            .map(|(_, (tag, origin))| {
                self.sent.count(&origin);
                tag
            })
            .collect())
    }

    /// The feeder of a load queue, connected.
    async fn feeder(&mut self, queue: &str) -> anyhow::Result<&mut Feeder> {
        if !self.feeders.contains_key(queue) {
            let broker = self.broker.of_queue(queue);
            let shutdown = self.shutdown.clone();
            let (pace, health) = (&self.args.pace, self.health);
            let mut feeder = Feeder::new(&broker, Target::LoadQueue, pace, false, health, shutdown);
            feeder.open().await?;
            self.feeders.insert(queue.to_owned(), feeder);
        }
        self.feeders.get_mut(queue).ok_or_else(|| anyhow::anyhow!("no feeder for {queue}"))
    }

    fn refuse(&mut self, letter: &Taken, why: &str) {
        self.refused += 1;
        if self.refused <= NAMED_IN_LOG {
            let id = id(letter).unwrap_or_default();
            tracing::error!("message '{}' stays in its queue: {why}", Escaped(&id));
        }
    }

    /// Closes the connections.
    pub(super) async fn close(&mut self) {
        for feeder in self.feeders.values_mut() {
            feeder.close().await;
        }
    }
}

impl Sent {
    fn count(&mut self, origin: &Origin) {
        match origin {
            Origin::Exchange => self.to_exchange += 1,
            Origin::LoadQueue(_) => self.to_load_queues += 1,
            Origin::Gaps => self.to_gaps += 1,
        }
    }
}

/// The message that sends a letter back. It has no failure history.
fn to_send(letter: Taken, origin: Origin, broker: &Broker) -> LetterToSend {
    let Taken { tag, body, routing_key, envelope } = letter;
    let message = match &origin {
        Origin::Exchange => {
            Outgoing { route: Route::Event { kind: routing_key }, body, envelope: envelope.copied() }
        }
        Origin::Gaps => {
            Outgoing { route: Route::Queue(broker.names().gaps()), body, envelope: envelope.copied() }
        }
        Origin::LoadQueue(_) => {
            // A message that RabbitMQ dead-lettered itself has none of our headers; its routing key is its type.
            let own = (routing_key != broker.names().unrouted()).then_some(routing_key);
            let routing_key = envelope.original_routing_key().or_else(|| envelope.kind()).or(own);
            let routing_key = routing_key.unwrap_or_else(|| Route::KIND_OTHER.into());
            Outgoing { route: Target::LoadQueue.route(routing_key), body, envelope: envelope.redriven() }
        }
    };
    LetterToSend { tag, origin, message }
}
