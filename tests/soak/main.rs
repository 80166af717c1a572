//! Random faults under load, from the first second of the servers' lives and for as long as wanted: then Redis must hold what the
//! model says, and a new event must load.
//!
//! `make soak`, `make soak DURATION=2m SEED=7`. Its servers are its own. The seed decides the events and the order and length of the
//! faults; when each strikes among the programs' own work it cannot decide.

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod faults;
mod interrupt;
mod load;
mod report;
mod side;
mod world;

use std::time::{Duration, Instant};

use clap::Parser;
use faults::Bag;
use load::Load;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use report::Report;
use world::World;

/// What a soak is like.
#[derive(Parser)]
struct Args {
    /// How long faults go on; healing, draining and comparing come on top.
    #[arg(long, default_value = "20m")]
    duration: humantime::Duration,
    /// Decides events and faults [random when not given]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() {
    let args = Args::parse();
    interrupt::watch();
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}: {} of faults", args.duration);
    let mut world = World::start(seed, args.duration.into());
    archive::kill_at_birth(&mut world, seed);
    let load = Load::start(seed, &world);
    let archive = archive::Archive::reset(&world);
    let mut report = Report::start(args.duration.into());
    suffer(&mut world, &load, &mut report, seed);
    println!("healed; the load ends, and the rest is drained");
    let mut model = load.finish();
    world.finish_fetching(&mut model);
    world.wait_until_drained();
    world.probe(&mut model);
    world.stop();
    world.compare(&model);
    archive.compare(&world);
    report.finish(&world, &model);
    println!("seed {seed}: Redis holds what the model says");
}

/// Fault after fault, one at a time, each healed and recovered from before the next.
fn suffer(world: &mut World, load: &Load, report: &mut Report, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut bag = Bag::default();
    while !report.is_over() {
        interrupt::check();
        std::thread::sleep(Duration::from_millis(rng.random_range(500..4_000)));
        let fault = bag.draw(&mut rng);
        fault.strike_and_heal(world, &mut rng);
        let healed = Instant::now();
        world.wait_until_loading(load, healed, fault);
        report.suffered(fault, healed.elapsed());
        report.show_each_minute(world, load);
    }
}
