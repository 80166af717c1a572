//! Publishes one window of messages, and waits for all of its confirms.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Confirmation, PublisherConfirm};

use super::session::{Session, within};
use super::{Broker, BrokerError, Outgoing, Part};

/// Messages that lapin gets before the first of them is written to the socket. lapin wakes its thread for each message, and tells
/// when it is written. One message at a time would mean a write of its own and two changes of threads for each.
const SENT_TOGETHER: usize = 64;

/// Opens a session that publishes with confirms, and declares `parts`.
pub(super) async fn open(broker: &Broker, parts: &[Part]) -> Result<Session, BrokerError> {
    let session = Session::open(broker, "publishing", parts).await?;
    within("ask for publisher confirms", session.channel.confirm_select(ConfirmSelectOptions::default()))
        .await?;
    Ok(session)
}

/// Publishes a window, waits for all of its confirms, and returns the messages that were refused or returned.
///
/// lapin can hang a returned message on another message's confirm, so the window is settled as a whole, by the returned messages.
pub(super) async fn publish<'a>(
    session: &Session,
    broker: &Broker,
    window: &[&'a Outgoing],
) -> Result<Vec<&'a Outgoing>, BrokerError> {
    let mut confirms = Vec::with_capacity(window.len());
    let mut broken = None;
    let (mut sending, mut rest) = (FuturesOrdered::new(), window.iter());
    loop {
        let room = SENT_TOGETHER - sending.len();
        rest.by_ref().take(room).for_each(|message| sending.push_back(send(session, broker, message)));
        let Some(sent) = sending.next().await else { break };
        match sent {
            Ok(confirm) => confirms.push(confirm),
            Err(error) if !session.connection.status().connected() => return Err(error),
            Err(error) => {
                // It only says that the channel is closed. The confirms have the reason.
                broken = Some(error);
                break;
            }
        }
    }
    let mut failed: HashSet<Vec<u8>> = HashSet::new();
    for (confirm, message) in confirms.into_iter().zip(window) {
        let confirmation = confirm.await.map_err(|error| BrokerError::publishing(&error))?;
        if confirmation.is_nack() || confirmation == Confirmation::NotRequested {
            failed.insert(identity(message.envelope.message_id(), &message.body));
        }
        if let Some(returned) = confirmation.take_message() {
            let id = returned.properties.message_id().as_ref().map_or("", ShortString::as_str);
            failed.insert(identity(id, &returned.data));
        }
    }
    if let Some(error) = broken {
        return Err(error);
    }
    let has_failed =
        |message: &&&Outgoing| failed.contains(&identity(message.envelope.message_id(), &message.body));
    Ok(if failed.is_empty() { Vec::new() } else { window.iter().filter(has_failed).copied().collect() })
}

async fn send(
    session: &Session,
    broker: &Broker,
    message: &Outgoing,
) -> Result<PublisherConfirm, BrokerError> {
    let (exchange, routing_key) = message.route.exchange_and_key(&broker.names);
    // Without `mandatory`, publishing to a queue that does not exist is confirmed as if stored.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publish = session.channel.basic_publish(
        exchange.as_ref().into(),
        routing_key.into(),
        options,
        &message.body,
        message.envelope.0.clone(),
    );
    publish.await.map_err(|error| BrokerError::publishing(&error))
}

/// Tells a message within its window: its id, or its bytes where it has none.
fn identity(id: &str, body: &[u8]) -> Vec<u8> {
    if id.is_empty() { [b"body ", body].concat() } else { [b"id ", id.as_bytes()].concat() }
}
