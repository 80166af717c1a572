//! A RabbitMQ node of our own, for stories that kill the broker, hold it up or change its settings. To start one takes 5 s and more
//! than a processor, so stories lend one another their nodes.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tempfile::TempDir;

use super::redis_server::free_port;

pub struct RabbitNode {
    child: Child,
    pub port: u16,
    ports: Ports,
    dir: TempDir,
    /// Ends the node when its stdin is closed, which the end of the tests does, too.
    guard: Child,
}

/// The ports of a node, and of the port mapper that it starts unless another node has started it.
#[derive(Clone, Copy)]
pub struct Ports {
    pub node: u16,
    pub distribution: u16,
    pub epmd: u16,
}

/// Nodes that wait for the next story.
static IDLE: Mutex<Vec<RabbitNode>> = Mutex::new(Vec::new());

/// A node that stories use one after the other. A story may change anything on it, and undoes it at the end: users, policies, limits.
/// The node of a story that fails is killed.
pub struct LentNode(Option<RabbitNode>);

impl RabbitNode {
    /// A node that an earlier story has used, or a new one.
    pub fn lent() -> LentNode {
        let idle = IDLE.lock().unwrap().pop();
        LentNode(Some(idle.unwrap_or_else(Self::start)))
    }

    /// Starts a node with its own name, ports, folders and port mapper, without the wrapper that changes the user.
    pub fn start() -> Self {
        let ports = Ports { node: free_port(), distribution: free_port(), epmd: free_port() };
        let node = Self::begin(ports, "heartbeat = 10\n");
        node.wait_until_up();
        node
    }

    /// The same with these ports and settings, without waiting until it is up. All nodes have the same cookie.
    pub fn begin(ports: Ports, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("rabbitmq.conf"), settings).unwrap();
        fs::write(dir.path().join("plugins"), "[].\n").unwrap();
        let cookie = dir.path().join(".erlang.cookie");
        fs::write(&cookie, "TESTS").unwrap();
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).unwrap();
        let child = spawn(&dir, ports);
        let guard = guard(&dir, ports.epmd);
        Self { child, port: ports.node, ports, dir, guard }
    }

    /// Its name among nodes.
    pub fn name(&self) -> String {
        name(self.ports)
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The process that does the work.
    pub fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.dir.path().join("pid")).unwrap();
        text.trim().parse().unwrap()
    }

    /// Kills it as a crash would, and waits until the process is gone.
    pub fn kill(&mut self) {
        super::process::signal(self.pid(), "KILL");
        self.child.wait().unwrap();
    }

    /// Lets it go on, if it is stopped.
    pub fn resume(&self) {
        let pid = fs::read_to_string(self.dir.path().join("pid")).unwrap_or_default();
        let _ = Command::new("kill").args(["-CONT", pid.trim()]).stderr(Stdio::null()).status();
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        super::process::signal(self.pid(), "TERM");
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port with the same files. Returns the last time at which the node was certainly down. On a busy
    /// machine it may be up for some time before this returns.
    pub fn restart(&mut self) -> DateTime<Utc> {
        self.begin_again();
        self.wait_until_up()
    }

    /// The same, without waiting until it is up.
    pub fn begin_again(&mut self) {
        let _ = fs::remove_file(self.dir.path().join("pid"));
        self.child = spawn(&self.dir, self.ports);
    }

    /// Starts it again and kills it at this age, however far it has come.
    pub fn live_for(&mut self, age: Duration) {
        self.begin_again();
        std::thread::sleep(age);
        super::process::signal_group(self.child.id(), "KILL");
        self.child.wait().unwrap();
    }

    /// Runs the `rabbitmqctl eval '…'` that `replay archive --reset` has printed, as its user would.
    pub fn follow_advice(&self, printed: &str) {
        let advice = printed.split("run rabbitmqctl eval '").nth(1).and_then(|rest| rest.split('\'').next());
        self.ctl(&["eval", advice.unwrap_or_else(|| panic!("no advice: {printed}"))]);
    }

    /// Runs `rabbitmqctl` against the node.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.run("rabbitmqctl", arguments)
    }

    /// Runs one of RabbitMQ's commands against the node.
    pub fn run(&self, tool: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(sbin().join(tool));
        environment(&mut command, &self.dir, self.ports);
        let output = command.arg("-q").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{tool} {arguments:?}: {stdout} {stderr}");
        stdout
    }

    /// Opens a port with TLS for each of these files of a certificate and its key, and gives the ports. With a CA, clients need a certificate of it. The ports
    /// stay open as long as the node runs.
    pub fn listen_with_tls(&self, identities: &[([String; 2], Option<&Path>)]) -> Vec<u16> {
        let mut ports = Vec::new();
        let mut start = "ssl:start()".to_owned();
        for (identity, client_ca) in identities {
            let port = free_port();
            let [certificate, key] = identity;
            let clients = client_ca.map_or_else(String::new, |ca| {
                let ca = ca.display();
                format!(", {{cacertfile, \"{ca}\"}}, {{verify, verify_peer}}, {{fail_if_no_peer_cert, true}}")
            });
            start += &format!(
                ", ok = rabbit_networking:start_ssl_listener({{\"127.0.0.1\", {port}, auto}}, \
                 [{{certfile, \"{certificate}\"}}, {{keyfile, \"{key}\"}}{clients}], 2)"
            );
            ports.push(port);
        }
        self.ctl(&["eval", &format!("{start}.")]);
        ports
    }

    /// Writes to disk what the node would write within a second: a first queue or stream survives a kill only then.
    pub fn settle(&self) {
        self.ctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
    }

    /// Stops the process of a quorum queue. RabbitMQ then says that the queue holds nothing.
    pub fn suspend_queue(&self, queue: &str) {
        self.ctl(&["eval", &format!("sys:suspend('%2F_{queue}').")]);
    }

    pub fn resume_queue(&self, queue: &str) {
        self.ctl(&["eval", &format!("sys:resume('%2F_{queue}').")]);
    }

    /// Stops the writers of all streams, as a full disk would: nothing published to a stream is confirmed.
    pub fn suspend_streams(&self) {
        self.tell_streams("suspend");
    }

    pub fn resume_streams(&self) {
        self.tell_streams("resume");
    }

    fn tell_streams(&self, what: &str) {
        let tell = format!(
            "Children = supervisor:which_children(osiris_server_sup), \
             Below = [supervisor:which_children(Sup) || {{_, Sup, supervisor, _}} <- Children], \
             [sys:{what}(Writer) || {{_, Writer, worker, [osiris_writer]}} <- lists:append([Children | Below])]."
        );
        self.ctl(&["eval", &tell]);
    }

    /// True while somebody listens on its port.
    pub fn listens(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Lets the guard end it, without waiting for that.
    pub fn begin_to_end(&mut self) {
        drop(self.guard.stdin.take());
    }

    /// Gives the last moment at which nobody listened.
    pub fn wait_until_up(&self) -> DateTime<Utc> {
        let deadline = Instant::now() + Duration::from_secs(90);
        let mut down = Utc::now();
        loop {
            let asked = Utc::now();
            match std::net::TcpStream::connect(("127.0.0.1", self.port)) {
                Err(_) => down = asked,
                Ok(_) if self.dir.path().join("pid").exists() => return down,
                Ok(_) => {}
            }
            assert!(Instant::now() < deadline, "RabbitMQ on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for RabbitNode {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        // A node that has not written its pid yet.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Deref for LentNode {
    type Target = RabbitNode;

    fn deref(&self) -> &RabbitNode {
        self.0.as_ref().expect("it is given back at the end only")
    }
}

impl DerefMut for LentNode {
    fn deref_mut(&mut self) -> &mut RabbitNode {
        self.0.as_mut().expect("it is given back at the end only")
    }
}

impl Drop for LentNode {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            IDLE.lock().unwrap().extend(self.0.take());
        }
    }
}

/// Waits for the end of its stdin, then ends the node, and the port mapper that the node has started. The port mapper refuses to end
/// until it has noticed that the node is gone.
const GUARD: &str = r#"
    cat > /dev/null
    kill -KILL "$(cat "$0/pid")"
    for try in $(seq 40); do
        epmd -kill > /dev/null && break
        sleep 0.05
    done
    rm -rf "$0"
"#;

/// A process that outlives the tests: nobody drops the nodes that are idle when the last story ends, or when the tests are killed.
fn guard(dir: &TempDir, epmd_port: u16) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD]).arg(dir.path()).env("ERL_EPMD_PORT", epmd_port.to_string());
    // Ctrl-C at the terminal ends the tests, not this.
    command.process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Where Debian's package has the scripts that do not change the user.
fn sbin() -> PathBuf {
    let lib = fs::read_dir("/usr/lib/rabbitmq/lib")
        .expect("rabbitmq-server is missing: run `make test`, which installs it");
    let server = lib.filter_map(Result::ok).map(|entry| entry.path().join("sbin")).find(|path| path.exists());
    server.expect("rabbitmq-server is missing: run `make test`, which installs it")
}

fn name(ports: Ports) -> String {
    format!("etl{}@localhost", ports.node)
}

fn spawn(dir: &TempDir, ports: Ports) -> Child {
    let mut command = Command::new(sbin().join("rabbitmq-server"));
    environment(&mut command, dir, ports);
    // Its scripts and the Erlang machine are a group of their own, to be killed together.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn environment(command: &mut Command, dir: &TempDir, ports: Ports) {
    let path = |name: &str| dir.path().join(name);
    command
        .env("HOME", dir.path())
        .env("RABBITMQ_NODENAME", name(ports))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", ports.node.to_string())
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("ERL_EPMD_PORT", ports.epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", path("data"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_PID_FILE", path("pid"))
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        // Else it would add what the machine has in conf.d.
        .env("RABBITMQ_CONFIG_FILES", path("no-conf.d"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
}
