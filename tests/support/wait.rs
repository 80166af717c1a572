//! Waiting for what other processes do: always for a condition, always with a deadline.

use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// More than anything here takes on a busy machine; only a failing test waits this long.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Waits until `condition` is true, and panics with `what` if it is not within the deadline.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(DEADLINE, what, condition);
}

/// The same for what takes its time.
pub fn eventually_within(most: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + most;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", most.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a future on a runtime that all tests share, so that tests are plain functions.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    RUNTIME.block_on(future)
}
