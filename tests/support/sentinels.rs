//! A primary with two replicas, and three Sentinels that watch them, all as processes of our own. They die with the test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::primary::{connect_soon, named_by_sentinels};
use super::redis_server::{RedisServer, free_port};
use super::wait::{eventually, eventually_within};

/// The name that the Sentinels have for the primary.
pub const SERVICE: &str = "events";
/// A primary that does not answer for so long is down, for one Sentinel. People have 5 to 30 s. Sentinels ping once a second: with
/// 1000 one takes the new primary for dead now and then, because it has not met it yet, and there is a second failover.
const DOWN_AFTER_MS: u32 = 3000;
const FAILOVER_TIMEOUT_MS: u32 = 9000;
/// Sentinels meet one another in seconds, and notice a replica that comes back in ten.
const MEETING_MAX: Duration = Duration::from_secs(90);

pub struct Sentinels {
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Sentinels {
    /// Starts all, the servers with `arguments` added, and waits until the Sentinels know one another and the replicas.
    pub fn start(arguments: &[&str]) -> Self {
        let arguments = [&["--repl-diskless-sync-delay", "0", "--repl-timeout", "60"], arguments].concat();
        let primary = RedisServer::start(&arguments);
        let mut servers = vec![primary];
        for _ in 0..2 {
            let replica = RedisServer::start(&arguments);
            replica.run(&format!("REPLICAOF 127.0.0.1 {}", servers[0].port));
            servers.push(replica);
        }
        let sentinels = (0..3).map(|_| Sentinel::start(servers[0].port, 2, "")).collect();
        let all = Self { servers, sentinels };
        all.wait_until_whole();
        all
    }

    /// One server and one Sentinel, which asks for `password` unless that is empty.
    pub fn alone(arguments: &[&str], password: &str) -> Self {
        let server = RedisServer::start_closed(arguments);
        let lines = if password.is_empty() { String::new() } else { format!("requirepass {password}\n") };
        let sentinels = vec![Sentinel::start(server.port, 1, &lines)];
        eventually("the Sentinel listens", || sentinels.iter().all(Sentinel::listens));
        Self { servers: vec![server], sentinels }
    }

    pub fn url(&self) -> String {
        format!("redis-sentinel://{}/{SERVICE}", self.hosts())
    }

    fn hosts(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|s| format!("127.0.0.1:{}", s.port)).collect();
        hosts.join(",")
    }

    /// The place of the server that the Sentinels name.
    pub fn primary(&self) -> Option<usize> {
        let named = named_by_sentinels(&self.hosts(), SERVICE).ok()?;
        self.servers.iter().position(|server| named.ends_with(&format!(":{}", server.port)))
    }

    /// Waits until all three Sentinels see a primary that serves and two replicas that follow it.
    pub fn wait_until_whole(&self) {
        eventually_within(MEETING_MAX, "the Sentinels see a primary and two replicas", || {
            self.sentinels.iter().all(Sentinel::sees_all)
        });
        eventually_within(MEETING_MAX, "the replicas have all that the primary has", || {
            self.primary().is_some_and(|primary| self.following(primary) == 2)
        });
    }

    /// How many replicas have all that the server has.
    pub fn following(&self, place: usize) -> usize {
        let address = format!("127.0.0.1:{}", self.servers[place].port);
        let Ok(info) = connect_soon(&address)
            .and_then(|mut redis| redis::cmd("INFO").arg("replication").query::<String>(&mut redis))
        else {
            return 0;
        };
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
        let offset = format!(",offset={},", value("master_repl_offset:"));
        info.lines().filter(|line| line.contains("state=online") && line.contains(&offset)).count()
    }

    /// Lets the primary take no writes for some seconds, longer than a failover takes.
    pub fn pause_writes(&self) {
        self.servers[self.primary().unwrap()].run("CLIENT PAUSE 15000 WRITE");
    }

    /// Asks a Sentinel for a failover, as whoever maintains the servers does.
    pub fn fail_over(&self) {
        let address = format!("127.0.0.1:{}", self.sentinels[0].port);
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("FAILOVER").arg(SERVICE).query::<()>(&mut connect_soon(&address).unwrap()).unwrap();
    }

    /// The primary loses its replicas and takes none back, as when the network between them fails. Its clients notice nothing.
    pub fn cut_replicas_off(&self, primary: usize) {
        let server = &self.servers[primary];
        server.run("ACL SETUSER default -psync -sync");
        server.run("CLIENT KILL TYPE replica");
        eventually("it has no replica", || self.following(primary) == 0);
    }

    /// Kills the first Sentinel of the URL.
    pub fn kill_first_sentinel(&mut self) {
        let sentinel = &mut self.sentinels[0];
        sentinel.child.kill().unwrap();
        sentinel.child.wait().unwrap();
    }

    /// The port of the server that the Sentinels name, once it is another than `old`.
    pub fn another_than(&self, old: usize) -> Option<u16> {
        self.primary().filter(|primary| *primary != old).map(|primary| self.servers[primary].port)
    }
}

impl Sentinel {
    fn start(primary: u16, quorum: u32, more: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}\n{more}",
            dir.path().display()
        );
        std::fs::write(&file, lines).unwrap();
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is missing: run `make test`, which installs it");
        Self { child, port, _dir: dir }
    }

    fn listens(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn sees_all(&self) -> bool {
        self.seen().is_ok_and(|(others, replicas)| others == 2 && replicas == 2)
    }

    /// How many other Sentinels and how many healthy replicas it sees.
    fn seen(&self) -> redis::RedisResult<(usize, usize)> {
        let mut connection = connect_soon(&format!("127.0.0.1:{}", self.port))?;
        let mut ask = |what: &str| {
            let mut command = redis::cmd("SENTINEL");
            command.arg(what).arg(SERVICE);
            command.query::<Vec<std::collections::HashMap<String, String>>>(&mut connection)
        };
        let others = ask("SENTINELS")?.len();
        let healthy = |replica: &std::collections::HashMap<String, String>| {
            replica["flags"] == "slave" && replica["master-link-status"] == "ok"
        };
        Ok((others, ask("REPLICAS")?.iter().filter(|replica| healthy(replica)).count()))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
