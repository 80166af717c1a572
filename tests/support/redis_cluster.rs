//! A Redis Cluster of three primaries and three replicas, as processes of our own. They die with the test.

use std::time::{Duration, Instant};

use redis::{Connection, RedisResult};

use super::primary::connect_soon;
use super::redis_server::{RedisServer, ServerTls, free_port, run};
use super::wait::eventually_within;

/// A node that does not answer for so long has failed, for the others. People have 15 s.
const NODE_TIMEOUT_MS: &str = "2000";
/// Six nodes meet one another in a few seconds.
const MEETING_MAX: Duration = Duration::from_secs(90);
/// Keys moved at once, as `redis-cli` does it, ten times.
const KEYS_AT_ONCE: usize = 100;

pub struct RedisCluster {
    /// Three primaries at first, then a replica of each.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes, with `arguments` added, and waits until all of them say that all is well.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_among(None, arguments)
    }

    /// The same with TLS among them, and for clients. The certificate is for `localhost`, so the nodes send clients on by this name.
    pub fn start_with_tls(tls: &ServerTls) -> Self {
        let by_name =
            ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
        let among = ["--tls-cluster", "yes", "--tls-replication", "yes"];
        Self::start_among(Some(tls), &[&by_name[..], &among].concat())
    }

    fn start_among(tls: Option<&ServerTls>, arguments: &[&str]) -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS];
            let bus = ["--cluster-port", bus.as_str(), "--repl-diskless-sync-delay", "0"];
            RedisServer::start_among(tls, &[&own[..], &bus, arguments].concat())
        };
        let cluster = Self { nodes: (0..6).map(node).collect() };
        cluster.meet();
        for (place, slots) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
            cluster.nodes[place].run(&format!("CLUSTER ADDSLOTSRANGE {slots}"));
        }
        for replica in 3..6 {
            let primary = cluster.id(replica - 3);
            eventually_within(MEETING_MAX, "a node knows its primary", || {
                let mut replicate = redis::cmd("CLUSTER");
                replicate.arg("REPLICATE").arg(&primary);
                replicate.query::<()>(&mut cluster.nodes[replica].connect()).is_ok()
            });
        }
        cluster.wait_until_whole();
        cluster
    }

    fn meet(&self) {
        let first = &self.nodes[0];
        for node in &self.nodes[1..] {
            let bus: Vec<String> =
                redis::cmd("CONFIG").arg("GET").arg("cluster-port").query(&mut node.connect()).unwrap();
            first.run(&format!("CLUSTER MEET 127.0.0.1 {} {}", node.client_port(), bus[1]));
        }
        eventually_within(MEETING_MAX, "the nodes have met", || {
            (0..6).all(|place| self.table(place).is_ok_and(|table| table.len() == 6))
        });
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}/", hosts.join(","))
    }

    /// The same with TLS.
    pub fn tls_url(&self) -> String {
        let hosts: Vec<_> =
            self.nodes.iter().map(|node| format!("localhost:{}", node.client_port())).collect();
        format!("rediss-cluster://{}/", hosts.join(","))
    }

    /// Waits until every node says that all is well, and each primary has a replica that follows it.
    pub fn wait_until_whole(&self) {
        eventually_within(MEETING_MAX, "all nodes are well and every primary has its replica", || {
            (0..6).all(|place| self.is_well(place).unwrap_or(false))
        });
    }

    fn is_well(&self, place: usize) -> RedisResult<bool> {
        let mut connection = self.connect(place)?;
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection)?;
        let link: String = redis::cmd("INFO").arg("replication").query(&mut connection)?;
        let follows = link.contains("role:master") && link.contains("state=online")
            || link.contains("role:slave") && link.contains("master_link_status:up");
        Ok(info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") && follows)
    }

    fn connect(&self, place: usize) -> RedisResult<Connection> {
        connect_soon(&format!("127.0.0.1:{}", self.nodes[place].port))
    }

    /// The lines of a node's `CLUSTER NODES`.
    fn table(&self, place: usize) -> RedisResult<Vec<String>> {
        let table: String = redis::cmd("CLUSTER").arg("NODES").query(&mut self.connect(place)?)?;
        Ok(table.lines().map(str::to_owned).collect())
    }

    fn id(&self, place: usize) -> String {
        redis::cmd("CLUSTER").arg("MYID").query(&mut self.nodes[place].connect()).unwrap()
    }

    /// The place of the node that answers for the keys of `namespace`.
    pub fn primary(&self, namespace: &str) -> Option<usize> {
        let key = format!("{namespace}:any");
        let answers = |place: &usize| {
            let look = |mut node: Connection| redis::cmd("EXISTS").arg(&key).query::<bool>(&mut node);
            match self.connect(*place).and_then(look) {
                Ok(_) => true,
                // Its slot is on its way elsewhere.
                Err(error) => error.code() == Some("ASK"),
            }
        };
        (0..6).find(answers)
    }

    /// The place of its replica.
    pub fn replica_of(&self, primary: usize) -> usize {
        let id = self.id(primary);
        let follows = |place: &usize| {
            let table = self.table(*place).unwrap_or_default();
            table.iter().any(|line| line.contains("myself") && line.split(' ').nth(3) == Some(&id))
        };
        (0..6).find(follows).expect("it has a replica")
    }

    /// The address at which clients find the node that answers for the keys of `namespace`, once it is another than `old`.
    pub fn another_than(&self, old: usize, namespace: &str) -> Option<String> {
        let node = &self.nodes[self.primary(namespace).filter(|primary| *primary != old)?];
        let host = if node.tls_port.is_some() { "localhost" } else { "127.0.0.1" };
        Some(format!("{host}:{}", node.client_port()))
    }

    /// A replica and its primary change places, as whoever maintains the servers wants it.
    pub fn fail_over_to(&self, replica: usize) {
        self.nodes[replica].run("CLUSTER FAILOVER");
    }

    /// Moves the slot of `namespace` to `target`: atomically where this server can, else key by key. Gives how it was done, and how
    /// long it took.
    pub fn move_slot(&self, namespace: &str, target: usize) -> (&'static str, Duration) {
        let source = self.primary(namespace).unwrap();
        let slot: u16 = redis::cmd("CLUSTER")
            .arg("KEYSLOT")
            .arg(format!("{namespace}:any"))
            .query(&mut self.nodes[source].connect())
            .unwrap();
        let began = Instant::now();
        let how = if self.moves_atomically(slot, source, target) {
            "atomically"
        } else {
            self.move_key_by_key(slot, source, target);
            "key by key"
        };
        eventually_within(MEETING_MAX, "the slot has moved", || self.primary(namespace) == Some(target));
        (how, began.elapsed())
    }

    /// Valkey 9 and later, Redis 8.4 and later.
    fn moves_atomically(&self, slot: u16, source: usize, target: usize) -> bool {
        let mut valkey = redis::cmd("CLUSTER");
        valkey.arg("MIGRATESLOTS").arg("SLOTSRANGE").arg(slot).arg(slot).arg("NODE").arg(self.id(target));
        let mut redis = redis::cmd("CLUSTER");
        redis.arg("MIGRATION").arg("IMPORT").arg(slot).arg(slot);
        valkey.query::<redis::Value>(&mut self.nodes[source].connect()).is_ok()
            || redis.query::<redis::Value>(&mut self.nodes[target].connect()).is_ok()
    }

    fn move_key_by_key(&self, slot: u16, source: usize, target: usize) {
        let (from, to) = (self.id(source), self.id(target));
        let (mut old, mut new) = (self.nodes[source].connect(), self.nodes[target].connect());
        run(&mut new, &format!("CLUSTER SETSLOT {slot} IMPORTING {from}"));
        run(&mut old, &format!("CLUSTER SETSLOT {slot} MIGRATING {to}"));
        loop {
            let mut list = redis::cmd("CLUSTER");
            let keys: Vec<String> =
                list.arg("GETKEYSINSLOT").arg(slot).arg(KEYS_AT_ONCE).query(&mut old).unwrap();
            if keys.is_empty() {
                break;
            }
            let mut send = redis::cmd("MIGRATE");
            send.arg("127.0.0.1").arg(self.nodes[target].port).arg("").arg(0).arg(5000).arg("KEYS");
            send.arg(keys).query::<redis::Value>(&mut old).unwrap();
        }
        let settle = format!("CLUSTER SETSLOT {slot} NODE {to}");
        run(&mut new, &settle);
        run(&mut old, &settle);
    }
}
