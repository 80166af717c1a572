//! A primary with two replicas, and three Sentinels that watch them, all as processes of our own. They die with the test.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::primary::{PRIMARY_AMONG, connect_soon, named_by_sentinels};
use super::process::signal;
use super::redis_server::{RedisServer, ServerTls, free_port};
use super::wait::{eventually, eventually_within};

/// The name that the Sentinels have for the primary.
pub const SERVICE: &str = "events";
/// A primary that does not answer for so long is down, for one Sentinel. People have 5 to 30 s. Sentinels ping once a second: with
/// 1000 one takes the new primary for dead now and then, because it has not met it yet, and there is a second failover.
const DOWN_AFTER_MS: u32 = 3000;
const FAILOVER_TIMEOUT_MS: u32 = 9000;
/// What `localhost` may mean. The second may be missing.
const LOCALHOST: [&str; 2] = ["127.0.0.1", "-::1"];
/// Sentinels meet one another in seconds, and notice a replica that comes back in ten.
const MEETING_MAX: Duration = Duration::from_secs(90);

pub struct Sentinels {
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    port: u16,
    tls_port: Option<u16>,
    is_frozen: bool,
    _dir: TempDir,
}

impl Sentinels {
    /// Starts all, the servers with `arguments` added, and waits until the Sentinels know one another and the replicas.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_among(None, arguments)
    }

    /// The same with TLS among them all, and for clients. The certificate is for `localhost`, so the Sentinels name servers by this name.
    pub fn start_with_tls(tls: &ServerTls) -> Self {
        let by_name = ["--tls-replication", "yes", "--replica-announce-ip", "localhost"];
        Self::start_among(Some(tls), &[&by_name[..], &["--bind"], &LOCALHOST].concat())
    }

    fn start_among(tls: Option<&ServerTls>, arguments: &[&str]) -> Self {
        let arguments = [&["--repl-diskless-sync-delay", "0", "--repl-timeout", "60"], arguments].concat();
        let host = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let primary = RedisServer::start_among(tls, &arguments);
        let mut servers = vec![primary];
        for _ in 0..2 {
            let replica = RedisServer::start_among(tls, &arguments);
            replica.run(&format!("REPLICAOF {host} {}", servers[0].client_port()));
            servers.push(replica);
        }
        let primary = format!("{host} {}", servers[0].client_port());
        let sentinels = (0..3).map(|_| Sentinel::start(&primary, 2, tls, "")).collect();
        let all = Self { servers, sentinels };
        all.wait_until_whole();
        all
    }

    /// One server and one Sentinel with TLS, which names the server by its address.
    pub fn alone_with_tls(tls: &ServerTls) -> Self {
        let server = RedisServer::start_among(Some(tls), &[]);
        let sentinels =
            vec![Sentinel::start(&format!("127.0.0.1 {}", server.client_port()), 1, Some(tls), "")];
        eventually("the Sentinel listens", || sentinels.iter().all(Sentinel::listens));
        Self { servers: vec![server], sentinels }
    }

    /// One server and one Sentinel, which asks for `password` unless that is empty.
    pub fn alone(arguments: &[&str], password: &str) -> Self {
        let server = RedisServer::start_closed(arguments);
        let lines = if password.is_empty() { String::new() } else { format!("requirepass {password}\n") };
        let sentinels = vec![Sentinel::start(&format!("127.0.0.1 {}", server.port), 1, None, &lines)];
        eventually("the Sentinel listens", || sentinels.iter().all(Sentinel::listens));
        Self { servers: vec![server], sentinels }
    }

    pub fn url(&self) -> String {
        format!("redis-sentinel://{}/{SERVICE}", hosts(&self.sentinels))
    }

    /// The same with TLS.
    pub fn tls_url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|sentinel| format!("localhost:{}", sentinel.tls_port.unwrap()))
            .collect();
        format!("rediss-sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Where tests find the primary without TLS.
    pub fn plain_url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("{PRIMARY_AMONG}://{}", hosts.join(","))
    }

    /// The place of the server that the Sentinels name.
    pub fn primary(&self) -> Option<usize> {
        self.place_of(&self.named()?)
    }

    /// The address that the Sentinels name.
    fn named(&self) -> Option<String> {
        named_by_sentinels(&hosts(self.sentinels.iter().filter(|sentinel| !sentinel.is_frozen)), SERVICE).ok()
    }

    fn place_of(&self, address: &str) -> Option<usize> {
        self.servers.iter().position(|server| address.ends_with(&format!(":{}", server.client_port())))
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
    fn pause_writes(&self) {
        self.servers[self.primary().unwrap()].run("CLIENT PAUSE 15000 WRITE");
    }

    /// Asks a Sentinel for a failover, as whoever maintains the servers does.
    pub fn fail_over(&self) {
        self.try_fail_over(&[]).unwrap();
    }

    /// The same so that nothing is lost: coordinated where this server can (Valkey 9 and later), else while writes are paused. Gives how.
    pub fn fail_over_in_order(&self) -> &'static str {
        if self.try_fail_over(&["COORDINATED"]).is_ok() {
            return "coordinated";
        }
        let old = self.primary().unwrap();
        self.pause_writes();
        eventually("the replicas have it", || self.following(old) == 2);
        self.fail_over();
        "with writes paused"
    }

    fn try_fail_over(&self, how: &[&str]) -> redis::RedisResult<()> {
        let address = format!("127.0.0.1:{}", self.sentinels[0].port);
        redis::cmd("SENTINEL").arg("FAILOVER").arg(SERVICE).arg(how).query(&mut connect_soon(&address)?)
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

    /// Stops the first Sentinel of the URL, which then takes connections and answers nothing.
    pub fn freeze_first_sentinel(&mut self) {
        signal(self.sentinels[0].child.id(), "STOP");
        self.sentinels[0].is_frozen = true;
    }

    /// The address of the server that the Sentinels name, once it is another than `old`.
    pub fn another_than(&self, old: usize) -> Option<String> {
        self.named().filter(|named| self.place_of(named).is_some_and(|primary| primary != old))
    }
}

fn hosts<'a>(sentinels: impl IntoIterator<Item = &'a Sentinel>) -> String {
    let hosts = sentinels.into_iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
    hosts.collect::<Vec<_>>().join(",")
}

impl Sentinel {
    /// One that watches `primary`, a host and a port.
    fn start(primary: &str, quorum: u32, tls: Option<&ServerTls>, more: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let tls_port = tls.map(|_| free_port());
        let tls = tls.zip(tls_port).map_or_else(String::new, |(tls, port)| {
            let settings: Vec<_> =
                tls.settings(port).into_iter().map(|(name, value)| format!("{name} {value}\n")).collect();
            let by_name = "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n";
            settings.concat() + "tls-replication yes\n" + by_name
        });
        let lines = format!(
            "port {port}\nbind {}\ndir {}\n{tls}\
             sentinel monitor {SERVICE} {primary} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}\n{more}",
            LOCALHOST.join(" "),
            dir.path().display()
        );
        std::fs::write(&file, lines).unwrap();
        let child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is missing: run `make test`, which installs it");
        Self { child, port, tls_port, is_frozen: false, _dir: dir }
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
