//! Looks at a node's load queue.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use github_event_etl::broker::{BrokerError, Depth};

use crate::clients::{broker, runtime};
use crate::servers::RabbitNode;

/// Waits until a worker consumes. What is published to the exchange before its queue is bound would not reach it.
pub fn wait_for_consumer(rabbitmq: &RabbitNode) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let start = Instant::now();
    while depth(rabbitmq)?.is_none_or(|depth| depth.consumers == 0) {
        if start.elapsed() > PATIENCE {
            bail!("nobody consumes the load queue after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Messages that nobody has acked, once no worker runs.
pub fn messages_left(rabbitmq: &RabbitNode) -> Result<u32> {
    Ok(depth(rabbitmq)?.map_or(0, |depth| depth.ready))
}

/// None: the queue does not exist yet.
fn depth(rabbitmq: &RabbitNode) -> Result<Option<Depth>> {
    runtime()?.block_on(async {
        let broker = broker(&rabbitmq.url())?;
        let session = broker.depth_session().await?;
        let depth = match session.depth(broker.names().load()).await {
            Ok(depth) => Some(depth),
            Err(BrokerError::NoSuchQueue { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        session.close().await;
        Ok(depth)
    })
}
