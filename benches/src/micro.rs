//! The part `micro`: a program of its own, whose table goes to `micro.md`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::machine::Machine;
use crate::worker::our_program;

pub fn run(folder: &Path, machine: &Machine) -> Result<()> {
    println!("micro: about a minute");
    let output = Command::new(our_program("bench-micro")?).output().context("start the micro-benchmarks")?;
    ensure!(output.status.success(), "micro-benchmarks: {}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout);
    print!("{table}");
    let block: String = table.lines().map(|line| format!("    {}\n", line.trim_end())).collect();
    let text = format!("# Micro-benchmarks: last results\n\n{}\n\n{block}", machine.sentence());
    let path = folder.join("micro.md");
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}
