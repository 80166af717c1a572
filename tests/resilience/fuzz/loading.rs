//! The load queue.

use super::Random;
use super::sent::Sent;
use crate::support::corner::Corner;
use crate::support::wait::eventually_within;

/// Sending and loading them takes about 30 s.
const MESSAGES: usize = 4000;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

#[test]
fn arbitrary_messages_end_no_loader_and_each_is_loaded_or_a_dead_letter_with_a_reason() {
    let (corner, mut random) = (Corner::new("fuzz-load"), Random::new());
    let loader = corner.loader(&["--stream-maxlen", "0"]);
    let sent = Sent::through(&corner.queue("load.replay"), &corner, &mut random, MESSAGES);
    eventually_within(PATIENCE, "the queue is empty", || corner.ready("load") == 0);
    let log = loader.stop().stderr;
    for words in ["is away", "panicked", "suspect"] {
        assert!(!log.contains(words), "{log}");
    }
    // What waits in the retry queues.
    corner.drain();
    sent.arrived(&corner, &log);
}
