//! The progress of a replay: a bar on a terminal, otherwise a log line every few seconds.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::tally::{Size, Tally};
use crate::duration::Rounded;

/// How often a line is logged.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The bar counts in these parts of the whole.
const PARTS: u64 = 10_000;

/// Shows the progress of a replay. The rate counts from the start of this run.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
    events_before: u64,
    fraction_before: f64,
    told: Instant,
}

impl Progress {
    /// Starts at `fraction` of the whole, where `tally` is the work of earlier runs.
    pub(super) fn start(tally: &Tally, fraction: f64) -> Self {
        let bar =
            if std::io::stderr().is_terminal() { ProgressBar::new(PARTS) } else { ProgressBar::hidden() };
        // The template is a constant that the library takes; the fallback only satisfies the type.
        let style = ProgressStyle::with_template("{bar:30} {percent}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            started: Instant::now(),
            events_before: tally.events,
            fraction_before: fraction,
            told: Instant::now(),
        }
    }

    /// Shows that `tally` has been done, which is `fraction` of the whole (none, if that cannot be known), and that it is at
    /// `place` now.
    pub(super) fn show(&mut self, tally: &Tally, fraction: Option<f64>, place: &str) {
        let message = || {
            let (events, bytes) = (HumanCount(tally.events), Size(tally.bytes));
            let eta = fraction.and_then(|fraction| self.eta(fraction));
            let eta = eta.map(|eta| format!(", {} to go", Rounded(eta))).unwrap_or_default();
            format!("{events} events, {bytes}, {}/s, in {place}{eta}", HumanCount(self.rate(tally)))
        };
        if !self.bar.is_hidden() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
            self.bar.set_position((fraction.unwrap_or(0.0) * PARTS as f64) as u64);
            self.bar.set_message(message());
        } else if self.told.elapsed() >= LINE_EVERY {
            tracing::info!(events = tally.events, bytes = tally.bytes, "replay: {}", message());
            self.told = Instant::now();
        }
    }

    /// Prints something without spoiling the bar.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Events a second since the start of this run.
    pub(super) fn rate(&self, tally: &Tally) -> u64 {
        let events = tally.events.saturating_sub(self.events_before);
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let rate = (events as f64 / self.started.elapsed().as_secs_f64().max(0.001)) as u64;
        rate
    }

    fn eta(&self, fraction: f64) -> Option<Duration> {
        let done = fraction - self.fraction_before;
        let elapsed = self.started.elapsed();
        if done <= 0.0 || elapsed < Duration::from_secs(1) {
            return None;
        }
        let left = elapsed.as_secs_f64() * (1.0 - fraction).max(0.0) / done;
        Duration::try_from_secs_f64(left.round()).ok()
    }

    /// Removes the bar, and returns the time since the start.
    pub(super) fn finish(&self) -> Duration {
        self.bar.finish_and_clear();
        Duration::from_millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_what_this_run_has_done() {
        let mut progress = Progress::start(&Tally::default(), 0.5);
        progress.started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        assert_eq!(progress.eta(0.75), Some(Duration::from_secs(10)));
        assert_eq!(progress.eta(0.5), None);
        assert_eq!(progress.eta(1.0), Some(Duration::ZERO));
    }
}
