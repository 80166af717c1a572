//! CPU time and peak memory of the processes of a side, from `/proc`.

use std::time::Instant;

use crate::servers::process;

/// The processes of a side by their roles, such as `worker`. A role may have several.
#[derive(Clone, Default)]
pub struct Meter {
    processes: Vec<(&'static str, u32)>,
    /// The most memory of each seen so far, in MiB. A process that has ended has none to tell.
    peaks_mib: Vec<f64>,
}

/// What the processes had used at a moment.
pub struct Reading {
    pub at: Instant,
    cpu_s: Vec<f64>,
}

impl Meter {
    pub fn add(&mut self, role: &'static str, pid: u32) {
        self.processes.push((role, pid));
        self.peaks_mib.push(0.0);
    }

    pub fn read(&mut self) -> Reading {
        for ((_, pid), peak_mib) in self.processes.iter().zip(&mut self.peaks_mib) {
            *peak_mib = peak_mib.max(process::peak_memory_mib(*pid));
        }
        let cpu_s = self.processes.iter().map(|(_, pid)| process::cpu_seconds(*pid)).collect();
        Reading { at: Instant::now(), cpu_s }
    }

    /// CPU seconds of each role between two readings, for 100,000 of the `events` done between them.
    pub fn cpu_s_per_100k(&self, from: &Reading, to: &Reading, events: u64) -> Vec<(&'static str, f64)> {
        let used = from.cpu_s.iter().zip(&to.cpu_s).map(|(from, to)| to - from);
        let per_100k = used.map(|cpu_s| cpu_s * 100_000.0 / events as f64);
        self.by_role(per_100k, |sum, cpu_s| *sum += cpu_s)
    }

    /// The most memory that a process of each role had had at the last reading, in MiB.
    pub fn peak_memory_mib(&self) -> Vec<(&'static str, f64)> {
        self.by_role(self.peaks_mib.iter().copied(), |most, mib| *most = most.max(mib))
    }

    fn by_role(
        &self,
        figures: impl Iterator<Item = f64>,
        join: impl Fn(&mut f64, f64),
    ) -> Vec<(&'static str, f64)> {
        let mut roles: Vec<(&'static str, f64)> = Vec::new();
        for ((role, _), figure) in self.processes.iter().zip(figures) {
            match roles.iter_mut().find(|(known, _)| known == role) {
                Some((_, so_far)) => join(so_far, figure),
                None => roles.push((role, figure)),
            }
        }
        roles
    }
}
