//! Installs the packages of `benches/peers` and says how to start its workers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::worker::Worker;

/// A worker in another language, or why there is none.
pub struct Peer {
    pub name: &'static str,
    pub worker: Result<Worker>,
}

/// All peers; those whose language or packages cannot be had are errors. Packages are installed below `folder`.
pub fn all(folder: &Path) -> Vec<Peer> {
    let folder = folder.join("peers");
    vec![
        Peer { name: "Node: amqplib + ioredis", worker: node(&folder.join("node")) },
        Peer { name: "Python: aio-pika + redis-py", worker: python(&folder.join("python")) },
        Peer { name: "Vector or Benthos", worker: Err(anyhow::anyhow!("no registry of ours has one")) },
    ]
}

fn node(folder: &Path) -> Result<Worker> {
    let files = ["package.json", "package-lock.json", "worker.js"];
    if copy("node", folder, &files)? {
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--fetch-retries=1"])
            .current_dir(folder))?;
        installed(folder)?;
    }
    run(Command::new("node").arg("--version"))?;
    Ok(Worker::Peer { command: vec!["node".into(), folder.join("worker.js")] })
}

fn python(folder: &Path) -> Result<Worker> {
    let bin = folder.join("venv/bin");
    if copy("python", folder, &["requirements.txt", "worker.py"])? {
        run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder))?;
        let mut pip = Command::new(fs::canonicalize(bin.join("pip")).context("find the new pip")?);
        let quiet = ["--quiet", "--disable-pip-version-check", "--retries", "1"];
        run(pip.arg("install").args(quiet).args(["-r", "requirements.txt"]).current_dir(folder))?;
        installed(folder)?;
    }
    Ok(Worker::Peer { command: vec![bin.join("python"), folder.join("worker.py")] })
}

/// Copies a peer's files. True if its packages, which the first files pin, must be installed.
fn copy(name: &str, folder: &Path, files: &[&str]) -> Result<bool> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let mut changed = !stamp(folder).exists();
    for file in files {
        let from = Path::new("benches/peers").join(name).join(file);
        let new = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        let to = folder.join(file);
        if fs::read(&to).ok().as_ref() != Some(&new) {
            changed |= !file.starts_with("worker");
            fs::write(&to, new).with_context(|| format!("write {}", to.display()))?;
        }
    }
    if changed {
        let _ = fs::remove_file(stamp(folder));
    }
    Ok(changed)
}

fn stamp(folder: &Path) -> PathBuf {
    folder.join("installed")
}

/// Remembers that the packages are there, so that the next run does not install them again.
fn installed(folder: &Path) -> Result<()> {
    fs::write(stamp(folder), "").context("remember that the packages are installed")
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => bail!("{name} cannot be run: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    ensure!(output.status.success(), "{name} ended with {}: {last}", output.status);
    Ok(())
}
