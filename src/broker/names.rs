//! The names of exchanges and queues.

use crate::config::Namespace;

/// Delays of the retry queues in seconds, growing. A message waits between two attempts: `--max-attempts` (5 by default) uses one delay
/// less than it has attempts, and beyond the list the last delay again.
pub const RETRY_DELAYS_S: &[u32] = &[1, 3, 9, 27, 81];

/// The names of everything below one namespace, for one load queue.
#[derive(Clone, Debug)]
pub struct Names {
    namespace: String,
    load: String,
}

impl Names {
    /// Names below `namespace` for the load queue `queue` (`load`, or one cluster's own such as `eu`).
    pub fn new(namespace: &Namespace, queue: &str) -> Self {
        let namespace = namespace.as_str().to_owned();
        Self { load: format!("{namespace}.{queue}"), namespace }
    }

    /// The same names for another load queue.
    #[must_use]
    pub fn of_queue(&self, queue: &str) -> Self {
        Self { load: format!("{}.{queue}", self.namespace), namespace: self.namespace.clone() }
    }

    /// The names of the load queue of the same name below another namespace.
    #[must_use]
    pub fn of_namespace(&self, namespace: &Namespace) -> Self {
        Self::new(namespace, &self.load[self.namespace.len() + 1..])
    }

    /// The load queue, by its name below the namespace, whose dead letters are in the queue `dead`. None for other queues.
    pub fn load_of_dead<'a>(&self, dead: &'a str) -> Option<&'a str> {
        let load = dead.strip_prefix(self.namespace.as_str())?.strip_prefix('.')?.strip_suffix(".dead")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        ((1..=64).contains(&load.len()) && load.chars().all(plain)).then_some(load)
    }

    /// The topic exchange that every event is published to.
    pub fn exchange(&self) -> &str {
        &self.namespace
    }

    /// The queue that loaders consume.
    pub fn load(&self) -> &str {
        &self.load
    }

    /// The retry queue of a message that has failed `attempts` times, and its delay in seconds.
    pub fn retry(&self, attempts: u32) -> (String, u32) {
        let tier = (attempts.max(1) as usize - 1).min(RETRY_DELAYS_S.len() - 1);
        let delay_s = RETRY_DELAYS_S[tier];
        (format!("{}.retry.{delay_s}s", self.load), delay_s)
    }

    /// All retry queues with their delays in seconds.
    pub fn retries(&self) -> impl Iterator<Item = (String, u32)> {
        RETRY_DELAYS_S.iter().map(|delay_s| (format!("{}.retry.{delay_s}s", self.load), *delay_s))
    }

    /// The queue of dead letters: messages that someone must look at.
    pub fn dead(&self) -> String {
        format!("{}.dead", self.load)
    }

    /// The fanout exchange of this load queue alone. A message published through it keeps its routing key. A publish to the queue
    /// itself would replace the routing key by the queue's name.
    pub fn replay(&self) -> String {
        format!("{}.replay", self.load)
    }

    /// The stream of events that the fetcher published, and `replay --archive`.
    pub fn archive(&self) -> String {
        format!("{}.archive", self.namespace)
    }

    /// The queue of gap records.
    pub fn gaps(&self) -> String {
        format!("{}.gaps", self.namespace)
    }

    /// The alternate exchange, and the queue behind it, of messages that no binding matched.
    pub fn unrouted(&self) -> String {
        format!("{}.unrouted", self.namespace)
    }

    /// The queue of the fetcher's memory.
    pub fn memory(&self) -> String {
        format!("{}.fetcher", self.namespace)
    }

    /// The fanout exchange of statuses.
    pub fn status(&self) -> String {
        format!("{}.status", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_below_the_namespace_and_a_queue_has_its_own_retries_and_dead_letters() {
        let names = Names::new(&"github-events".parse().unwrap(), "eu");
        assert_eq!(names.exchange(), "github-events");
        assert_eq!(names.load(), "github-events.eu");
        assert_eq!(names.dead(), "github-events.eu.dead");
        assert_eq!(names.archive(), "github-events.archive");
        assert_eq!(names.retry(1), ("github-events.eu.retry.1s".into(), 1));
        assert_eq!(names.retry(4), ("github-events.eu.retry.27s".into(), 27));
        assert_eq!(names.of_queue("us").dead(), "github-events.us.dead");
        assert_eq!(names.of_namespace(&"other".parse().unwrap()).load(), "other.eu");
        assert_eq!(names.load_of_dead("github-events.us.dead"), Some("us"));
        let long = format!("github-events.{}.dead", "x".repeat(300));
        for other in
            ["github-events.dead", "github-events.us", "x.us.dead", "github-events.a.b.dead", "", &long]
        {
            assert_eq!(names.load_of_dead(other), None, "{other}");
        }
    }

    #[test]
    fn delays_grow_and_then_stay_at_the_longest() {
        let names = Names::new(&"n".parse().unwrap(), "load");
        let delays: Vec<_> = (1..=7).map(|attempts| names.retry(attempts).1).collect();
        assert_eq!(delays, [1, 3, 9, 27, 81, 81, 81]);
        assert_eq!(names.retry(0).1, 1);
    }
}
