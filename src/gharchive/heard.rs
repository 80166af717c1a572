//! When a web server last sent something useful, so that others need not wait for one that is silent.

use parking_lot::Mutex;
use tokio::time::Instant;

/// What is known of a web server's answers.
#[derive(Default)]
pub(super) struct Heard(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    last: Option<Instant>,
    is_given_up: bool,
}

impl Heard {
    /// It has sent bytes of a file, or said that it has none.
    pub(super) fn now(&self) {
        *self.0.lock() = State { last: Some(Instant::now()), is_given_up: false };
    }

    pub(super) fn last(&self) -> Option<Instant> {
        self.0.lock().last
    }

    /// It was waited for long enough.
    pub(super) fn give_up(&self) {
        self.0.lock().is_given_up = true;
    }

    /// It is worth waiting for again.
    pub(super) fn hope_again(&self) {
        self.0.lock().is_given_up = false;
    }

    /// True if it has sent nothing since then.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.lock().is_given_up
    }
}
