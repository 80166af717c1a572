//! Ctrl-C, and the like: the servers and programs of a soak must not outlive it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::support::wait::block_on;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on a first signal makes [`check`] panic, which ends everything; a second one ends the process as it is.
pub fn watch() {
    block_on(async {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signals = signal(kind).unwrap();
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    if INTERRUPTED.swap(true, Ordering::SeqCst) {
                        std::process::exit(130);
                    }
                }
            });
        }
    });
}

/// Panics, and so drops whatever runs, once the soak was told to end.
#[track_caller]
pub fn check() {
    assert!(!INTERRUPTED.load(Ordering::SeqCst), "interrupted");
}
