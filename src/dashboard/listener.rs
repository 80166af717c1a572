//! Receives the status that programs publish, and notices whether RabbitMQ answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::moment::Moment;
use super::shared::Shared;
use crate::broker::{Broker, BrokerError, Told};
use crate::retry::Backoff;

/// How often the history advances when no status comes.
const TICK: Duration = Duration::from_secs(1);

/// Listens until the program ends.
pub(super) async fn run(shared: Arc<Shared>, broker: Broker) {
    let mut backoff = Backoff::for_server();
    loop {
        let Err(error) = listen(&shared, &broker, &mut backoff).await;
        shared.rabbitmq.away(error);
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

async fn listen(
    shared: &Shared,
    broker: &Broker,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, BrokerError> {
    let mut listener = broker.listen_to_status().await?;
    shared.rabbitmq.up();
    backoff.reset();
    shared.workers.lock().begin_to_listen(Moment::now());
    shared.sources.lock().begin_to_listen(Moment::now());
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            told = listener.next() => match told? {
                (Told::Program, status) => shared.workers.lock().hear(&status, Moment::now()),
                (Told::Sources, part) => shared.sources.lock().hear(&part, Moment::now()),
            },
            _ = tick.tick() => {
                shared.workers.lock().tick(Moment::now());
                shared.sources.lock().tick(Moment::now());
            }
        }
    }
}
