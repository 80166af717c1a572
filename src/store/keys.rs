//! The names of our keys.

use std::borrow::Cow;

use crate::config::Namespace;
use crate::event::Hour;

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

    /// Login to points, for an hour.
    pub fn scores(&self, hour: Hour) -> String {
        format!("{}:dev-score:{hour}", self.0)
    }

    /// Event type to number loaded, for an hour.
    pub fn counts(&self, hour: Hour) -> String {
        format!("{}{hour}", self.counts_prefix())
    }

    /// What the keys of all hours' counts begin with.
    pub fn counts_prefix(&self) -> String {
        format!("{}:event-count:", self.0)
    }

    /// When this pipeline first loaded an event.
    pub fn first_inserted_at(&self) -> String {
        format!("{}:first-inserted-at", self.0)
    }

    /// The hours that have counts, each with the time when its keys expire.
    pub fn hours(&self) -> String {
        format!("{}:hours", self.0)
    }

    /// Which layout the event log has.
    pub fn event_log_layout(&self) -> String {
        format!("{}:event-log-layout", self.0)
    }

    /// The loaders that noted a crash suspect and have not cleared it.
    pub fn crash_suspect(&self, suspect: &str) -> String {
        format!("{}:crash-suspect:{suspect}", self.0)
    }

    /// Written and gone at once: shows that Redis takes writes. Each probe has a key of its own, so that none deletes another's.
    pub fn probe(&self) -> String {
        format!("{}:probe:{:016x}", self.0, rand::random::<u64>())
    }

    /// With a key for each event: the mark that the event `id` is loaded.
    pub fn mark(&self, id: &str) -> String {
        format!("{}:event-log:{}", self.0, escaped(id))
    }

    /// With a key for each event: the mark of an event whose id another event had before it.
    pub fn own_mark(&self, id: &str, created_at: &str) -> String {
        format!("{}:event-log:{}@{created_at}", self.0, escaped(id))
    }

    /// With a set for each second: the ids of the events created at `created_at`.
    pub fn second(&self, created_at: &str) -> String {
        format!("{}:event-log:{created_at}", self.0)
    }
}

/// The id with every `@` doubled, so that no id's mark can be another one's own mark, which has a single `@` before the time.
fn escaped(id: &str) -> Cow<'_, str> {
    if id.contains('@') { id.replace('@', "@@").into() } else { id.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_looks_like_a_mark_has_a_mark_of_its_own() {
        let keys = Keys::new(&"ns".parse().unwrap());
        let time = "2015-01-01T12:00:00Z";
        assert_eq!(keys.mark("44"), "ns:event-log:44");
        assert_eq!(keys.own_mark("44", time), format!("ns:event-log:44@{time}"));
        assert_eq!(keys.mark(&format!("44@{time}")), format!("ns:event-log:44@@{time}"));
    }
}
