//! The repositories of the simulation: their events, from one seed.

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Events an hour of the most active repository. That of rank `n` has an `n`th of it.
const MOST_PER_HOUR: f64 = 600.0;
/// Events happen for so long before the start, so that the feeds are not empty.
const BEFORE_H: f64 = 24.0;
/// The parts of the events that come in bursts of about 10 events in 15 minutes, and in large ones: of 100 to 1,500 events in 10
/// minutes.
const IN_BURSTS: f64 = 0.4;
const IN_LARGE_BURSTS: f64 = 0.1;
const BURST: f64 = 10.0;
const BURST_H: f64 = 0.25;
const LARGE_BURST_MIN: f64 = 100.0;
const LARGE_BURST_MAX: f64 = 1500.0;
const LARGE_BURST_H: f64 = 1.0 / 6.0;
/// By how much the rate of a day's busiest hour is above the average, and that of the quietest below.
const RHYTHM: f64 = 0.6;

/// Repositories and their events.
pub(super) struct World {
    /// When the simulation begins.
    pub begins: DateTime<Utc>,
    /// Of each repository: when its events are created, in seconds since the beginning, oldest first.
    pub events: Vec<Vec<f32>>,
}

impl World {
    /// So many repositories, and their events of so many hours.
    pub(super) fn new(repositories: usize, hours: u32, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let events = (1..=repositories)
            .map(|rank| {
                #[expect(clippy::cast_precision_loss, reason = "thousands")]
                let per_hour = MOST_PER_HOUR / rank as f64;
                repository(per_hour, f64::from(hours), &mut random)
            })
            .collect();
        Self { begins: "2026-03-02T00:00:00Z".parse().unwrap(), events }
    }

    /// How many events of a repository have happened.
    pub(super) fn happened(&self, index: usize, now_s: f64) -> usize {
        self.events[index].partition_point(|created| f64::from(*created) <= now_s)
    }

    /// A time in seconds since the beginning.
    pub(super) fn time(&self, second: f32) -> DateTime<Utc> {
        #[expect(clippy::cast_possible_truncation, reason = "a few days")]
        let second = second.floor() as i64;
        self.begins + TimeDelta::seconds(second)
    }
}

fn repository(per_hour: f64, hours: f64, random: &mut StdRng) -> Vec<f32> {
    let busiest_h: f64 = random.random_range(0.0..24.0);
    let large = f64::midpoint(LARGE_BURST_MIN, LARGE_BURST_MAX);
    let mut times_h = Vec::new();
    for (part, size_mean, lasts_h) in [
        (1.0 - IN_BURSTS - IN_LARGE_BURSTS, 1.0, 0.0),
        (IN_BURSTS, BURST, BURST_H),
        (IN_LARGE_BURSTS, large, LARGE_BURST_H),
    ] {
        let most = per_hour * part / size_mean * (1.0 + RHYTHM);
        let mut begins_h = -BEFORE_H;
        loop {
            begins_h -= (1.0 - random.random::<f64>()).ln() / most;
            if begins_h >= hours {
                break;
            }
            let rhythm = 1.0 + RHYTHM * ((begins_h - busiest_h) / 24.0 * std::f64::consts::TAU).cos();
            if random.random::<f64>() * (1.0 + RHYTHM) > rhythm {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1,500 at most")]
            let size = (size_mean * random.random_range(0.2..1.8)).round().max(1.0) as u32;
            times_h.extend((0..size).map(|_| begins_h + lasts_h * random.random::<f64>()));
        }
    }
    times_h.retain(|time_h| *time_h < hours);
    times_h.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a few days")]
    let seconds = times_h.into_iter().map(|time_h| (time_h * 3600.0) as f32).collect();
    seconds
}
