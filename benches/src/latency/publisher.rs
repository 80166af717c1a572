//! Publishes one message at a time when it is due, with confirms that nobody waits for in between.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clients::NAMESPACE;

/// Messages without a confirm, at most. When RabbitMQ is that far behind, publishing waits, and is late.
const UNCONFIRMED_MAX: usize = 20_000;

/// A connection for publishing, with threads of its own.
pub struct Publisher {
    runtime: Runtime,
    connection: Connection,
    channel: Channel,
    confirms: mpsc::Sender<PublisherConfirm>,
    confirming: JoinHandle<Result<()>>,
}

/// When messages were published.
pub struct Published {
    pub sent_at: Vec<Instant>,
    /// How much later than due.
    pub late_ms: Vec<f64>,
}

impl Publisher {
    pub fn open(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            anyhow::Ok((connection, channel))
        })?;
        let (confirms, mut to_confirm) = mpsc::channel::<PublisherConfirm>(UNCONFIRMED_MAX);
        let confirming = runtime.spawn(async move {
            while let Some(confirm) = to_confirm.recv().await {
                let confirmation = confirm.await?;
                ensure!(matches!(confirmation, Confirmation::Ack(None)), "not confirmed: {confirmation:?}");
            }
            Ok(())
        });
        Ok(Self { runtime, connection, channel, confirms, confirming })
    }

    /// Publishes `bodies`, one every `interval`.
    pub fn publish(&mut self, bodies: &[Vec<u8>], interval: Duration) -> Result<Published> {
        let mut published = Published { sent_at: Vec::new(), late_ms: Vec::new() };
        let start = Instant::now();
        for (place, body) in bodies.iter().enumerate() {
            let due = start + interval * u32::try_from(place)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent_at = Instant::now();
            let publish = self.channel.basic_publish(
                NAMESPACE.into(),
                "bench".into(),
                BasicPublishOptions::default(),
                body,
                BasicProperties::default().with_delivery_mode(2),
            );
            let confirm = self.runtime.block_on(publish).context("publish")?;
            self.confirms.blocking_send(confirm).context("RabbitMQ has not confirmed a message")?;
            published.sent_at.push(sent_at);
            published.late_ms.push((sent_at - due).as_secs_f64() * 1000.0);
        }
        Ok(published)
    }

    /// Waits for all confirms.
    pub fn close(self) -> Result<()> {
        let Self { runtime, connection, confirms, confirming, .. } = self;
        drop(confirms);
        runtime.block_on(async {
            confirming.await.context("wait for confirms")??;
            connection.close(200, "done".into()).await.context("close the connection")
        })
    }
}
