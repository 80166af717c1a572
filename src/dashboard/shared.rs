//! The data that the dashboard's tasks write and its answers read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::boards::Boards;
use super::feed::LiveEvents;
use super::hours::Hours;
use super::looker::QueueSnapshots;
use super::sources::Sources;
use super::workers::Workers;
use crate::broker::Names;
use crate::health::{Dependency, Health};

/// After this time without a request, the tasks that cost the servers something pause.
const ASKED_FOR: Duration = Duration::from_secs(60);

/// All data of the dashboard. Locks are held for memory operations only, never across an await.
pub(super) struct Shared {
    pub(super) namespace: String,
    pub(super) names: Names,
    pub(super) health: Health,
    pub(super) redis: Dependency,
    pub(super) rabbitmq: Dependency,
    /// When Redis answered the last time.
    pub(super) redis_seen_at: Mutex<Option<DateTime<Utc>>>,
    pub(super) workers: Mutex<Workers>,
    pub(super) sources: Mutex<Sources>,
    pub(super) looks: Mutex<QueueSnapshots>,
    pub(super) hours: Mutex<Hours>,
    pub(super) boards: Boards,
    pub(super) feed: LiveEvents,
    pub(super) metrics: crate::telemetry::Metrics,
    pub(super) asked_at: Mutex<Option<Instant>>,
}

impl Shared {
    /// Notes that a client asks for data, so that the tasks collect it.
    pub(super) fn ask(&self) {
        let before = self.asked_at.lock().replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() >= ASKED_FOR) {
            // Otherwise the follower would begin only at its next ping.
            self.feed.wake.notify_one();
        }
    }

    /// True if a client has asked in the last minute.
    pub(super) fn is_asked(&self) -> bool {
        self.asked_at.lock().is_some_and(|at| at.elapsed() < ASKED_FOR)
    }

    /// True while metrics are scraped, wherever they are served.
    pub(super) fn is_scraped(&self) -> bool {
        self.metrics.are_wanted(ASKED_FOR)
    }
}

/// A value, and when it was read.
#[derive(Clone, Debug)]
pub(super) struct Dated<T> {
    pub(super) at: DateTime<Utc>,
    pub(super) value: T,
}

impl<T> Dated<T> {
    pub(super) fn now(value: T) -> Self {
        Self { at: Utc::now(), value }
    }
}
