//! A program started with one arbitrary setting, and how it took that.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::signal;
use crate::support::program::path;

/// A program that takes its settings says something about the servers, which are away. One that is silent is given so long.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Who has said something ends within this, or goes on.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// What supervisors give it.
const GOODBYE_MAX: Duration = Duration::from_secs(10);
const TERM: i32 = 15;

/// A program, or a command of one.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub program: &'static str,
    pub arguments: &'static [&'static str],
}

/// One place for a value.
#[derive(Clone, Debug)]
pub enum Place {
    Flag(String),
    /// A variable, and the flag that has the same meaning, if there is one.
    Variable(String, Option<String>),
    Argument,
    Dotenv,
}

/// Where a value goes, and whether a file may be made of that name.
#[derive(Clone, Debug)]
pub struct Setting {
    pub subject: Subject,
    pub place: Place,
    pub is_path: bool,
}

impl Setting {
    /// Everything that `--help` names of a program.
    pub fn in_help(subject: Subject) -> Vec<Self> {
        let command: Vec<_> = subject.arguments.iter().take_while(|word| **word != "-").collect();
        let help =
            Command::new(path(subject.program)).args(command).arg("--help").env_clear().output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let (mut settings, mut seen) = (Vec::new(), BTreeSet::from(["--help".into(), "--version".into()]));
        let mut last: Option<(String, bool)> = None;
        let mut add = |place, is_path| settings.push(Self { subject, place, is_path });
        for line in help.lines().map(str::trim) {
            if let Some(flag) = flag_in(line) {
                let is_path = line.contains("<FILE>") || line.contains("<FOLDER>");
                if seen.insert(flag.clone()) {
                    add(Place::Flag(flag.clone()), is_path);
                }
                last = Some((flag, is_path));
            }
            if let Some((_, variable)) = line.split_once("[env: ") {
                let variable = variable.split(['=', ']']).next().unwrap().to_owned();
                let (flag, is_path) = last.clone().unwrap();
                add(Place::Variable(variable, Some(flag)), is_path);
            }
        }
        assert!(settings.len() > 4, "{help}");
        settings
    }

    /// Starts the program with this value, and stops it if it goes on. Tells what was wrong: it must take the value, or
    /// refuse it and say which.
    pub fn try_value(&self, value: &OsString) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(path(self.subject.program));
        command
            .env_clear()
            .envs([("AMQP_URL", "amqp://127.0.0.1:1/"), ("REDIS_URL", "redis://127.0.0.1:1/")])
            .envs([("GITHUB_API_URL", "http://127.0.0.1:1/"), ("ETL_NAMESPACE", "fuzz")])
            .envs(["DASHBOARD_LISTEN", "SIMULATOR_LISTEN"].map(|name| (name, "127.0.0.1:0")))
            .args(self.subject.arguments)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap());
        match &self.place {
            Place::Flag(flag) => {
                let mut argument = OsString::from(format!("{flag}="));
                argument.push(value);
                command.arg(argument);
            }
            Place::Variable(name, _) => drop(command.env(name, value)),
            Place::Argument => drop(command.arg(value)),
            Place::Dotenv => std::fs::write(dir.path().join(".env"), value.as_bytes()).unwrap(),
        }
        let (status, was_stopped) = watch(command.spawn().unwrap(), log.as_file());
        let said = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
        self.judge(value, status, was_stopped, &said)
    }

    fn judge(&self, value: &OsString, status: ExitStatus, was_stopped: bool, said: &str) -> Option<String> {
        // It may not have come to listen to signals yet.
        let is_taken = was_stopped && (status.code() == Some(0) || status.signal() == Some(TERM));
        // 1 where a well-formed value names what is not there: an address of another machine, a folder.
        let is_refused = matches!(status.code(), Some(1 | 2));
        let is_named = self.names().iter().any(|name| said.contains(name));
        let is_right = (is_taken || is_refused && is_named) && !said.contains("panicked");
        let case = || format!("{:?} {:?} = {value:?}: {status}\n{said}", self.subject, self.place);
        (!is_right).then(case)
    }

    /// How the place is named in a message.
    fn names(&self) -> Vec<String> {
        match &self.place {
            Place::Flag(flag) => vec![flag.clone()],
            Place::Variable(name, flag) => [name.clone()].into_iter().chain(flag.clone()).collect(),
            // The value itself is shown.
            Place::Argument => vec![String::new()],
            Place::Dotenv => vec![".env".into()],
        }
    }
}

/// The long flag with which a line of help begins.
fn flag_in(line: &str) -> Option<String> {
    let long = line
        .strip_prefix("--")
        .or_else(|| line.split_once(", --").filter(|(short, _)| short.len() == 2).map(|(_, long)| long))?;
    let name: String = long.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
    (name.len() > 1).then(|| format!("--{name}"))
}

/// Waits until it ends, or stops it; true when it was stopped.
fn watch(mut child: Child, log: &File) -> (ExitStatus, bool) {
    let (started, mut spoke_at) = (Instant::now(), None);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, false);
        }
        if log.metadata().unwrap().len() > 0 {
            spoke_at.get_or_insert_with(Instant::now);
        }
        let has_spoken = spoke_at.is_some_and(|at| at.elapsed() > LAST_WORDS);
        if has_spoken || started.elapsed() > SILENCE_MAX {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(child.id(), "TERM");
    let asked = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (status, true);
        }
        if asked.elapsed() > GOODBYE_MAX {
            // The assertion on its status says the rest.
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
