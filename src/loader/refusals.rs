//! Decides whose fault it is when Redis refuses messages with an unknown error while it does other work: the messages' or
//! Redis's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// If so many messages in a row are refused, the fault is not theirs.
const MANY: usize = 8;

/// The number of messages refused since Redis served one.
#[derive(Default)]
pub(super) struct Refusals {
    in_a_row: AtomicUsize,
    served_at: Mutex<Option<Instant>>,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The messages': the refusal counts as an attempt of each.
    Messages,
    /// Redis's, or a proxy's: the messages wait, and no attempt counts.
    Redis,
}

impl Refusals {
    /// Redis served something.
    pub(super) fn served(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
        *self.served_at.lock() = Some(Instant::now());
    }

    /// Whether Redis has served something after `time`.
    pub(super) fn served_since(&self, time: Instant) -> bool {
        self.served_at.lock().is_some_and(|served| served > time)
    }

    /// Redis has refused all calls of a request. `anew` of these messages had not failed before: a message that
    /// comes again counts once.
    pub(super) fn refused(&self, anew: usize) -> Blame {
        let in_a_row = self.in_a_row.fetch_add(anew, Ordering::Relaxed).saturating_add(anew);
        if in_a_row >= MANY { Blame::Redis } else { Blame::Messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_to_blame_and_many_are_not() {
        let refusals = Refusals::default();
        assert_eq!(refusals.refused(1), Blame::Messages);
        assert_eq!(refusals.refused(MANY - 2), Blame::Messages);
        assert_eq!(refusals.refused(1), Blame::Redis);
        let asked = Instant::now();
        assert!(!refusals.served_since(asked));
        assert_eq!(refusals.refused(0), Blame::Redis, "those that came before are not to blame either");
        refusals.served();
        assert!(refusals.served_since(asked));
        assert_eq!(refusals.refused(1), Blame::Messages);
        assert_eq!(refusals.refused(MANY), Blame::Redis);
    }

    #[test]
    fn one_that_comes_again_and_again_stays_one() {
        let refusals = Refusals::default();
        assert_eq!(refusals.refused(1), Blame::Messages);
        assert!((0..100).all(|_| refusals.refused(0) == Blame::Messages));
    }
}
