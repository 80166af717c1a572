//! Access to the archive stream. RabbitMQ is asked until it answers, or until it is certain that it has lost the stream.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::broker::{ArchiveStart, Broker, BrokerError};
use crate::health::{Dependency, Health};
use crate::retry::{Backoff, Interrupted};

/// How long RabbitMQ may answer that it does not have the archive. After a start it does so for some seconds, or longer if it is busy.
const DOWN_MAX: Duration = Duration::from_secs(30);

/// RabbitMQ has answered for [`DOWN_MAX`] that it does not have the archive.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct ArchiveLost(BrokerError);

/// The archive stream at one RabbitMQ.
pub(super) struct ArchiveAccess<'a> {
    broker: &'a Broker,
    server: Dependency,
    shutdown: CancellationToken,
    /// True after the first answer. From then on, only the loss of the archive is final.
    has_answered: bool,
}

impl<'a> ArchiveAccess<'a> {
    pub(super) fn new(broker: &'a Broker, health: &Health, shutdown: CancellationToken) -> Self {
        let server = health.dependency(format!("RabbitMQ at {} (reading the archive)", broker.address()));
        Self { broker, server, shutdown, has_answered: false }
    }

    /// Reports that a session was lost.
    pub(super) fn away(&self, error: &BrokerError) {
        self.server.away(error);
    }

    /// Asks until RabbitMQ answers.
    ///
    /// # Errors
    /// [`ArchiveLost`]; [`Interrupted`]; and a fault that waiting cannot help before the first answer.
    pub(super) async fn ask<T>(
        &mut self,
        ask: impl AsyncFn(&Broker) -> Result<T, BrokerError>,
    ) -> anyhow::Result<T> {
        let mut backoff = Backoff::for_server();
        let mut down_since = None;
        loop {
            let asked = tokio::select! {
                asked = ask(self.broker) => asked,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            let error = match asked {
                Ok(answer) => {
                    self.server.up();
                    self.has_answered = true;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if error.waiting_cannot_help() && !self.has_answered {
                return Err(error.into());
            }
            if !matches!(error, BrokerError::ArchiveDown { .. }) {
                down_since = None;
            } else if down_since.get_or_insert_with(Instant::now).elapsed() >= DOWN_MAX {
                return Err(ArchiveLost(error).into());
            }
            self.server.away(&error);
            backoff.pause(&self.shutdown).await?;
        }
    }

    /// The offset of the first message at or behind `start`. None if there is none.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn offset(&mut self, start: ArchiveStart) -> anyhow::Result<Option<u64>> {
        self.ask(async |broker| broker.archive_offset(start).await).await
    }

    /// The offset of the last message. None if the archive is empty.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn end(&mut self) -> anyhow::Result<Option<u64>> {
        self.ask(async |broker| broker.archive_end().await).await
    }
}
