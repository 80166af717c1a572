//! `make bench`: what the pipeline costs, beside other workers, in one run on servers of its own.
//!
//! All sides of a comparison alternate within a round, so that they share the machine's noise: ratios count, and figures are
//! medians with their range. Each side has a Redis and a RabbitMQ node of its own that have just started. A node that has held
//! backlogs before drains at another cost. After each side, the content of Redis is compared with what must be there. A side with another
//! result has no figures, and the run fails in the end.

mod acking;
mod args;
mod clients;
mod direct;
mod drain;
mod end_to_end;
mod expected;
mod files;
mod growth;
mod jobs;
mod latency;
mod machine;
mod meter;
mod micro;
mod parts;
mod peers;
mod preload;
mod publish;
mod queue;
mod report;
mod script_alone;
mod servers;
mod verify;
mod worker;
mod workload;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Command::Ack { count }) => acking::run(*count),
        Some(Command::Growth { backlog, log, event_log }) => growth::run(&args, *backlog, log, event_log),
        Some(Command::Chart { from, to }) => report::chart::write(from, to),
        None => parts::run(&args),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    // Without the backtrace that `{error:?}` has.
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
