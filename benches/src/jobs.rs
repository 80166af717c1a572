//! Which sides each part has.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use github_event_etl::config::EventLog;

use crate::args::Args;
use crate::drain::{self, Side};
use crate::expected::Expected;
use crate::parts::wants;
use crate::peers;
use crate::report::{Figures, Report};
use crate::servers::Aof;
use crate::worker::{Worker, our_program};
use crate::workload::Workload;
use crate::{end_to_end, latency, script_alone};

/// A side of a part, to run once a round.
pub struct Job<'a> {
    pub part: &'static str,
    pub workload: &'a str,
    pub side: String,
    pub run: Run<'a>,
}

type Run<'a> = Box<dyn Fn() -> Result<Figures> + 'a>;

/// A workload with what it must leave in Redis, and its files.
pub struct Prepared {
    workload: Workload,
    expected: Expected,
    files: Vec<PathBuf>,
}

/// Makes the workloads and notes them in the report.
pub fn prepare(args: &Args, report: &mut Report) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::new();
    for workload in Workload::all(args)? {
        report.workloads.push((workload.name.clone(), workload.events.len(), workload.mean_bytes()));
        let expected = Expected::of(&workload.events).context("what must be in Redis")?;
        let files = workload.gzipped(&args.folder)?;
        prepared.push(Prepared { workload, expected, files });
    }
    Ok(prepared)
}

/// Every side of the parts that are wanted. What cannot run is noted as left out.
pub fn all<'a>(args: &'a Args, prepared: &'a [Prepared], report: &mut Report) -> Result<Vec<Job<'a>>> {
    let program = our_program("loader")?;
    let loader = Worker::Loader { program };
    let peer_sides = if wants(args, "peers") { peer_sides(args, report) } else { Vec::new() };
    let mut jobs = Vec::new();
    for (place, of) in prepared.iter().enumerate() {
        // The first workload has every side. For the others, fewer: all must fit into 15 minutes.
        let is_first = place == 0;
        let ours = loader_sides(&loader, is_first).into_iter().map(|side| ("drain", side));
        let peers = peer_sides.iter().filter(|side| is_first || side.event_log == EventLog::PerEvent);
        jobs.extend(of.draining(args, ours.chain(peers.map(|side| ("peers", side.clone())))));
        jobs.extend(of.end_to_end(args, &loader));
        if is_first {
            jobs.extend(of.latency(args, &loader));
        }
        jobs.extend(of.script());
    }
    jobs.retain(|job| wants(args, job.part));
    Ok(jobs)
}

/// Loaders with each layout, with and without the append-only file; with `two`, also two of them.
fn loader_sides(loader: &Worker, two: bool) -> Vec<Side> {
    let mut sides = Vec::new();
    for aof in [Aof::Off, Aof::Always] {
        let mut add = |number: &str, workers, event_log: EventLog| {
            let name = format!("{number}, {}, {aof}", event_log.name());
            sides.push(Side { name, worker: loader.clone(), workers, event_log, aof });
        };
        EventLog::value_variants().iter().for_each(|event_log| add("one loader", 1, *event_log));
        if two {
            add("two loaders", 2, EventLog::PerSecond);
        }
    }
    sides
}

/// The peers, without the append-only file.
fn peer_sides(args: &Args, report: &mut Report) -> Vec<Side> {
    let mut sides = Vec::new();
    for peer in peers::all(&args.folder) {
        match peer.worker {
            Ok(worker) => sides.extend(EventLog::value_variants().iter().map(|event_log| Side {
                name: format!("{}, {}", peer.name, event_log.name()),
                worker: worker.clone(),
                workers: 1,
                event_log: *event_log,
                aof: Aof::Off,
            })),
            Err(error) => report.left_out.push(format!("{}: {error:#}", peer.name)),
        }
    }
    sides
}

impl Prepared {
    fn job<'a>(&'a self, part: &'static str, side: String, run: Run<'a>) -> Job<'a> {
        Job { part, workload: &self.workload.name, side, run }
    }

    /// Acking only, then these sides with their parts.
    fn draining<'a>(
        &'a self,
        args: &Args,
        sides: impl Iterator<Item = (&'static str, Side)>,
    ) -> Vec<Job<'a>> {
        let acking = self.job("acking", "acking only".into(), Box::new(|| drain::ack_only(&self.workload)));
        let jobs = sides.map(|(part, side)| {
            let (name, log) = (side.name.clone(), args.log());
            let run = move || drain::drain(&side, &self.workload, &self.expected, &log);
            self.job(part, name, Box::new(run))
        });
        std::iter::once(acking).chain(jobs).collect()
    }

    fn end_to_end<'a>(&'a self, args: &Args, loader: &Worker) -> Vec<Job<'a>> {
        let sides = [("load queue only", false), ("with the archive", true)].into_iter();
        let jobs = sides.map(|(name, archive)| {
            let (loader, log) = (loader.clone(), args.log());
            let run =
                move || end_to_end::run(&self.workload, &self.expected, &self.files, &loader, archive, &log);
            self.job("end-to-end", name.into(), Box::new(run))
        });
        jobs.collect()
    }

    fn latency<'a>(&'a self, args: &Args, loader: &Worker) -> Vec<Job<'a>> {
        let jobs = latency::RATES.into_iter().map(|(rate, seconds)| {
            let (loader, log) = (loader.clone(), args.log());
            let run = move || latency::run(&self.workload, &loader, rate, seconds, &log);
            self.job("latency", format!("{rate} events/s"), Box::new(run))
        });
        jobs.collect()
    }

    fn script(&self) -> Vec<Job<'_>> {
        let sides = [
            ("new events, per-event", EventLog::PerEvent, false),
            ("new events, per-second", EventLog::PerSecond, false),
            ("events loaded before, per-event", EventLog::PerEvent, true),
        ];
        let jobs = sides.into_iter().map(|(name, event_log, again)| {
            let run = move || script_alone::run(&self.workload, &self.expected, event_log, again);
            self.job("script", name.into(), Box::new(run))
        });
        jobs.collect()
    }
}
