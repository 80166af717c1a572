//! Publishes the status every two seconds.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Board;
use crate::broker::Broker;
use crate::retry::{Backoff, sleep};

/// How often a program publishes its status.
pub const SEND_EVERY: Duration = Duration::from_secs(2);
/// After failures the pauses grow to this, so that programs do not flood a RabbitMQ that cannot take them.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Publishes the status until `shutdown`, in the background and over a connection of its own. Errors are logged at debug: the
/// stages that need RabbitMQ report that it is away.
pub fn tell(board: &Board, broker: &Broker, shutdown: CancellationToken) {
    let (board, mut sender) = (board.clone(), broker.status_sender());
    tokio::spawn(async move {
        let mut backoff = Backoff::between(SEND_EVERY, PAUSE_MAX);
        let mut pause = SEND_EVERY;
        while sleep(pause, &shutdown).await.is_ok() {
            // Our own strings and numbers: this cannot fail.
            let body = serde_json::to_vec(&board.status(sender.program())).unwrap_or_default();
            pause = match sender.send(&body).await {
                Ok(()) => {
                    backoff.reset();
                    SEND_EVERY
                }
                Err(error) => {
                    tracing::debug!("publishing the status: {error}");
                    backoff.next_delay()
                }
            };
        }
        sender.close().await;
    });
}
