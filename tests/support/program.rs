//! The built programs, run as a user runs them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::event_log;
use super::process::signal;
use super::wait::DEADLINE;

/// What a program may take to end when asked: what supervisors give it.
const GOODBYE_MAX: Duration = Duration::from_secs(10);

/// A running program. Killed when dropped.
pub struct Program {
    child: Child,
    log: Arc<Log>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// Reads its stdout.
    stdout: Option<std::thread::JoinHandle<()>>,
    /// Its stdout so far.
    written: Arc<Mutex<Vec<u8>>>,
    /// Its working directory.
    _dir: TempDir,
}

/// What a program has written to stderr so far.
#[derive(Default)]
struct Log {
    state: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

/// How a program is started.
pub struct Launch<'a> {
    pub name: &'a str,
    pub arguments: &'a [&'a str],
    /// Our variables in its environment.
    pub variables: &'a [(&'a str, &'a str)],
    pub stdin: Stdio,
    /// Its `.env`, if it has one.
    pub dotenv: Option<&'a [u8]>,
    /// After so many lines its stdout is closed, as `head` does.
    pub stdout_lines_max: usize,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Starts `name` in an empty directory, with no variables of ours but `variables`.
    pub fn start(name: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::start_fed(name, variables, arguments, Stdio::null())
    }

    /// The same, with something to read.
    pub fn start_fed(name: &str, variables: &[(&str, &str)], arguments: &[&str], stdin: Stdio) -> Self {
        Self::launch(Launch { variables, arguments, stdin, ..Launch::of(name) })
    }

    pub fn launch(launch: Launch<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if let Some(text) = launch.dotenv {
            std::fs::write(dir.path().join(".env"), text).unwrap();
        }
        let name = launch.name;
        let given = |name: &str| launch.variables.iter().find(|(is, _)| *is == name).map(|(_, value)| *value);
        let event_log = match (given("LOADER_EVENT_LOG"), given("ETL_NAMESPACE")) {
            (None, Some(namespace)) if ["loader", "standalone"].contains(&name) => {
                Some(event_log::of(namespace))
            }
            _ => None,
        };
        let mut child = Command::new(path(name))
            .args(launch.arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(launch.variables.iter().copied())
            .envs(event_log.map(|layout| ("LOADER_EVENT_LOG", layout)))
            .current_dir(dir.path())
            .stdin(launch.stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().unwrap();
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || log.follow(stderr)
        });
        let pipe = child.stdout.take().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let stdout = std::thread::spawn({
            let written = Arc::clone(&written);
            move || follow_stdout(pipe, &written, launch.stdout_lines_max)
        });
        Self { child, log, reader: Some(reader), stdout: Some(stdout), written, _dir: dir }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr that holds `text`, and gives it; panics when the program ends without it.
    pub fn wait_for(&self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.log.state.lock().unwrap().0.join("\n")
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// True once it has ended on its own.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to end as a supervisor does, and waits at most `within`.
    pub fn terminate(self, within: Duration) -> Ended {
        signal(self.pid(), "TERM");
        self.ended(within)
    }

    /// Asks it to end as a supervisor does, and asserts that it does so in time and says that it went well.
    #[track_caller]
    pub fn stop(self) -> Ended {
        let ended = self.terminate(GOODBYE_MAX);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Kills it as the machine's death would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends on its own.
    pub fn wait(self) -> Ended {
        self.ended(DEADLINE)
    }

    /// The same for what takes long.
    pub fn wait_within(self, within: Duration) -> Ended {
        self.ended(within)
    }

    /// Waits until it ends on its own, and asserts that it says it went well.
    pub fn succeed(self) -> Ended {
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    fn ended(mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still running after {within:?}:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reader.take().unwrap().join().unwrap();
        self.stdout.take().unwrap().join().unwrap();
        Ended { code: status.code(), stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Launch<'a> {
    /// In an empty directory, without arguments, variables or input.
    pub fn of(name: &'a str) -> Self {
        let (stdin, stdout_lines_max) = (Stdio::null(), usize::MAX);
        Self { name, arguments: &[], variables: &[], stdin, dotenv: None, stdout_lines_max }
    }
}

/// Keeps what comes, until it ends or has so many lines.
fn follow_stdout(mut pipe: ChildStdout, written: &Mutex<Vec<u8>>, lines_max: usize) {
    let (mut buffer, mut lines) = ([0; 8192], 0);
    while lines < lines_max
        && let Ok(count @ 1..) = pipe.read(&mut buffer)
    {
        lines += buffer[..count].iter().filter(|byte| **byte == b'\n').count();
        written.lock().unwrap().extend_from_slice(&buffer[..count]);
    }
}

impl Log {
    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
            self.state.lock().unwrap().0.push(line);
            self.grown.notify_all();
        }
        self.state.lock().unwrap().1 = true;
        self.grown.notify_all();
    }

    fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.state.lock().unwrap();
        loop {
            let (lines, ended) = &*state;
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if *ended || left.is_zero() {
                let message = format!("no line with '{text}' (ended: {ended}):\n{}", lines.join("\n"));
                // A destructor that prints the log of a failed test must find it unlocked.
                drop(state);
                panic!("{message}");
            }
            state = self.grown.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// Where a built program is.
pub fn path(name: &str) -> &'static str {
    match name {
        "dashboard" => env!("CARGO_BIN_EXE_dashboard"),
        "fetcher" => env!("CARGO_BIN_EXE_fetcher"),
        "loader" => env!("CARGO_BIN_EXE_loader"),
        "replay" => env!("CARGO_BIN_EXE_replay"),
        "standalone" => env!("CARGO_BIN_EXE_standalone"),
        _ => panic!("no such program: {name}"),
    }
}
