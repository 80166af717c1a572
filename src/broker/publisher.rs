//! Publishing that counts only when confirmed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Confirmation, PublisherConfirm};
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, TooLarge};
use super::session::{Session, within};
use super::{Broker, BrokerError, Envelope};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// AMQP's limit for routing keys.
const SHORT_STRING_BYTES_MAX: usize = 255;
/// How long a confirm may take while RabbitMQ is not blocking us. Quorum queues flush to disk before they confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a publish in flight may take to end once the program is told to stop.
const GOODBYE: Duration = Duration::from_secs(3);

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub route: Route,
    /// The bytes.
    pub body: Vec<u8>,
    /// Properties and headers.
    pub envelope: Envelope,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the exchange of events, and so into every load queue and the archive.
    Event {
        /// The event's type; anything that cannot be a plain routing key becomes [`Route::KIND_OTHER`].
        kind: String,
    },
    /// To the load queue alone.
    LoadQueue {
        /// The routing key it is to have; one that is too long to be one becomes [`Route::KIND_OTHER`].
        routing_key: String,
    },
    /// To one queue by its whole name.
    Queue(String),
}

impl Route {
    /// The routing key of events whose type cannot be one, and of what is not an event.
    pub const KIND_OTHER: &str = "other";

    pub(super) fn exchange_and_key<'a>(&'a self, names: &'a super::Names) -> (Cow<'a, str>, &'a str) {
        match self {
            Self::Queue(name) => ("".into(), name),
            Self::LoadQueue { routing_key } => {
                let fits = routing_key.len() <= SHORT_STRING_BYTES_MAX;
                (names.replay().into(), if fits { routing_key } else { Self::KIND_OTHER })
            }
            Self::Event { kind } => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let fits = (1..=64).contains(&kind.len()) && kind.chars().all(plain);
                (names.exchange().into(), if fits { kind } else { Self::KIND_OTHER })
            }
        }
    }
}

/// Why publishing ended before everything was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The program is to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The first session could not be opened for a reason that waiting does not mend.
    #[error(transparent)]
    Hopeless(BrokerError),
}

/// Publishes with confirms over a connection of its own, which it opens when needed and rebuilds whenever it breaks.
pub struct Publisher {
    broker: Broker,
    session: Option<Session>,
    dependency: Dependency,
    /// A session was open once: from then on no fault is final, because the settings are known to be good.
    was_open: bool,
}

impl Broker {
    /// A publisher that is not connected yet.
    ///
    /// With `eager`, the program is not ready until the publisher is; without, only trouble in use makes it not ready.
    pub fn publisher(&self, health: &Health, eager: bool) -> Publisher {
        let dependency = health.dependency(format!("RabbitMQ at {} (publishing)", self.address));
        if !eager {
            dependency.up();
        }
        Publisher { broker: self.clone(), session: None, dependency, was_open: !eager }
    }
}

impl Publisher {
    /// Connects and declares the topology, however long RabbitMQ takes to be there.
    ///
    /// # Errors
    /// As [`Self::publish_all`].
    pub async fn open(&mut self, shutdown: &CancellationToken) -> Result<(), PublishError> {
        self.publish_all(&[], shutdown).await.map(drop)
    }

    /// Publishes `messages` and returns when RabbitMQ has confirmed every one of them and returned none, but for those given
    /// back: RabbitMQ finds them too large. What becomes of these is for the caller to decide.
    ///
    /// Whatever happens in between (the connection breaks, RabbitMQ blocks, a queue is missing), what is not surely
    /// stored is published again, so a message may be stored twice.
    ///
    /// # Errors
    /// [`PublishError`] when the program is to stop, or when the very first session is refused for good.
    pub async fn publish_all<'a>(
        &mut self,
        messages: &'a [Outgoing],
        shutdown: &CancellationToken,
    ) -> Result<Vec<TooLarge<'a>>, PublishError> {
        let mut batch = Batch::new(messages);
        let mut backoff = Backoff::for_server();
        loop {
            match self.attempt(&mut batch, shutdown).await? {
                Ok(()) => {
                    let (failed, all) = batch.failed();
                    if failed == 0 {
                        self.dependency.up();
                        return Ok(batch.into_too_large());
                    }
                    self.dependency.away(format!(
                        "{failed} of {all} messages were returned or refused (is a queue missing or full?)"
                    ));
                    batch.again();
                }
                Err(BrokerError::TooLarge { reason }) => {
                    // RabbitMQ has closed the channel, and is well. This ends: each time there is less to try.
                    batch.narrow(reason);
                    self.session = None;
                    continue;
                }
                Err(error) if error.waiting_cannot_help() && !self.was_open => {
                    return Err(PublishError::Hopeless(error));
                }
                Err(error) => self.dependency.away(error),
            }
            // A new session declares everything anew, which also brings back a queue that somebody deleted.
            self.session = None;
            backoff.pause(shutdown).await?;
        }
    }

    /// Ends the session, if there is one.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Publishes what is left of a pass over the batch, window by window, on one session.
    async fn attempt(
        &mut self,
        batch: &mut Batch<'_>,
        shutdown: &CancellationToken,
    ) -> Result<Result<(), BrokerError>, Interrupted> {
        let session = match self.session.take() {
            Some(session) if session.connection.status().connected() => session,
            _ => match tokio::select! {
                opened = open(&self.broker) => opened,
                () = shutdown.cancelled() => return Err(Interrupted),
            } {
                Ok(session) => session,
                Err(error) => return Ok(Err(error)),
            },
        };
        self.was_open = true;
        let session = self.session.insert(session);
        while !batch.window().is_empty() {
            let publishing = publish_window(session, &self.broker, batch.window());
            match patiently(session, &self.dependency, shutdown, publishing).await? {
                Ok(failed) => batch.settle(failed),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

async fn open(broker: &Broker) -> Result<Session, BrokerError> {
    let session = Session::open(broker, "publishing").await?;
    within("ask for publisher confirms", session.channel.confirm_select(ConfirmSelectOptions::default()))
        .await?;
    Ok(session)
}

/// Publishes a window, waits for all of its confirms, and gives back what was refused or returned.
///
/// lapin can hang a returned message on another message's confirm, so the window is settled as a whole, by the
/// `message_id`s of what came back.
async fn publish_window<'a>(
    session: &Session,
    broker: &Broker,
    window: &[&'a Outgoing],
) -> Result<Vec<&'a Outgoing>, BrokerError> {
    let mut confirms = Vec::with_capacity(window.len());
    let mut broken = None;
    for (index, message) in window.iter().enumerate() {
        match send(session, broker, message, index).await {
            Ok(confirm) => confirms.push(confirm),
            Err(error) if !session.connection.status().connected() => return Err(error),
            Err(error) => {
                // Only that the channel is closed; why, the confirms tell.
                broken = Some(error);
                break;
            }
        }
    }
    let mut failed_ids: HashSet<String> = HashSet::new();
    for (index, (confirm, message)) in confirms.into_iter().zip(window).enumerate() {
        let confirmation = confirm.await.map_err(|error| BrokerError::publishing(&error))?;
        if confirmation.is_nack() || confirmation == Confirmation::NotRequested {
            failed_ids.insert(id_in_window(message, index));
        }
        if let Some(returned) = confirmation.take_message() {
            failed_ids.insert(
                returned.properties.message_id().as_ref().map(ShortString::to_string).unwrap_or_default(),
            );
        }
    }
    if let Some(error) = broken {
        return Err(error);
    }
    let failed = window
        .iter()
        .enumerate()
        .filter(|(index, message)| failed_ids.contains(&id_in_window(message, *index)));
    Ok(failed.map(|(_, message)| *message).collect())
}

async fn send(
    session: &Session,
    broker: &Broker,
    message: &Outgoing,
    index: usize,
) -> Result<PublisherConfirm, BrokerError> {
    let (exchange, routing_key) = message.route.exchange_and_key(&broker.names);
    let envelope = message.envelope.clone().with_message_id(&id_in_window(message, index));
    // Without `mandatory`, publishing to a queue that does not exist is confirmed as if stored.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publish = session.channel.basic_publish(
        exchange.as_ref().into(),
        routing_key.into(),
        options,
        &message.body,
        envelope.0,
    );
    publish.await.map_err(|error| BrokerError::publishing(&error))
}

/// The id that tells a message within its window: its own, or its place for one that has none.
fn id_in_window(message: &Outgoing, index: usize) -> String {
    match message.envelope.message_id() {
        "" => format!("no-id-{index}"),
        id => id.to_owned(),
    }
}

/// Waits for `publishing` at most [`CONFIRM_TIMEOUT`], but without limit while RabbitMQ says that it blocks us: giving up
/// then would only publish everything again.
async fn patiently<T>(
    session: &Session,
    dependency: &Dependency,
    shutdown: &CancellationToken,
    publishing: impl Future<Output = Result<T, BrokerError>>,
) -> Result<Result<T, BrokerError>, Interrupted> {
    tokio::pin!(publishing);
    let stopped = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::pin!(stopped);
    let mut waited = Duration::ZERO;
    let mut look = tokio::time::interval(Duration::from_millis(500));
    look.tick().await;
    loop {
        tokio::select! {
            result = &mut publishing => return Ok(result),
            () = &mut stopped => return Err(Interrupted),
            _ = look.tick() => {}
        }
        if session.connection.status().blocked() {
            dependency.away("it blocks publishing because it is low on memory or disk");
            waited = Duration::ZERO;
            continue;
        }
        waited += look.period();
        if waited >= CONFIRM_TIMEOUT {
            return Ok(Err(BrokerError::Timeout {
                operation: "wait for publisher confirms",
                after: CONFIRM_TIMEOUT,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_keys_are_event_types_or_other() {
        let names = super::super::Names::new(&"ns".parse().unwrap(), "load");
        let key = |kind: &str| Route::Event { kind: kind.into() }.exchange_and_key(&names).1.to_owned();
        assert_eq!(key("PushEvent"), "PushEvent");
        for odd in ["", "a.b", "#", "*", "a b", "é", &"x".repeat(300)] {
            assert_eq!(key(odd), "other", "{odd}");
        }
        let pair = |route: Route| {
            let (exchange, key) = route.exchange_and_key(&names);
            (exchange.into_owned(), key.to_owned())
        };
        assert_eq!(pair(Route::Queue("a.b".into())), (String::new(), "a.b".into()));
        let replay = |key: &str| pair(Route::LoadQueue { routing_key: key.into() });
        assert_eq!(replay("a.#"), ("ns.load.replay".into(), "a.#".into()));
        assert_eq!(replay(&"x".repeat(256)).1, "other");
    }
}
