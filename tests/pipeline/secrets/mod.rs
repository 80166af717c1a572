//! A secret is never shown: not in a log at any level, an error, a metric, a command line or a dead letter, whatever the
//! server at the other end is and says.

mod github;
mod servers;
mod working;

use std::fs;
use std::time::Duration;

use crate::support::canary::is_clean;
use crate::support::program::Program;
use crate::support::redis_server::{RedisServer, free_port};
use crate::support::status::Status;
use crate::support::stranger::{answering, mute};

/// Passwords with all that must be percent-encoded in a URL.
const AMQP_PASSWORD: &str = "k4n4ry-amqp/p@ss:#?%41";
const REDIS_PASSWORD: &str = "k4n4ry-redis/p@ss:#?";
const GITHUB_TOKEN: &str = "k4n4ry-ghp-token";
const DASHBOARD_TOKEN: &str = "k4n4ry-of-the-dashboard";

/// Everything at its most talkative, and the libraries that see the secrets by their names.
const TALKATIVE: &str =
    "trace,lapin=trace,amq_protocol=trace,redis=trace,hyper=trace,reqwest=trace,rustls=trace";

/// A program that runs with secrets, as talkative as it can be, and serves its metrics.
struct Suspect {
    what: String,
    program: Program,
    status: Status,
}

impl Suspect {
    fn start(what: &str, program: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let status = Status::new();
        // No test asks the real GitHub.
        let nobody = ("GITHUB_API_URL", "http://127.0.0.1:9/");
        let mut all = vec![("RUST_LOG", TALKATIVE), ("METRICS_LISTEN", status.address.as_str()), nobody];
        all.extend(variables);
        let program_started = Program::start(program, &all, arguments);
        Self { what: format!("{program}: {what}"), program: program_started, status }
    }

    /// Waits until it has met its trouble; then nothing that it shows may hold a secret.
    #[track_caller]
    fn shows_nothing_after(self, text: &str) {
        self.program.wait_for(text);
        let pid = self.program.pid();
        for path in ["/metrics", "/readyz", "/healthz"] {
            let answer = self.status.get(path).unwrap();
            assert!(answer.starts_with("HTTP/1.0 "), "{answer}");
            is_clean(&self.what, path, &answer);
        }
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!command_line.is_empty());
        is_clean(&self.what, "the command line", &String::from_utf8_lossy(&command_line));
        let ended = self.program.terminate(Duration::from_secs(10));
        is_clean(&self.what, "stderr", &ended.stderr);
        is_clean(&self.what, "stdout", &ended.stdout);
    }

    /// Waits until it has ended with this code; nothing that it said may hold a secret.
    #[track_caller]
    fn shows_nothing_and_ends_with(self, code: i32) {
        let ended = self.program.wait();
        assert_eq!(ended.code, Some(code), "{}: {}", self.what, ended.stderr);
        is_clean(&self.what, "stderr", &ended.stderr);
        is_clean(&self.what, "stdout", &ended.stdout);
    }
}

/// `url` with this user and password, encoded as a URL wants it.
fn with_password(url: &str, user: &str, password: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_username(user).unwrap();
    // The URL library leaves a % as it is, because it might have been encoded already.
    url.set_password(Some(&password.replace('%', "%25"))).unwrap();
    url.into()
}

/// A Redis that wants this password.
fn redis_with_password(password: &str) -> RedisServer {
    let redis = RedisServer::start(&[]);
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(password).exec(&mut redis.connect()).unwrap();
    redis
}

#[test]
fn the_search_finds_a_secret_in_any_form() {
    for text in [
        format!("amqp://u:{AMQP_PASSWORD}@h"),
        with_password("amqp://h/", "u", AMQP_PASSWORD),
        format!("{:?}", AMQP_PASSWORD.as_bytes()),
        "QmVhcmVyIGs0bjRyeS1naHA=".into(),
        "dTprNG40cnktZ2hw".into(),
        "azRuNHJ5".into(),
    ] {
        assert!(std::panic::catch_unwind(|| is_clean("", "", &text)).is_err(), "{text}");
    }
}
