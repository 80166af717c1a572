//! GitHub answers a byte at a time (row 16): the answer is given up, and asked for again.

use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::feed;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;

#[test]
fn an_answer_that_trickles_is_given_up_after_half_a_minute_and_asked_for_again() {
    let (corner, mut recording) = (Corner::new("trickle"), feed(100));
    recording.dedup();
    let github = GitHub::recorded(&recording, &["--per-poll", "50", "--fault", "trickle:after=1,first=1"]);
    let fetcher = corner.fetcher(&github.url, &[]);
    fetcher.wait_for("30 s");
    let served = github.until_all_fetched(recording.len());
    assert!(served.struck("trickle") > 0, "{served:?}");
    fetcher.stop();
    corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
}
