//! Distributions of a state: how many things have at most a certain value *now*.
//!
//! A histogram of the `metrics` crate only grows, so it would count every measurement anew. Here each measurement replaces the one
//! before. It is shown as a histogram, so `histogram_quantile(…)` works on it, without `rate()`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking_lot::Mutex;

static ALL: Mutex<BTreeMap<&'static str, Distribution>> = Mutex::new(BTreeMap::new());

#[derive(Default)]
struct Distribution {
    help: &'static str,
    /// Upper bounds, each with the number of values up to it.
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

/// Describes the distribution `name`, once at the start.
pub fn describe_distribution(name: &'static str, help: &'static str) {
    ALL.lock().entry(name).or_default().help = help;
}

/// Replaces the distribution `name` by that of these values. `bounds` are ascending.
pub fn set_distribution(name: &'static str, bounds: &[f64], values: impl Iterator<Item = f64>) {
    let mut buckets: Vec<_> = bounds.iter().map(|bound| (*bound, 0)).collect();
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        let reached = buckets.iter_mut().rev().take_while(|(bound, _)| value <= *bound);
        reached.for_each(|(_, count)| *count += 1);
        sum += value;
        count += 1;
    }
    let mut all = ALL.lock();
    let known = all.entry(name).or_default();
    *known = Distribution { help: known.help, buckets, sum, count };
}

/// All distributions in Prometheus's text format.
pub(super) fn render() -> String {
    let mut text = String::new();
    for (name, one) in ALL.lock().iter().filter(|(_, one)| !one.buckets.is_empty()) {
        let Distribution { help, buckets, sum, count } = one;
        // Writing to a string cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
        for (bound, below) in buckets {
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}");
        }
        let _ =
            write!(text, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measurement_replaces_the_one_before() {
        const NAME: &str = "test_distribution";
        describe_distribution(NAME, "Things by value");
        set_distribution(NAME, &[0.5, 1.0], [9.0, 9.0, 9.0].into_iter());
        set_distribution(NAME, &[0.5, 1.0], [0.25, 0.5, 0.75, 2.0].into_iter());
        let text = render();
        let expected = "# HELP test_distribution Things by value\n# TYPE test_distribution histogram\n\
            test_distribution_bucket{le=\"0.5\"} 2\ntest_distribution_bucket{le=\"1\"} 3\n\
            test_distribution_bucket{le=\"+Inf\"} 4\ntest_distribution_sum 3.5\ntest_distribution_count 4\n\n";
        assert!(text.contains(expected), "{text}");
    }
}
