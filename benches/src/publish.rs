//! Fills a load queue before a side drains it.

use anyhow::Result;
use github_event_etl::broker::{Envelope, Names, Outgoing, Part, Route};
use github_event_etl::event::Event;
use github_event_etl::health::Health;
use tokio_util::sync::CancellationToken;

use crate::clients::{broker, runtime};
use crate::servers::{RabbitNode, wait_until_quiet};

/// Events that wait for their confirms together.
pub const CHUNK: usize = 4096;

/// A RabbitMQ node that has just started, holds these events, and is at rest.
pub fn node_with(events: &[Vec<u8>]) -> Result<RabbitNode> {
    let rabbitmq = RabbitNode::start();
    publish(&rabbitmq.url(), events.chunks(CHUNK).map(<[_]>::to_vec))?;
    wait_until_quiet(&rabbitmq);
    Ok(rabbitmq)
}

/// Publishes to the load queue, chunk by chunk.
pub fn publish(url: &str, chunks: impl Iterator<Item = Vec<Vec<u8>>>) -> Result<()> {
    runtime()?.block_on(async {
        let broker = broker(url)?;
        let mut publisher = broker.publisher(&[Part::Exchange, Part::LoadQueue], &Health::default(), true);
        let never = CancellationToken::new();
        for chunk in chunks {
            let outgoing = chunk.into_iter().map(|body| outgoing(broker.names(), body));
            publisher.publish_all(&outgoing.collect::<Result<Vec<_>>>()?, &never).await?;
        }
        publisher.close().await;
        Ok(())
    })
}

fn outgoing(names: &Names, body: Vec<u8>) -> Result<Outgoing> {
    let event = Event::parse(&body)?;
    let envelope = Envelope::json("bench").of_event(&event.id, &event.kind, event.created());
    Ok(Outgoing { route: Route::Queue(names.load().to_owned()), body, envelope })
}
