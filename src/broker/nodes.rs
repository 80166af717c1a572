//! The nodes of RabbitMQ, and which of them the next session is opened with.
//!
//! A session that ends in order leaves its node as the next one. A session that is lost, dropped or never opened leaves the node after
//! it. So a node that refuses, hangs or cannot declare is left, also when the attempt is cancelled.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ClientConfig;

use super::session::Uri;
use super::{BrokerError, identify};
use crate::config::{AmqpNode, AmqpUrl, UsageError};

/// The nodes, at least one.
pub(super) struct Nodes {
    all: Arc<[Node]>,
    /// The place of the node that is tried next.
    next: Arc<AtomicUsize>,
    /// The place of the node that the log has named last.
    told: Arc<AtomicUsize>,
}

pub(super) struct Node {
    pub(super) uri: Uri,
    /// If the URL asks for TLS.
    tls: Option<ClientConfig>,
    /// `host:port`
    address: String,
}

/// The use of one node, for as long as a session with it is opened or open.
pub(super) struct NodeInUse {
    nodes: Nodes,
    place: usize,
    purpose: &'static str,
    is_open: bool,
    has_ended_well: bool,
}

/// Why a node could not be used.
pub(super) struct NodeFailure {
    all: Arc<[Node]>,
    place: usize,
    error: BrokerError,
}

impl Nodes {
    pub(super) fn new(url: &AmqpUrl) -> Result<Self, UsageError> {
        let is_only = url.nodes().len() == 1;
        let parse = |node| Uri::parse(node, is_only);
        let uris = url.nodes().iter().map(parse).collect::<Result<Vec<_>, UsageError>>()?;
        // All nodes have the same scheme, and share one store of CA certificates.
        let tls = uris[0].has_tls().then(|| url.tls().client_config()).transpose()?;
        let node = |(uri, node): (Uri, &AmqpNode)| Node { uri, tls: tls.clone(), address: node.to_string() };
        let all = uris.into_iter().zip(url.nodes()).map(node).collect();
        Ok(Self { all, next: Arc::default(), told: Arc::new(AtomicUsize::new(usize::MAX)) })
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The virtual host, which all nodes share.
    pub(super) fn vhost(&self) -> &str {
        self.all[0].uri.vhost()
    }

    /// The name of this cluster and virtual host, for files that belong to them: the address that comes first in the alphabet. It stays
    /// the same when nodes are listed in another order, or others of them come and go.
    pub(super) fn cluster(&self) -> String {
        let addresses = self.all.iter().map(|node| node.address.as_str());
        let first = addresses.min().unwrap_or_default();
        match self.vhost() {
            "/" => first.to_owned(),
            vhost => format!("{first}/{vhost}"),
        }
    }

    /// The next node.
    pub(super) fn take(&self, purpose: &'static str) -> NodeInUse {
        let nodes = self.share();
        let place = self.next.load(Ordering::Relaxed);
        NodeInUse { nodes, place, purpose, is_open: false, has_ended_well: false }
    }

    fn share(&self) -> Self {
        Self { all: Arc::clone(&self.all), next: Arc::clone(&self.next), told: Arc::clone(&self.told) }
    }
}

/// A copy goes from node to node on its own. So an archive that a node does not serve moves no other session.
impl Clone for Nodes {
    fn clone(&self) -> Self {
        let copy = |place: &AtomicUsize| Arc::new(AtomicUsize::new(place.load(Ordering::Relaxed)));
        Self { all: Arc::clone(&self.all), next: copy(&self.next), told: copy(&self.told) }
    }
}

impl NodeInUse {
    pub(super) fn uri(&self) -> &Uri {
        &self.node().uri
    }

    pub(super) fn tls(&self) -> Option<&ClientConfig> {
        self.node().tls.as_ref()
    }

    /// `host:port`
    pub(super) fn address(&self) -> &str {
        &self.node().address
    }

    fn node(&self) -> &Node {
        &self.nodes.all[self.place]
    }

    /// The session is open. If there are several nodes, the log names this one, unless it has named it last.
    pub(super) fn opened(&mut self, failures: &[NodeFailure]) {
        self.is_open = true;
        let is_told = self.nodes.told.swap(self.place, Ordering::Relaxed) == self.place;
        if self.nodes.count() == 1 || is_told && failures.is_empty() {
            return;
        }
        let (node, purpose) = (self.address(), self.purpose);
        match failures {
            [] => tracing::info!(node, "RabbitMQ: {purpose} through {node}"),
            _ => tracing::warn!(node, "RabbitMQ: {purpose} through {node}, because of {}", reasons(failures)),
        }
    }

    /// The node could not be used, because of `error`.
    pub(super) fn failed(self, error: BrokerError) -> NodeFailure {
        NodeFailure { all: Arc::clone(&self.nodes.all), place: self.place, error }
    }

    /// The session has ended in order: the next one may use the same node.
    pub(super) fn ended_well(&mut self) {
        self.has_ended_well = true;
    }
}

impl Drop for NodeInUse {
    fn drop(&mut self) {
        if self.has_ended_well {
            return;
        }
        let after = (self.place + 1) % self.nodes.count();
        // Another session may have left the node already.
        let left = self.nodes.next.compare_exchange(self.place, after, Ordering::Relaxed, Ordering::Relaxed);
        if left.is_ok() && self.is_open && after != self.place {
            let (node, purpose, next) = (self.address(), self.purpose, &self.nodes.all[after].address);
            tracing::warn!(node, "RabbitMQ: {purpose} through {node} has ended; next is {next}");
        }
    }
}

/// One error for an attempt that has failed with every node.
pub(super) async fn none_of(mut failures: Vec<NodeFailure>) -> BrokerError {
    for NodeFailure { all, place, error } in &mut failures {
        let node = &all[*place];
        *error = identify::explain(error.clone(), node.uri.amqp(), node.tls.as_ref()).await;
    }
    let all_are_hopeless = failures.iter().all(|failure| failure.error.waiting_cannot_help());
    let telling = |failure: &NodeFailure| all_are_hopeless || failure.error.is_not_found();
    match failures.iter().rposition(telling) {
        Some(place) => failures.swap_remove(place).error,
        None if failures.len() == 1 => failures.swap_remove(0).error,
        None => BrokerError::NoNode { reasons: reasons(&failures) },
    }
}

fn reasons(failures: &[NodeFailure]) -> String {
    let mut text = String::new();
    for NodeFailure { all, place, error } in failures {
        let comma = if text.is_empty() { "" } else { "; " };
        let _ = write!(text, "{comma}{}: {error}", all[*place].address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Nodes {
        Nodes::new(&AmqpUrl::parse(&"amqp://a,amqp://b,amqp://c".to_owned().into()).unwrap()).unwrap()
    }

    fn next(nodes: &Nodes) -> String {
        let mut node = nodes.take("looking");
        node.ended_well();
        node.address().to_owned()
    }

    fn refused() -> BrokerError {
        BrokerError::Lost { operation: "test", reason: "refused".into() }
    }

    #[test]
    fn a_cluster_is_named_by_one_of_its_nodes_whatever_their_order() {
        let name =
            |urls: &str| Nodes::new(&AmqpUrl::parse(&urls.to_owned().into()).unwrap()).unwrap().cluster();
        assert_eq!(name("amqp://b,amqp://a,amqp://c"), "a:5672");
        assert_eq!(name("amqp://a,amqp://d"), "a:5672");
        assert_ne!(name("amqp://a"), name("amqp://a/other"));
    }

    #[test]
    fn a_node_is_left_unless_its_session_ends_in_order() {
        let nodes = cluster();
        assert_eq!((next(&nodes), next(&nodes)), ("a:5672".into(), "a:5672".into()));
        drop(nodes.take("an attempt that is cancelled"));
        assert_eq!(next(&nodes), "b:5672");
        drop(nodes.take("testing").failed(refused()));
        assert_eq!(next(&nodes), "c:5672");
        let mut lost = nodes.take("testing");
        lost.opened(&[]);
        drop(lost);
        assert_eq!(next(&nodes), "a:5672");
    }

    #[test]
    fn two_sessions_that_lose_one_node_leave_it_once() {
        let nodes = cluster();
        let (first, second) = (nodes.take("publishing"), nodes.take("consuming"));
        drop(first);
        drop(second);
        assert_eq!(next(&nodes), "b:5672");
    }

    #[test]
    fn a_copy_goes_from_node_to_node_on_its_own() {
        let nodes = cluster();
        let copy = nodes.clone();
        drop(copy.take("publishing"));
        assert_eq!((next(&nodes), next(&copy)), ("a:5672".into(), "b:5672".into()));
    }

    #[tokio::test]
    async fn the_error_of_all_nodes_names_each_or_is_the_one_that_tells_most() {
        let fail = |error: BrokerError| cluster().take("testing").failed(error);
        let error = none_of(vec![fail(refused()), fail(refused())]).await;
        assert_eq!(
            error.to_string(),
            "no node of RabbitMQ can be used: a:5672: test: refused; a:5672: test: refused"
        );
        let missing = BrokerError::NotFound { operation: "test", reason: "home node is down".into() };
        let error = none_of(vec![fail(refused()), fail(missing), fail(refused())]).await;
        assert!(matches!(error, BrokerError::NotFound { .. }), "{error}");
        let stranger = || BrokerError::NotRabbitMq { says: "HTTP/1.1 400".into() };
        let error = none_of(vec![fail(stranger()), fail(stranger())]).await;
        assert!(error.waiting_cannot_help(), "{error}");
        let error = none_of(vec![fail(stranger()), fail(refused())]).await;
        assert!(!error.waiting_cannot_help(), "{error}");
    }
}
