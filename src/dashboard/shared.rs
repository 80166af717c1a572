//! What the dashboard's tasks and its answers share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::boards::Boards;
use super::feed::Feed;
use super::hours::Hours;
use super::looker::Looks;
use super::workers::Workers;
use crate::broker::Names;
use crate::health::{Dependency, Health};

/// Tasks that cost the servers something rest when nobody has asked for so long.
const ASKED_FOR: Duration = Duration::from_secs(60);

/// Everything the dashboard knows. Locks are held for memory operations only, never across an await.
pub(super) struct Shared {
    pub(super) namespace: String,
    pub(super) names: Names,
    pub(super) health: Health,
    pub(super) redis: Dependency,
    pub(super) rabbitmq: Dependency,
    /// When Redis answered the last time.
    pub(super) redis_seen_at: Mutex<Option<DateTime<Utc>>>,
    pub(super) workers: Mutex<Workers>,
    pub(super) looks: Mutex<Looks>,
    pub(super) hours: Mutex<Hours>,
    pub(super) boards: Boards,
    pub(super) feed: Feed,
    pub(super) metrics: crate::telemetry::Metrics,
    pub(super) asked_at: Mutex<Option<Instant>>,
}

impl Shared {
    /// Somebody asks for something that tasks find out.
    pub(super) fn ask(&self) {
        let before = self.asked_at.lock().replace(Instant::now());
        if before.is_none_or(|before| before.elapsed() >= ASKED_FOR) {
            // Else it would come only with the next look.
            self.feed.wake.notify_one();
        }
    }

    /// True while somebody has asked lately.
    pub(super) fn is_asked(&self) -> bool {
        self.asked_at.lock().is_some_and(|at| at.elapsed() < ASKED_FOR)
    }

    /// True while somebody asks for metrics, wherever they are served.
    pub(super) fn is_scraped(&self) -> bool {
        self.metrics.are_wanted(ASKED_FOR)
    }
}

/// A value and when it was found out.
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
