//! The lengths of queues. If one queue does not exist, or RabbitMQ does not answer for it, the others are still counted.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::broker::{Broker, BrokerError, Depth, DepthSession, Names};

/// How long to wait before a queue that could not be counted is tried again. RabbitMQ logs each try as an error.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// A queue and its length.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// Messages ready for delivery, and consumers. None if RabbitMQ does not say.
    pub(super) ready: Option<u32>,
    pub(super) consumers: Option<u32>,
    /// Why it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

/// Reads the lengths of queues, in one session.
#[derive(Default)]
pub(super) struct Depths {
    session: Option<DepthSession>,
    /// Queues that could not be counted, by name: when that was, and how they are shown.
    uncounted: HashMap<String, (Instant, Option<Queue>)>,
}

impl Depths {
    /// Reads the lengths now. Queues that do not exist are left out, except for the load queue.
    pub(super) async fn count(&mut self, broker: &Broker, names: &Names) -> Result<Vec<Queue>, BrokerError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => broker.depth_session().await?,
        };
        let mut queues = Vec::new();
        for (name, kind) in all(names) {
            if let Some((_, shown)) =
                self.uncounted.get(&name).filter(|(at, _)| at.elapsed() < ASK_AGAIN_AFTER)
            {
                queues.extend(shown.clone());
                continue;
            }
            let shown = match session.depth(&name).await {
                Ok(depth) => {
                    self.uncounted.remove(&name);
                    Some(counted(name, kind, depth))
                }
                Err(error) => {
                    // Fails when the connection is lost, not only the channel.
                    session.recover().await.map_err(|_| error.clone())?;
                    let shown = uncounted(&name, kind, &error);
                    if let Some(Queue { problem: Some(problem), .. }) = &shown
                        && !self.uncounted.contains_key(&name)
                    {
                        tracing::warn!("cannot look into {name}: {problem}");
                    }
                    self.uncounted.insert(name, (Instant::now(), shown.clone()));
                    shown
                }
            };
            queues.extend(shown);
        }
        self.session = Some(session);
        Ok(queues)
    }

    /// Ends the session.
    pub(super) async fn rest(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }
}

/// The queues to count. The archive comes last: it alone can be slow to answer.
fn all(names: &Names) -> Vec<(String, &'static str)> {
    let mut all = vec![(names.load().to_owned(), "load")];
    all.extend(names.retries().map(|(name, _)| (name, "retry")));
    all.extend([(names.dead(), "dead"), (names.gaps(), "gaps"), (names.unrouted(), "unrouted")]);
    all.push((names.archive(), "archive"));
    all
}

fn counted(name: String, kind: &'static str, Depth { ready, consumers }: Depth) -> Queue {
    measure(kind, &name, ready, consumers);
    Queue { name, kind, ready: Some(ready), consumers: Some(consumers), problem: None }
}

/// A queue that could not be counted, as it is shown.
fn uncounted(name: &str, kind: &'static str, error: &BrokerError) -> Option<Queue> {
    let problem = match error {
        BrokerError::NoSuchQueue { .. } => {
            measure(kind, name, 0, 0);
            if kind != "load" {
                return None;
            }
            "it does not exist: check --queue and --namespace (ETL_NAMESPACE), or start a loader with them"
                .to_owned()
        }
        error => error.to_string(),
    };
    Some(Queue { name: name.to_owned(), kind, ready: None, consumers: None, problem: Some(problem) })
}

fn measure(kind: &'static str, name: &str, ready: u32, consumers: u32) {
    // The names of queues come from the configuration: a dozen labels.
    let gauge = |metric: &'static str| metrics::gauge!(metric, "queue" => name.to_owned(), "kind" => kind);
    gauge("github_etl_queue_messages_ready").set(ready);
    gauge("github_etl_queue_consumers").set(consumers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_queue_is_left_out_and_trouble_is_of_its_queue_alone() {
        let absent = BrokerError::NoSuchQueue { operation: "count messages", reason: "no queue".into() };
        assert!(uncounted("n.archive", "archive", &absent).is_none());
        let load = uncounted("n.load", "load", &absent).unwrap();
        assert!(load.problem.unwrap().contains("does not exist"));
        let trouble = BrokerError::Lost {
            operation: "count messages",
            reason: "NOT_FOUND - home node 'rabbit@a' of durable queue 'n.archive' in vhost '/' is down"
                .into(),
        };
        let archive = uncounted("n.archive", "archive", &trouble).unwrap();
        assert_eq!((archive.ready, archive.consumers), (None, None));
        assert!(archive.problem.unwrap().contains("home node"));
    }
}
