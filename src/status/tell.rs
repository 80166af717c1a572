//! Publishes the status every two seconds, and some of the sources of a fetcher.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Board;
use crate::broker::{Broker, BrokerError, StatusSender, Told};
use crate::retry::{Backoff, sleep};

/// How often a program publishes its status.
pub const SEND_EVERY: Duration = Duration::from_secs(2);
/// After failures the pauses grow to this, so that programs do not flood a RabbitMQ that cannot take them.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Publishes the status until `shutdown`, in the background and over a connection of its own. A RabbitMQ that is
/// away is logged at debug only: the stages that need it report that.
pub fn tell(board: &Board, broker: &Broker, shutdown: CancellationToken) {
    let (board, mut sender) = (board.clone(), broker.status_sender());
    tokio::spawn(async move {
        let mut backoff = Backoff::between(SEND_EVERY, PAUSE_MAX);
        let (mut pause, mut has_warned) = (SEND_EVERY, false);
        while sleep(pause, &shutdown).await.is_ok() {
            pause = match send(&board, &mut sender).await {
                Ok(()) => {
                    backoff.reset();
                    SEND_EVERY
                }
                Err(error) => {
                    tracing::debug!("publishing the status: {error}");
                    // No stage needs this exchange, so none would tell.
                    if error.waiting_cannot_help() && !std::mem::replace(&mut has_warned, true) {
                        tracing::warn!("dashboards do not see this program: {error}");
                    }
                    backoff.next_delay()
                }
            };
        }
        sender.close().await;
    });
}

async fn send(board: &Board, sender: &mut StatusSender) -> Result<(), BrokerError> {
    // Our own strings and numbers: this cannot fail.
    let status = serde_json::to_vec(&board.status(sender.program())).unwrap_or_default();
    sender.send(Told::Program, &status).await?;
    for part in board.next_sources() {
        sender.send(Told::Sources, &serde_json::to_vec(&part).unwrap_or_default()).await?;
    }
    Ok(())
}
