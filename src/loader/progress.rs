//! What the person at the terminal sees of a loader: a summary line while it works, a bar while it drains.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Loader;
use super::counts::{Counts, Totals};
use crate::duration::Rounded;

/// How often a working loader says what it has done.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);

/// Logs a summary every few seconds in which something was done.
pub(super) async fn report_regularly(loader: Arc<Loader>) {
    let mut before = (Instant::now(), Totals::default());
    loop {
        tokio::time::sleep(SUMMARY_EVERY).await;
        let now = (Instant::now(), loader.counts.totals());
        if now.1.settled() != before.1.settled() {
            let seconds = now.0.duration_since(before.0).as_secs_f64();
            #[allow(clippy::cast_precision_loss)]
            let rate = (now.1.settled() - before.1.settled()) as f64 / seconds;
            summarize(&now.1, &format!("{rate:.0}/s"));
        }
        before = now;
    }
}

/// Logs the totals.
pub(super) fn report(counts: &Counts, why: &str) {
    summarize(&counts.totals(), why);
}

fn summarize(totals: &Totals, rate: &str) {
    let Totals { loaded, duplicates, unwanted, retried, dead, lag_ms } = *totals;
    let lag = Rounded(Duration::from_millis(u64::try_from(lag_ms).unwrap_or(0)));
    tracing::info!(
        loaded,
        duplicates,
        unwanted,
        retried,
        dead,
        lag_ms,
        "loader {rate}: loaded {loaded}, duplicates {duplicates}, unwanted {unwanted}, retried {retried}, dead {dead}, lag {lag}"
    );
}

/// A progress bar on a terminal that watches `--drain`; draws nothing anywhere else.
pub(super) struct DrainBar(ProgressBar);

impl DrainBar {
    /// A bar over the messages that wait now and those that are done already.
    pub(super) fn start(loader: &Loader, ready: u64) -> Self {
        if !loader.drain || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(loader.counts.totals().settled() + ready);
        let template = "{bar:30} {pos}/{len} events, {per_sec}, {eta} to go";
        // The template is a constant that the library takes; the fallback only satisfies the type.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    /// Shows where the loader is.
    pub(super) fn update(&self, loader: &Loader) {
        let settled = loader.counts.totals().settled();
        self.0.set_length(self.0.length().unwrap_or(0).max(settled));
        self.0.set_position(settled);
    }
}

impl Drop for DrainBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
