//! Publishing the board every two seconds.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Board;
use crate::broker::Broker;
use crate::retry::{Backoff, sleep};

/// How often a program tells about itself.
pub const SEND_EVERY: Duration = Duration::from_secs(2);
/// The pauses after failures grow to this: a RabbitMQ that has no room for us is not to be besieged.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Tells until `shutdown`, in the background and over a connection of its own. That RabbitMQ is away is for those to report
/// who need it.
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
                    tracing::debug!("telling our status: {error}");
                    backoff.next_delay()
                }
            };
        }
        sender.close().await;
    });
}
