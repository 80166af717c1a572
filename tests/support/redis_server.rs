//! A redis-server of our own: starts in 10 ms, dies with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// It reads its append-only file first: after a long soak that is some hundred MB, on a machine that has other work.
const START_MAX: Duration = Duration::from_secs(60);

/// TLS of servers, on ports beside their plain ones: the files of their certificate, of its key and of the CA that signs clients.
pub struct ServerTls {
    pub identity: [String; 2],
    pub ca: String,
    /// Clients need a certificate of the CA.
    pub requires_client: bool,
}

impl ServerTls {
    /// The settings of a server with TLS on `port`.
    pub fn settings(&self, port: u16) -> [(&'static str, String); 5] {
        let [certificate, key] = self.identity.clone();
        let clients = if self.requires_client { "yes" } else { "no" };
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", certificate),
            ("tls-key-file", key),
            ("tls-ca-cert-file", self.ca.clone()),
            ("tls-auth-clients", clients.into()),
        ]
    }
}

pub struct RedisServer {
    child: Child,
    pub port: u16,
    /// Where it has TLS, if it has.
    pub tls_port: Option<u16>,
    dir: TempDir,
    arguments: Vec<String>,
}

/// A port that was free a moment ago, below those that the kernel gives to outgoing connections: a server that is killed
/// and started again finds it free again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() * 97;
    loop {
        let offset = start.wrapping_add(u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 14_000;
        let port = u16::try_from(18_000 + offset).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl RedisServer {
    /// Starts a server, append-only file on and flushed every second, with `arguments` added.
    pub fn start(arguments: &[&str]) -> Self {
        let server = Self::start_closed(arguments);
        server.wait_until_up();
        server
    }

    /// The same for one that lets nobody in without a password.
    pub fn start_closed(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let port = free_port();
        let child = spawn(port, &dir, &arguments);
        Self { child, port, tls_port: None, dir, arguments }
    }

    /// The same with TLS on a second port, which it gives, too. `identity` has the files of the certificate and its key. With `requires_client`, clients need a certificate of `ca`.
    pub fn start_with_tls(identity: &[String; 2], ca: &Path, requires_client: bool) -> (Self, u16) {
        let ca = ca.to_str().unwrap().to_owned();
        let tls = ServerTls { identity: identity.clone(), ca, requires_client };
        let server = Self::start_among(Some(&tls), &[]);
        let port = server.tls_port.unwrap();
        (server, port)
    }

    /// Starts a server that may have TLS on a second port, with `arguments` added.
    pub fn start_among(tls: Option<&ServerTls>, arguments: &[&str]) -> Self {
        let tls_port = tls.map(|_| free_port());
        let settings = tls.zip(tls_port).map(|(tls, port)| tls.settings(port));
        let settings: Vec<_> = (settings.iter().flatten())
            .flat_map(|(name, value)| [format!("--{name}"), value.clone()])
            .collect();
        let all: Vec<&str> = settings.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        let mut server = Self::start(&all);
        server.tls_port = tls_port;
        server
    }

    /// The port for clients of this server: that with TLS, if it has one.
    pub fn client_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would, and waits until the process is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port with the same files.
    pub fn restart(&mut self) {
        self.restart_without_waiting();
        self.wait_until_up();
    }

    /// The same, while it still reads its files.
    pub fn restart_without_waiting(&mut self) {
        self.child = spawn(self.port, &self.dir, &self.arguments);
    }

    /// Starts it again and kills it at this age, however far it has come.
    pub fn live_for(&mut self, age: Duration) {
        self.restart_without_waiting();
        std::thread::sleep(age);
        self.kill();
    }

    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Runs a command over a connection of its own.
    pub fn run(&self, words: &str) {
        run(&mut self.connect(), words);
    }

    pub fn wait_until_up(&self) {
        let deadline = Instant::now() + START_MAX;
        let client = redis::Client::open(self.url()).unwrap();
        while client.get_connection().and_then(|mut c| redis::cmd("PING").query::<String>(&mut c)).is_err() {
            assert!(Instant::now() < deadline, "redis-server on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Runs a command given as words.
pub fn run(redis: &mut redis::Connection, words: &str) {
    let (name, arguments) = words.split_once(' ').unwrap_or((words, ""));
    let arguments: Vec<_> = arguments.split_whitespace().map(|word| word.trim_matches('"')).collect();
    redis::cmd(name).arg(arguments).query::<redis::Value>(redis).unwrap();
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, dir: &TempDir, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--enable-debug-command", "yes"])
        .arg("--dir")
        .arg(dir.path())
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is missing: run `make test`, which installs it")
}
