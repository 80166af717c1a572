//! The workers that sides compare: our loader, and those of `benches/peers`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use github_event_etl::config::EventLog;

use crate::clients::{NAMESPACE, PREFETCH};
use crate::servers::process;

/// How to start a worker.
#[derive(Clone)]
pub enum Worker {
    /// Our loader.
    Loader { program: PathBuf },
    /// A program of `benches/peers`, with its arguments.
    Peer { command: Vec<PathBuf> },
}

impl Worker {
    /// Starts it on the load queue. What it writes to stderr is appended to `log`.
    pub fn start(&self, event_log: EventLog, amqp_url: &str, redis_url: &str, log: &Path) -> Result<Child> {
        let mut command = match self {
            Self::Loader { program } => Command::new(program),
            Self::Peer { command: words } => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).env("QUEUE", format!("{NAMESPACE}.load"));
                command.env("SCRIPT", "lua/load_event.lua").env("PREFETCH", PREFETCH.to_string());
                command
            }
        };
        let log = File::options().create(true).append(true).open(log).context("open the workers' log")?;
        command.env("AMQP_URL", amqp_url).env("REDIS_URL", redis_url).env("ETL_NAMESPACE", NAMESPACE);
        command.env("LOADER_EVENT_LOG", event_log.name()).env("RUST_LOG", "warn");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().with_context(|| format!("start {}", self.program().display()))
    }

    fn program(&self) -> &Path {
        match self {
            Self::Loader { program } => program,
            Self::Peer { command } => &command[0],
        }
    }
}

/// A running worker; killed when dropped.
pub struct Running(pub Child);

impl Running {
    /// Asks it to end as an operator would: it acks all that it has loaded.
    pub fn stop(mut self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(15);
        process::signal(self.0.id(), "TERM");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().context("wait for a worker")? {
                anyhow::ensure!(status.success(), "a worker ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("a worker does not end within {PATIENCE:?} of SIGTERM")
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.0.try_wait().context("look at a worker")? {
            Some(status) => bail!("a worker ended with {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of our programs: `make bench` has built them beside this one.
pub fn our_program(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe().context("find this program")?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} does not exist: run `make bench`, which builds it", path.display());
    Ok(path)
}
