//! The names of our keys.

use crate::config::Namespace;
use crate::event::Event;

/// The names of our keys below one namespace.
///
/// All begin with it, so the namespace `{github-events}` puts them into one slot of a Redis Cluster.
#[derive(Clone, Debug)]
pub struct Keys(String);

impl Keys {
    /// Keys below `namespace`.
    pub fn new(namespace: &Namespace) -> Self {
        Self(namespace.as_str().to_owned())
    }

    /// The capped stream of loaded events.
    pub fn stream(&self) -> String {
        format!("{}:event-stream", self.0)
    }

    /// Login to points, for an hour such as `2015-01-01-12`.
    pub fn scores(&self, hour: &str) -> String {
        format!("{}:dev-score:{hour}", self.0)
    }

    /// Event type to number loaded, for an hour.
    pub fn counts(&self, hour: &str) -> String {
        format!("{}:event-count:{hour}", self.0)
    }

    /// When this pipeline first loaded an event.
    pub fn first_inserted_at(&self) -> String {
        format!("{}:first-inserted-at", self.0)
    }

    /// The mark that an event is loaded.
    pub fn mark(&self, event: &Event<'_>) -> String {
        format!("{}:event-log:{}", self.0, event.id)
    }

    /// The mark of an event whose id another event had before it.
    pub fn own_mark(&self, event: &Event<'_>) -> String {
        format!("{}:event-log:{}@{}", self.0, event.id, event.created_at)
    }
}
