//! From gzipped hours to Redis: `replay gharchive` and one loader side by side.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use github_event_etl::config::EventLog;

use crate::clients::NAMESPACE;
use crate::drain::watch;
use crate::expected::Expected;
use crate::meter::Meter;
use crate::queue::{messages_left, wait_for_consumer};
use crate::report::Figures;
use crate::servers::{self, Aof, RabbitNode, wait_until_quiet};
use crate::verify::verify;
use crate::worker::{Running, Worker, our_program};
use crate::workload::Workload;

/// The loader's default.
const EVENT_LOG: EventLog = EventLog::PerEvent;

/// Replays `files`, which hold the workload, while `loader` loads.
pub fn run(
    workload: &Workload,
    expected: &Expected,
    files: &[PathBuf],
    loader: &Worker,
    archive: bool,
    log: &Path,
) -> Result<Figures> {
    let redis = servers::redis(Aof::Off);
    let mut connection = redis.connect();
    let rabbitmq = RabbitNode::start();
    let mut meter = Meter::default();
    let loader_process = Running(loader.start(EVENT_LOG, &rabbitmq.url(), &redis.url(), log)?);
    wait_for_consumer(&rabbitmq)?;
    wait_until_quiet(&rabbitmq);
    // What replay remembers of this node must not outlive it.
    let state = tempfile::tempdir().context("make a folder for replay")?;
    let mut replay = Running(start_replay(files, &rabbitmq, archive, state.path(), log)?);
    meter.add("loader", loader_process.0.id());
    meter.add("replay", replay.0.id());
    meter.add("redis", redis.pid());
    meter.add("rabbitmq", rabbitmq.pid());
    // Replay ends before the last event is loaded, and is not asked for its exit code before its CPU time has been read.
    let mut loaders = [loader_process];
    let span = watch(&mut meter, &mut connection, workload.events.len() as u64, &mut loaders)?;
    let status = replay.0.wait()?;
    ensure!(status.success(), "replay ended with {status}: see {}", log.display());
    let [loader_process] = loaders;
    loader_process.stop()?;
    verify(&mut connection, &workload.events, expected, EVENT_LOG)?;
    ensure!(messages_left(&rabbitmq)? == 0, "the load queue is not empty");
    Ok(span.figures(&meter))
}

fn start_replay(
    files: &[PathBuf],
    rabbitmq: &RabbitNode,
    archive: bool,
    state: &Path,
    log: &Path,
) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log).context("open the log")?;
    let mut command = Command::new(our_program("replay")?);
    command.arg("gharchive").args(files).arg("--anew").arg("--state-dir").arg(state);
    if archive {
        command.arg("--archive");
    }
    command.env("AMQP_URL", rabbitmq.url()).env("ETL_NAMESPACE", NAMESPACE).env("RUST_LOG", "warn");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().context("start replay")
}
