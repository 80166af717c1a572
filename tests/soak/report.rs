//! What a soak tells: every minute, and at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::faults::Fault;
use crate::load::{Load, Model};
use crate::world::World;

const SHOW_EVERY: Duration = Duration::from_secs(60);

pub struct Report {
    started: Instant,
    duration: Duration,
    shown: Instant,
    /// How often each fault struck, and the slowest recovery from it.
    faults: BTreeMap<Fault, (u32, Duration)>,
}

impl Report {
    pub fn start(duration: Duration) -> Self {
        let now = Instant::now();
        Self { started: now, duration, shown: now, faults: BTreeMap::new() }
    }

    /// No further fault shall strike.
    pub fn is_over(&self) -> bool {
        self.started.elapsed() >= self.duration
    }

    pub fn suffered(&mut self, fault: Fault, recovery: Duration) {
        let (count, slowest) = self.faults.entry(fault).or_default();
        *count += 1;
        *slowest = recovery.max(*slowest);
    }

    pub fn show_each_minute(&mut self, world: &World, load: &Load) {
        if self.shown.elapsed() < SHOW_EVERY {
            return;
        }
        self.shown = Instant::now();
        let (published, distinct) = load.so_far();
        println!(
            "{:>5} s: {published} messages of {distinct} events published; {} loaded (GitHub's among them); {} faults",
            self.started.elapsed().as_secs(),
            world.loaded(),
            self.count()
        );
    }

    pub fn finish(&self, world: &World, model: &Model) {
        let (published, distinct) = (model.published, model.oracle.distinct() as u64);
        println!(
            "\nafter {} s: {published} messages of {distinct} events published, {} loaded, dead letters 0",
            self.started.elapsed().as_secs(),
            world.loaded()
        );
        println!("{} faults; the slowest until a new event was loaded:", self.count());
        for (fault, (count, slowest)) in &self.faults {
            println!("  {:<24} {count:>4} {:>6.1} s", format!("{fault:?}"), slowest.as_secs_f64());
        }
        // Killed loaders could not say what they did last.
        println!(
            "deliveries that changed nothing: at least {}; {} messages were published twice on purpose",
            world.tally.duplicates,
            published - distinct
        );
        for (program, peak) in &world.tally.peaks_mib {
            println!("peak memory of {program}: {peak:.0} MiB");
        }
    }

    fn count(&self) -> u32 {
        self.faults.values().map(|(count, _)| count).sum()
    }
}
