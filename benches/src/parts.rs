//! The parts of a run, and the rounds in which their sides alternate.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::args::Args;
use crate::jobs::{self, Job};
use crate::machine::Machine;
use crate::micro;
use crate::report::{Figures, Report};

/// Every part with its purpose.
const PARTS: [(&str, &str); 7] = [
    ("acking", "consuming and acking only"),
    (
        "drain",
        "loaders drain a backlog: one and two, each layout of the event log, appendfsync always and off",
    ),
    ("peers", "the workers of benches/peers drain the same backlog"),
    ("end-to-end", "from gzipped hours to Redis, with and without the archive"),
    ("latency", "from publishing to loading at steady rates"),
    ("script", "the script alone"),
    ("micro", "functions of the library without a server"),
];
/// What the part `micro` takes.
const MICRO: Duration = Duration::from_secs(70);

/// True for parts that the user asks for.
pub fn wants(args: &Args, part: &str) -> bool {
    args.only.is_empty() || args.only.iter().any(|only| only == part)
}

/// Runs the parts that were asked for and writes the results.
///
/// # Errors
/// Also when a side failed; the results of the others are written before.
pub fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    if let Some(unknown) = args.only.iter().find(|only| !PARTS.iter().any(|(name, _)| name == only)) {
        let parts = PARTS.map(|(name, purpose)| format!("  {name:<11} {purpose}")).join("\n");
        bail!("ONLY={unknown}: no such part. There are:\n{parts}");
    }
    ensure!(args.rounds > 0 && args.events >= 1000, "there must be at least 1 round and 1000 events");
    std::fs::create_dir_all(&args.folder).with_context(|| format!("make {}", args.folder.display()))?;
    let mut report = Report::new(Machine::this());
    let prepared = jobs::prepare(args, &mut report)?;
    let jobs = jobs::all(args, &prepared, &mut report)?;
    run_rounds(args, started, &jobs, &mut report);
    if wants(args, "micro") {
        micro::run(&args.folder, &report.machine)?;
    }
    report.write(&args.folder)?;
    ensure!(report.failed.is_empty(), "{} sides failed; their last lines above say why", report.failed.len());
    Ok(())
}

/// Runs all jobs in turn, round by round, as long as the time allows.
fn run_rounds(args: &Args, started: Instant, jobs: &[Job<'_>], report: &mut Report) {
    let limit = Duration::from_secs_f64(args.minutes * 60.0);
    let reserved = if wants(args, "micro") { MICRO } else { Duration::ZERO };
    for round in 1..=args.rounds {
        let begun = Instant::now();
        // Backwards in every second round, so that no side is always measured after the same other.
        let forwards = jobs.iter();
        let order: Vec<_> = if round % 2 == 1 { forwards.collect() } else { forwards.rev().collect() };
        order.into_iter().for_each(|job| run_job(round, job, report));
        if round < args.rounds && started.elapsed() + begun.elapsed() + reserved > limit {
            report
                .left_out
                .push(format!("rounds after the first {round}: {} minutes do not suffice", args.minutes));
            break;
        }
    }
}

fn run_job(round: usize, job: &Job<'_>, report: &mut Report) {
    let began = Instant::now();
    let name = format!("{}, {}, {}", job.part, job.workload, job.side);
    let said = match (job.run)() {
        Ok(figures) => {
            let said = headline(&figures);
            report.add(job.part, job.workload, &job.side, figures);
            said
        }
        Err(error) => {
            report.failed.push(format!("{name}: {error}"));
            // Without the backtrace that `{error:?}` has.
            format!("failed: {error:#}")
        }
    };
    println!("round {round}: {name}: {said} ({:.0} s)", began.elapsed().as_secs_f64());
}

/// The figure that says most, for the line of a side.
fn headline(figures: &Figures) -> String {
    let rate = figures.get("events_per_s").map(|rate| format!("{rate:.0} events/s"));
    let p99 = || figures.get("latency_ms_p99").map(|p99| format!("p99 {p99:.1} ms"));
    rate.or_else(p99).unwrap_or_default()
}
