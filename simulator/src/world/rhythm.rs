//! When the events of a repository happen: rates by a power law, and bursts.

use rand::RngExt as _;

use super::super::generator::dice;

/// The rate of the repository of rank n is as 1 over n to this.
const EXPONENT: f64 = 1.1;
/// The lowest ranks are asleep: one in so many repositories …
const ASLEEP_ONE_IN: usize = 10;
/// … has this share of the rate of its rank.
const ASLEEP: f64 = 0.001;
/// Bursts and calm take turns by so many events.
const RUN: u64 = 40;
/// The share of runs that are bursts …
const BURSTS: f64 = 0.2;
/// … and by how much faster their events come.
const BURST_SPEED: f64 = 20.0;
/// A wait longer than that is as good as none that ends, in milliseconds: three years.
const WAIT_MS_MAX: f64 = 1e11;

/// What dice are thrown for.
const RANK: u64 = 2;
const BURST: u64 = 3;
const WAIT: u64 = 4;
const STATE: u64 = 5;
const HISTORY: u64 = 6;

/// The mean rates of `count` repositories, in events a second; `total` in sum.
pub(super) fn rates(seed: u64, count: usize, total: f64) -> Vec<f64> {
    let awake = count - count / ASLEEP_ONE_IN;
    let weight = |rank: usize| {
        let of_rank = (rank as f64 + 1.0).powf(-EXPONENT);
        if rank < awake { of_rank } else { of_rank * ASLEEP }
    };
    let sum: f64 = (0..count).map(weight).sum();
    let mut rates = vec![0.0; count];
    for (rank, repository) in shuffled(seed, RANK, count).into_iter().enumerate() {
        rates[repository] = total * weight(rank) / sum;
    }
    rates
}

/// The repositories in the order in which something befalls them.
pub(super) fn order_of_states(seed: u64, count: usize) -> Vec<usize> {
    shuffled(seed, STATE, count)
}

fn shuffled(seed: u64, purpose: u64, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|&at| dice(seed, purpose, at as u64, 0).random::<u64>());
    order
}

/// The milliseconds between the event before and the event with this number, in a repository of this mean rate: 1 or more.
pub(super) fn wait_ms(seed: u64, repository: usize, number: u32, per_second: f64) -> i64 {
    let (repository, number) = (repository as u64, u64::from(number));
    let in_burst = dice(seed, BURST, repository, number / RUN).random::<f64>() < BURSTS;
    let calm_s = 1.0 / (per_second * (1.0 - BURSTS + BURSTS / BURST_SPEED));
    let mean_s = if in_burst { calm_s / BURST_SPEED } else { calm_s };
    let chance: f64 = dice(seed, WAIT, repository, number).random();
    // Waits of events that know nothing of each other are exponential.
    (-(1.0 - chance).ln() * mean_s * 1000.0).clamp(1.0, WAIT_MS_MAX) as i64
}

/// How many events the repository has had before the world began, at most `window`; and how far the wait for the next one has
/// come, as a share. A quarter of the repositories are young.
pub(super) fn history(seed: u64, repository: usize, window: u32) -> (u32, f64) {
    let mut rng = dice(seed, HISTORY, repository as u64, 0);
    let events = if rng.random_ratio(1, 4) { rng.random_range(0..=window) } else { window };
    (events, rng.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_a_power_law_and_their_sum_is_the_total() {
        let mut rates = rates(1, 1_000, 20.0);
        assert!((rates.iter().sum::<f64>() - 20.0).abs() < 1e-6);
        assert!(!rates.is_sorted_by(|a, b| a >= b), "the busy ones are anywhere");
        rates.sort_by(|a, b| b.total_cmp(a));
        let top: f64 = rates[..100].iter().sum();
        assert!((0.6..0.85).contains(&(top / 20.0)), "the first tenth has {top} of 20");
        assert!(rates[999] * 500.0 < rates[899], "the last tenth is asleep");
    }

    #[test]
    fn waits_have_the_mean_of_the_rate_and_come_in_bursts() {
        let waits: Vec<i64> = (0..40_000).map(|number| wait_ms(1, 3, number, 0.5)).collect();
        let mean_s = waits.iter().sum::<i64>() as f64 / 40_000.0 / 1000.0;
        assert!((1.85..2.15).contains(&mean_s), "{mean_s}");
        let runs: Vec<i64> = waits.chunks(40).map(|run| run.iter().sum()).collect();
        let fast = runs.iter().filter(|&&run| run < 20_000).count();
        assert!((150..250).contains(&fast), "{fast} of 1000 runs are bursts");
    }
}
