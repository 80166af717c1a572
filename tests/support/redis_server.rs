//! A redis-server of our own: starts in 10 ms, dies with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// It reads its append-only file first: after a long soak that is some hundred MB, on a machine that has other work.
const START_MAX: Duration = Duration::from_secs(60);

pub struct RedisServer {
    child: Child,
    pub port: u16,
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
        Self { child, port, dir, arguments }
    }

    /// The same with TLS on a second port, which it gives, too. `identity` has the files of the certificate and its key. With `requires_client`, clients need a certificate of `ca`.
    pub fn start_with_tls(identity: &[String; 2], ca: &Path, requires_client: bool) -> (Self, u16) {
        let port = free_port();
        let ([certificate, key], ca) = (identity, ca.to_str().unwrap());
        let clients = if requires_client { "yes" } else { "no" };
        let server = Self::start(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            certificate,
            "--tls-key-file",
            key,
            "--tls-ca-cert-file",
            ca,
            "--tls-auth-clients",
            clients,
        ]);
        (server, port)
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
