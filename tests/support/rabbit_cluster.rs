//! Three RabbitMQ nodes of our own that are one cluster. To start them takes a quarter of a minute, so stories lend one another the
//! cluster. Only one of them has it at a time: it is too much for a small machine to have two.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::rabbitmq::{Ports, RabbitNode};
use super::redis_server::free_port;

pub struct RabbitCluster {
    pub nodes: Vec<RabbitNode>,
}

/// The cluster that waits for the next story.
static IDLE: Mutex<Option<RabbitCluster>> = Mutex::new(None);

/// A cluster that other stories have used and will use. A story that fails, or leaves a node down, takes it with it.
pub struct LentCluster {
    cluster: Option<RabbitCluster>,
    idle: MutexGuard<'static, Option<RabbitCluster>>,
}

impl RabbitCluster {
    /// The cluster that an earlier story has used, or a new one.
    pub fn lent() -> LentCluster {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        LentCluster { cluster: Some(idle.take().unwrap_or_else(Self::start)), idle }
    }

    fn start() -> Self {
        let epmd = free_port();
        let ports = [(); 3].map(|()| Ports { node: free_port(), distribution: free_port(), epmd });
        let mut settings = "heartbeat = 10\n\
            net_ticktime = 15\n\
            cluster_partition_handling = pause_minority\n\
            cluster_formation.peer_discovery_backend = classic_config\n"
            .to_owned();
        for (number, ports) in ports.iter().enumerate() {
            let name = format!("etl{}@localhost", ports.node);
            let _ = writeln!(settings, "cluster_formation.classic_config.nodes.{} = {name}", number + 1);
        }
        let cluster = Self { nodes: ports.map(|ports| RabbitNode::begin(ports, &settings)).into() };
        for node in &cluster.nodes {
            node.wait_until_up();
        }
        cluster.nodes[0].ctl(&["await_online_nodes", "3"]);
        cluster
    }

    /// Cuts a node off from the others, as when the network between them fails: they refuse each other's connections. Clients still reach
    /// all of them.
    pub fn cut_off(&self, place: usize) {
        let others = self.names_of_others(place);
        let cut = others
            .iter()
            .map(|name| format!("erlang:set_cookie('{name}', other), erlang:disconnect_node('{name}')"));
        self.nodes[place].ctl(&["eval", &format!("{}.", cut.collect::<Vec<_>>().join(", "))]);
    }

    /// Ends that.
    pub fn let_in_again(&self, place: usize) {
        let others = self.names_of_others(place);
        let mend = others.iter().map(|name| format!("erlang:set_cookie('{name}', erlang:get_cookie())"));
        self.nodes[place].ctl(&["eval", &format!("{}.", mend.collect::<Vec<_>>().join(", "))]);
    }

    /// The URLs of all nodes, as programs take them.
    pub fn url(&self) -> String {
        self.nodes.iter().map(RabbitNode::url).collect::<Vec<_>>().join(",")
    }

    pub fn node_that_is_up(&self) -> &RabbitNode {
        self.nodes.iter().find(|node| node.listens()).expect("a node is up")
    }

    /// The names of the nodes but for the one at `place`.
    pub fn names_of_others(&self, place: usize) -> Vec<String> {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != place);
        others.map(|(_, node)| node.name()).collect()
    }

    /// The place of the node where the leader of a quorum queue or stream is.
    pub fn leader_of(&self, queue: &str) -> usize {
        let queues = self.node_that_is_up().ctl(&["list_queues", "name", "leader", "--formatter", "json"]);
        let queues: serde_json::Value = serde_json::from_str(&queues).unwrap();
        let row = queues.as_array().unwrap().iter().find(|row| row["name"] == queue);
        let leader = row.unwrap_or_else(|| panic!("no {queue} in {queues}"))["leader"].as_str().unwrap();
        self.nodes.iter().position(|node| node.name() == leader).unwrap_or_else(|| panic!("{leader} leads"))
    }
}

impl Drop for RabbitCluster {
    fn drop(&mut self) {
        // The port mapper, which they share, ends with the last of them.
        self.nodes.iter_mut().for_each(RabbitNode::begin_to_end);
    }
}

impl Deref for LentCluster {
    type Target = RabbitCluster;

    fn deref(&self) -> &RabbitCluster {
        self.cluster.as_ref().expect("it is given back at the end only")
    }
}

impl DerefMut for LentCluster {
    fn deref_mut(&mut self) -> &mut RabbitCluster {
        self.cluster.as_mut().expect("it is given back at the end only")
    }
}

impl Drop for LentCluster {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.nodes.iter().all(RabbitNode::listens) {
            *self.idle = self.cluster.take();
        }
    }
}
