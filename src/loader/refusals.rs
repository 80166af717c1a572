//! Who is to blame when Redis refuses messages in words that we do not know, and does other work well.

use std::sync::atomic::{AtomicUsize, Ordering};

/// So many messages in a row, refused one like the other, show that it is not about them.
const MANY: usize = 8;

/// The messages that were refused since Redis served one.
#[derive(Default)]
pub(super) struct Refusals {
    in_a_row: AtomicUsize,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The messages': an attempt of each is spent.
    Messages,
    /// Redis's, or that of something before it: they wait, and no attempt is spent.
    Redis,
}

impl Refusals {
    /// Redis served something.
    pub(super) fn served(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// Redis has refused everything that it was asked at once. `anew` of it had not failed before: one message that comes again
    /// and again is still one.
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
        assert_eq!(refusals.refused(0), Blame::Redis, "those that came before are not to blame either");
        refusals.served();
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
