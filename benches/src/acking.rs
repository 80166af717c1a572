//! The side that consumes and acks and does nothing else: the most that a consumer can reach.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;

use crate::clients::{PREFETCH, broker, runtime};

const ACK_EVERY: u64 = 256;

/// Consumes and acks `count` messages, then prints the seconds from the first to the last.
pub fn run(count: u64) -> Result<()> {
    let url = std::env::var("AMQP_URL").context("AMQP_URL is not set")?;
    let seconds = runtime()?.block_on(consume(&url, count))?;
    writeln!(std::io::stdout(), "{seconds}").context("print the time")
}

async fn consume(url: &str, count: u64) -> Result<f64> {
    let never = CancellationToken::new();
    let opened = broker(url)?.consume(PREFETCH, &never).await?;
    let mut consumer = opened.context("consuming was stopped")?;
    let mut first_at = None;
    for _ in 0..count {
        let delivery = consumer.next().await?;
        first_at.get_or_insert_with(Instant::now);
        if delivery.tag % ACK_EVERY == 0 || delivery.tag == count {
            consumer.ack_through(delivery.tag).await?;
        }
    }
    consumer.close().await;
    Ok(first_at.map_or(0.0, |at| at.elapsed().as_secs_f64()))
}
