//! Fills a load queue before a side drains it.

use anyhow::Result;
use github_event_etl::broker::{Envelope, Outgoing, Part, Route};
use github_event_etl::event::Event;
use github_event_etl::health::Health;
use tokio_util::sync::CancellationToken;

use crate::clients::{broker, runtime};
use crate::servers::{RabbitNode, wait_until_quiet};

/// A RabbitMQ node that has just started, holds these events, and is at rest.
pub fn node_with(events: &[Vec<u8>]) -> Result<RabbitNode> {
    let rabbitmq = RabbitNode::start();
    runtime()?.block_on(publish(&rabbitmq.url(), events))?;
    wait_until_quiet(&rabbitmq);
    Ok(rabbitmq)
}

async fn publish(url: &str, events: &[Vec<u8>]) -> Result<()> {
    let broker = broker(url)?;
    let mut publisher = broker.publisher(&[Part::Exchange, Part::LoadQueue], &Health::default(), true);
    let never = CancellationToken::new();
    for chunk in events.chunks(4096) {
        let outgoing = chunk.iter().map(|body| {
            let event = Event::parse(body)?;
            let envelope = Envelope::json("bench").of_event(&event.id, &event.kind, event.created());
            anyhow::Ok(Outgoing {
                route: Route::Queue(broker.names().load().to_owned()),
                body: body.clone(),
                envelope,
            })
        });
        let outgoing: Vec<_> = outgoing.collect::<Result<_>>()?;
        publisher.publish_all(&outgoing, &never).await?;
    }
    publisher.close().await;
    Ok(())
}
