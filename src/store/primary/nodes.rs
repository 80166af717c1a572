//! Redis Cluster: any node sends us on to the primary of our slot, which is then the only node that we talk to.
//!
//! The Redis client has a cluster client of its own, for keys in any slot. It repeats a whole pipeline for one redirected command,
//! loads a script on all nodes, of which none may be away, and hides what it waits for.

use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use super::{Failures, Found, Turn, connect};
use crate::store::Fault;
use crate::store::server::Server;

/// How often we are sent on before the next node of the URL is asked. In a failover, nodes disagree for a moment.
const HOPS_MAX: usize = 3;

pub(super) struct Nodes {
    nodes: Turn,
    /// A key in our slot.
    key: String,
}

/// What a node says of our slot.
enum Answer {
    /// It is the primary.
    Here(MultiplexedConnection),
    /// The primary is there.
    At(Server),
}

impl Nodes {
    pub(super) fn new(nodes: Vec<Server>, key: String) -> Self {
        Self { nodes: Turn::of(nodes), key }
    }

    /// Asks one node after the other for our slot, and goes where it is sent.
    pub(super) async fn find(&self) -> Result<Found, Fault> {
        let mut failures = Failures::default();
        for (place, node) in self.nodes.servers() {
            if let Some(found) = self.follow(node.clone(), &mut failures).await {
                self.nodes.begin_with(place);
                return Ok(found);
            }
        }
        Err(failures.sum())
    }

    async fn follow(&self, mut node: Server, failures: &mut Failures) -> Option<Found> {
        for _ in 0..=HOPS_MAX {
            if failures.has(&node) {
                return None;
            }
            match self.ask(&node).await {
                Ok(Answer::Here(connection)) => return Some(Found { primary: node, connection }),
                Ok(Answer::At(next)) => node = next,
                Err(fault) => {
                    failures.add(&node, fault);
                    return None;
                }
            }
        }
        let fault = Fault::ServerAway("it sends us on for our slot, and so do the others".into());
        failures.add(&node, fault);
        None
    }

    /// Connects to a node and looks for a key in our slot. Only the slot's primary answers.
    async fn ask(&self, node: &Server) -> Result<Answer, Fault> {
        let mut connection = connect(node).await?;
        let looked: RedisResult<bool> =
            redis::cmd("EXISTS").arg(&self.key).query_async(&mut connection).await;
        match looked {
            Ok(_) => Ok(Answer::Here(connection)),
            Err(error) if error.code() == Some("MOVED") => {
                let next = error.redirect_node().and_then(|(address, _)| named(node, address));
                next.map(Answer::At).ok_or_else(|| Fault::from_redis(&error).of_server())
            }
            // The slot is on its way elsewhere, and still here: the calls tell what is possible meanwhile.
            Err(error) if error.code() == Some("ASK") => Ok(Answer::Here(connection)),
            Err(error) => Err(Fault::from_redis(&error).of_server()),
        }
    }
}

/// The server that `node` names. A node that does not know its own address leaves the host out, or writes `?`.
fn named(node: &Server, address: &str) -> Option<Server> {
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() || host == "?" { node.host() } else { host };
    Some(node.at(host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    #[test]
    fn a_node_is_sent_for_by_host_and_port_or_by_port_alone() {
        let node = Server::parse("redis://10.0.0.1:7000/", &Tls::default()).unwrap();
        let named = |address| super::named(&node, address).map(|server| server.to_string());
        assert_eq!(named("redis-3.example:7001").as_deref(), Some("redis-3.example:7001"));
        assert_eq!(named(":7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(named("?:7001").as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(named("::1:7001").as_deref(), Some("[::1]:7001"));
        assert_eq!(named("nonsense"), None);
    }
}
