//! Shows a loader's progress: a summary line in the log while it works, a bar on the terminal while it drains.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Loader;
use super::ledger::Ledger;
use crate::duration::Rounded;

/// How often a working loader logs a summary.
const SUMMARY_EVERY: Duration = Duration::from_secs(5);

/// Logs a summary every few seconds, if something was settled since the last one.
pub(super) async fn report_regularly(loader: Arc<Loader>) {
    let mut before = (Instant::now(), 0);
    loop {
        tokio::time::sleep(SUMMARY_EVERY).await;
        let now = (Instant::now(), loader.ledger.totals().settled());
        if now.1 != before.1 {
            let seconds = now.0.duration_since(before.0).as_secs_f64();
            #[allow(clippy::cast_precision_loss)]
            let rate = (now.1 - before.1) as f64 / seconds;
            report(&loader.ledger, &format!("{rate:.0}/s"));
        }
        before = now;
    }
}

/// Logs the totals. `state` is the loader's rate, or `done`.
pub(super) fn report(ledger: &Ledger, state: &str) {
    let (totals, lag_ms) = (ledger.totals(), ledger.lag_ms());
    let lag = Rounded(Duration::from_millis(u64::try_from(lag_ms).unwrap_or(0)));
    totals.log(&format!("loader {state}: {totals}, lag {lag}"), lag_ms);
}

/// A progress bar on a terminal that watches `--drain`; draws nothing anywhere else.
pub(super) struct DrainBar(ProgressBar);

impl DrainBar {
    /// A bar whose length is the number of messages that wait now plus those that are settled.
    pub(super) fn start(loader: &Loader, ready: u64) -> Self {
        if !loader.drain || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(loader.ledger.totals().settled() + ready);
        let template = "{bar:30} {pos}/{len} events, {per_sec}, {eta} to go";
        // The template is a constant that the library takes; the fallback only satisfies the type.
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self(bar)
    }

    /// Moves the bar to the number of settled messages.
    pub(super) fn update(&self, loader: &Loader) {
        let settled = loader.ledger.totals().settled();
        self.0.set_length(self.0.length().unwrap_or(0).max(settled));
        self.0.set_position(settled);
    }
}

impl Drop for DrainBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
