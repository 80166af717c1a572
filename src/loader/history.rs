//! Remembers how earlier sessions ended, and sets the prefetch of the next one.
//!
//! A delivery can end its session in ways that nobody foresees. RabbitMQ then counts a redelivery for every unacked message,
//! and its delivery limit would dead-letter good messages beside the bad one. So after several sessions that failed soon, the
//! prefetch is 1: the delivery that ends such a session is alone, and only its own count grows.

use std::time::{Duration, Instant};

/// A session that fails sooner may have been ended by a delivery.
const SOON: Duration = Duration::from_secs(10);
/// After so many in a row, the prefetch becomes 1. Every loader of a queue may add as many redeliveries; RabbitMQ allows 100.
const SOON_MAX: u32 = 3;
/// RabbitMQ may take so long to notice a dead connection. Until then, no count includes the deliveries of that connection.
const NOTICED_AFTER: Duration = Duration::from_secs(10);

/// How earlier sessions ended.
#[derive(Default)]
pub(super) struct History {
    /// Sessions in a row that have failed soon.
    failed_soon: u32,
    failed_at: Option<Instant>,
}

impl History {
    /// The prefetch of the next session.
    pub(super) fn prefetch(&self, wanted: u16) -> u16 {
        if self.takes_one_at_a_time() { 1 } else { wanted }
    }

    /// True when a session with a prefetch of 1 has lived long enough, and the next one may have the whole prefetch.
    pub(super) fn is_over(&self, lived: Duration) -> bool {
        self.takes_one_at_a_time() && lived >= SOON
    }

    /// False while a failed session may still hold messages: no count includes those.
    pub(super) fn can_count(&self) -> bool {
        self.failed_at.is_none_or(|at| at.elapsed() >= NOTICED_AFTER)
    }

    /// A session has ended after so long.
    pub(super) fn session_ended(&mut self, lived: Duration, failed: bool) {
        if failed {
            self.failed_at = Some(Instant::now());
        }
        self.failed_soon = if failed && lived < SOON { self.failed_soon.saturating_add(1) } else { 0 };
        if self.failed_soon == SOON_MAX {
            tracing::error!(
                "{SOON_MAX} sessions with RabbitMQ have failed within {} s each: perhaps a message ends them; taking one at a time, so that RabbitMQ dead-letters no other",
                SOON.as_secs()
            );
        }
    }

    fn takes_one_at_a_time(&self) -> bool {
        self.failed_soon >= SOON_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_sessions_that_failed_soon_deliveries_come_one_at_a_time_until_a_session_lives() {
        let (soon, long) = (SOON / 2, SOON);
        let mut history = History::default();
        history.session_ended(soon, true);
        history.session_ended(soon, true);
        assert_eq!((history.prefetch(1000), history.is_over(long)), (1000, false));
        history.session_ended(long, true);
        history.session_ended(soon, true);
        history.session_ended(soon, true);
        assert_eq!(history.prefetch(1000), 1000, "not in a row");
        for _ in 0..3 {
            history.session_ended(soon, true);
            assert_eq!((history.prefetch(1000), history.is_over(soon)), (1, false));
        }
        assert!(history.is_over(long));
        history.session_ended(long, false);
        assert_eq!(history.prefetch(1000), 1000);
    }

    #[test]
    fn what_a_failed_session_had_in_hand_cannot_be_counted_for_a_while() {
        let mut history = History::default();
        history.session_ended(SOON, false);
        assert!(history.can_count());
        history.session_ended(SOON, true);
        assert!(!history.can_count());
    }
}
