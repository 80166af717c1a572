//! Publishes to an extra in the background: the archive, or the queue of gap records. Polling never waits long for it. Messages
//! that cannot be published wait here, bounded. Beyond the bound the oldest are dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::backlog::Backlog;
use crate::broker::{ARCHIVE_RETENTION, Broker, ExtraPublisher, Outgoing, Part};
use crate::health::{Dependency, Health};
use crate::lack::Lack;
use crate::retry::Backoff;

/// Messages of one attempt.
const AT_ONCE: usize = 512;
/// Between two attempts while it is away.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The extra that messages go to.
pub(super) struct ExtraDestination {
    pub(super) parts: &'static [Part],
    /// Its name in logs: kind and address.
    pub(super) name: String,
    /// A metric's label.
    pub(super) label: &'static str,
    /// The remedy if it stays away.
    pub(super) remedy: &'static str,
    /// The record of dropped messages that takes their place.
    pub(super) record: Option<fn(&Lack, &Broker) -> Outgoing>,
    /// Messages that may wait.
    pub(super) messages_max: usize,
}

/// Publishes in the background, in order.
pub(super) struct BackgroundPublisher {
    shared: Arc<Shared>,
    /// Changes after each attempt.
    attempts: watch::Receiver<()>,
    task: JoinHandle<()>,
}

struct Shared {
    backlog: Mutex<Backlog>,
    news: Notify,
    dependency: Dependency,
}

impl BackgroundPublisher {
    /// Starts the task. `lack` is the record of messages that an earlier process could not publish, `confirmed` that of messages that it
    /// published.
    pub(super) fn start(
        destination: ExtraDestination,
        broker: &Broker,
        health: &Health,
        lack: Option<Lack>,
        confirmed: Option<Lack>,
    ) -> Self {
        let shared = Arc::new(Shared {
            backlog: Backlog::new(destination.messages_max, lack, confirmed).into(),
            news: Notify::new(),
            dependency: health.extra(&destination.name),
        });
        let (attempted, attempts) = watch::channel(());
        let task = BackgroundTask {
            publisher: broker.extra_publisher(destination.parts),
            broker: broker.clone(),
            destination,
            shared: Arc::clone(&shared),
            attempted,
        };
        Self { shared, attempts, task: tokio::spawn(task.work()) }
    }

    /// Gives messages that are published to where they must be.
    pub(super) fn give(&self, messages: impl IntoIterator<Item = Outgoing>, now: DateTime<Utc>) {
        let mut backlog = self.shared.backlog.lock();
        messages.into_iter().for_each(|message| backlog.push(message, now));
        self.shared.news.notify_one();
    }

    /// Takes over a record of messages that another process could not publish.
    pub(super) fn note(&self, lack: Option<Lack>) {
        self.shared.backlog.lock().note(lack);
        self.shared.news.notify_one();
    }

    /// Waits until all is published, but not for something that is away, and no longer than `limit`.
    pub(super) async fn settle(&self, limit: Duration) {
        let mut attempts = self.attempts.clone();
        let done = async {
            while self.lack().is_some() && !self.shared.dependency.is_away() {
                if attempts.changed().await.is_err() {
                    return;
                }
            }
        };
        // `lack` counts the messages that are left.
        let _ = tokio::time::timeout(limit, done).await;
    }

    /// Everything that is not published, whether it waits or was dropped; for the fetcher's memory.
    pub(super) fn lack(&self) -> Option<Lack> {
        self.shared.backlog.lock().lack()
    }

    /// A record of the messages that the destination has confirmed, for the fetcher's memory.
    pub(super) fn confirmed(&self) -> Option<Lack> {
        self.shared.backlog.lock().confirmed()
    }

    /// The bodies that are not published, oldest first, but for those that were dropped; for the fetcher's memory.
    pub(super) fn unpublished(&self) -> Vec<Vec<u8>> {
        self.shared.backlog.lock().bodies()
    }

    /// Ends it. Waiting messages are not published.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}

struct BackgroundTask {
    publisher: ExtraPublisher,
    broker: Broker,
    destination: ExtraDestination,
    shared: Arc<Shared>,
    attempted: watch::Sender<()>,
}

impl BackgroundTask {
    async fn work(mut self) {
        let mut backoff = Backoff::between(RETRY_MIN, RETRY_MAX);
        // The first attempt has no messages: it declares the destination, and shows whether it exists.
        loop {
            let (record, batch) = self.shared.backlog.lock().take(AT_ONCE);
            if self.attempt(record, batch).await {
                backoff.reset();
                self.shared.news.notified().await;
            } else {
                tokio::time::sleep(backoff.next_delay()).await;
            }
        }
    }

    /// False when it has to be repeated.
    async fn attempt(&mut self, record: Option<Lack>, batch: Vec<Outgoing>) -> bool {
        let record_of = self.destination.record;
        let of_lack = record.as_ref().zip(record_of).map(|(lack, record_of)| record_of(lack, &self.broker));
        let messages: Vec<_> = of_lack.into_iter().chain(batch).collect();
        let published = self.publisher.publish(&messages).await;
        let is_up = published.is_ok();
        match published {
            Ok(too_large) => {
                for error in &too_large {
                    tracing::error!("{} lacks a message: {error}", self.destination.name);
                }
                self.shared.dependency.up();
                if self.publisher.has_renewed_archive() {
                    self.shared.backlog.lock().lost(Utc::now() - ARCHIVE_RETENTION);
                }
                self.finish(record);
            }
            Err(error) => {
                self.shared.backlog.lock().put_back();
                self.shared.dependency.away(format!("{error}; {}", self.destination.remedy));
            }
        }
        self.measure(is_up);
        self.attempted.send_replace(());
        is_up
    }

    fn finish(&self, record: Option<Lack>) {
        let mut backlog = self.shared.backlog.lock();
        backlog.published();
        if !backlog.is_empty() {
            self.shared.news.notify_one();
        }
        let Some(Lack { from, to, events }) = record else { return };
        let name = &self.destination.name;
        let is_recorded =
            if self.destination.record.is_some() { "it has a record of them" } else { "they are lost" };
        tracing::warn!("{name} lacks {events} messages published from {from} to {to}: {is_recorded}");
    }

    fn measure(&self, is_up: bool) {
        let label = self.destination.label;
        metrics::gauge!("github_etl_extra_up", "extra" => label).set(f64::from(u8::from(is_up)));
        #[expect(clippy::cast_precision_loss, reason = "a count for people")]
        let lacking = self.shared.backlog.lock().lack().map_or(0, |lack| lack.events) as f64;
        metrics::gauge!("github_etl_extra_lacking_messages", "extra" => label).set(lacking);
    }
}
