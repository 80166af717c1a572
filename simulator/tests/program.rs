//! The built program: what it prints, how it ends, and that it shows no secret of its environment.

#[path = "../../tests/support/canary.rs"]
mod canary;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use canary::is_clean;

/// How long the program may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running simulator. It is killed when it is dropped.
struct Simulator {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    url: String,
}

impl Simulator {
    /// Starts it on a free port, with these variables, and reads its URL from stdout.
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args(["--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        Self { child, stdout, stderr: Some(stderr), url: url.trim_end().to_owned() }
    }

    /// Sends SIGTERM and waits. Gives the exit code, the rest of stdout, and stderr.
    fn stop(&mut self) -> (Option<i32>, String, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it runs {PATIENCE:?} after SIGTERM");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (code, rest, self.stderr.take().unwrap().join().unwrap())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer of a web server; an error while nobody listens.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(connection, "GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: test\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address for the metrics on a port that is free now.
fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn the_url_is_all_that_stdout_gets_and_sigterm_ends_it_with_code_0() {
    let mut simulator = Simulator::start(&[("METRICS_LISTEN", "127.0.0.1:0")]);
    let address = simulator.url.strip_prefix("http://").unwrap().to_owned();
    let answer = get(&address, "/events").unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 ") && answer.contains("etag: "), "{answer}");
    let (code, stdout, stderr) = simulator.stop();
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    assert!(stderr.contains(&format!("serving GitHub's Events API at http://{address}")), "{stderr}");
}

#[test]
fn it_shows_no_secret_of_its_environment() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, secret: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, secret).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let metrics = free_address();
    let mut simulator = Simulator::start(&[
        ("RUST_LOG", "trace"),
        ("METRICS_LISTEN", &metrics),
        ("AMQP_URL_FILE", &file("amqp", "amqp://etl:k4n4ry-amqp%2Fp@127.0.0.1:9/")),
        ("REDIS_URL", "redis://127.0.0.1:9/"),
        ("REDIS_PASSWORD", "k4n4ry-redis/p@ss:#?"),
        ("GITHUB_API_URL", "http://127.0.0.1:9/"),
        ("GITHUB_TOKEN_FILE", &file("token", "k4n4ry-ghp-token")),
    ]);
    for path in ["/metrics", "/readyz", "/healthz"] {
        let answer = get(&metrics, path).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
        is_clean("simulator", path, &answer);
    }
    let command_line = std::fs::read(format!("/proc/{}/cmdline", simulator.child.id())).unwrap();
    assert!(!command_line.is_empty());
    is_clean("simulator", "the command line", &String::from_utf8_lossy(&command_line));
    let (code, stdout, stderr) = simulator.stop();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("INFO"), "{stderr}");
    is_clean("simulator", "stderr", &stderr);
    is_clean("simulator", "stdout", &stdout);
}
