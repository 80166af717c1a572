//! A fetcher's memory outlives it, and of two fetchers one polls.

use std::time::{Duration, Instant};

use crate::end_to_end::recording;
use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::wait::eventually;

/// How soon a fetcher that waits must poll after the other one was killed.
const TAKE_OVER_MAX: Duration = Duration::from_secs(15);

#[test]
fn a_fetcher_goes_on_where_the_last_one_stopped_and_tells_what_was_missed_between() {
    let corner = Corner::new("restart");
    let recording: Vec<_> = (0..1150)
        .map(|n| event(n).at(&format!("2015-01-01T12:{:02}:{:02}Z", n / 60, n % 60)).bytes())
        .collect();
    // Between the two, 850 events happen, of which 300 are visible.
    let before = GitHub::recorded(&recording[..300], &["--rate", "0"]);
    corner.fetcher(&before.url, &["--once"]).succeed();
    let after = GitHub::recorded(&recording, &["--rate", "0"]);
    let ended = corner.fetcher(&after.url, &["--once"]).succeed();
    let gap = "a gap of 9 min 11 s (2015-01-01 12:04:59 UTC to 2015-01-01 12:14:10 UTC) is recorded";
    assert!(ended.stderr.contains(gap), "{}", ended.stderr);
    assert!(!ended.stderr.contains("coverage 100 %"), "{}", ended.stderr);
    assert_eq!(corner.ready("gaps"), 1);
    let gap: serde_json::Value = serde_json::from_slice(&corner.take_all("gaps")[0].body).unwrap();
    assert_eq!([&gap["from"], &gap["to"]], ["2015-01-01T12:04:59Z", "2015-01-01T12:14:10Z"]);
    assert_eq!(corner.ready("load"), 600);
}

#[test]
fn a_new_process_sends_the_etag_of_the_last_one_and_publishes_nothing_twice() {
    let (corner, recording) = (Corner::new("etag2"), recording(200));
    let github = GitHub::recorded(&recording, &["--per-poll", "200"]);
    corner.fetcher(&github.url, &["--once"]).succeed();
    let ended = corner.fetcher(&github.url, &["--once"]).succeed();
    assert!(ended.stderr.contains("not modified"), "{}", ended.stderr);
    assert_eq!(corner.ready("load") as usize, recording.len());
}

#[test]
fn of_two_fetchers_one_polls_and_the_other_takes_over_when_it_is_killed() {
    let (corner, recording) = (Corner::new("standby"), recording(3000));
    let github = GitHub::recorded(&recording, &["--per-poll", "10"]);
    let first = corner.fetcher(&github.url, &[]);
    first.wait_for("events: ");
    let second = corner.fetcher(&github.url, &[]);
    second.wait_for("another fetcher polls");
    assert!(!second.stderr().contains("events: "), "{}", second.stderr());
    let killed_at = Instant::now();
    first.kill();
    second.wait_for("events: ");
    assert!(killed_at.elapsed() < TAKE_OVER_MAX, "{:?}", killed_at.elapsed());
    assert!(!second.stderr().contains("a gap of"), "{}", second.stderr());
    second.stop();
}

#[test]
fn polling_once_beside_a_fetcher_at_work_says_so_and_fails() {
    let corner = Corner::new("beside");
    let github = GitHub::recorded(&recording(100), &["--per-poll", "100"]);
    let fetcher = corner.fetcher(&github.url, &[]);
    fetcher.wait_for("events: ");
    let ended = corner.fetcher(&github.url, &["--once"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("error: another fetcher polls for this namespace"), "{}", ended.stderr);
    fetcher.stop();
}

#[test]
fn a_fetcher_goes_on_when_its_memory_is_deleted_under_it() {
    let (corner, recording) = (Corner::new("forgotten"), recording(600));
    let github = GitHub::recorded(&recording, &["--per-poll", "10"]);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 100);
    corner.amqp().delete(&corner.queue("fetcher"));
    fetcher.wait_for("(the fetcher's memory) is back");
    github.until_all_fetched(recording.len());
    fetcher.stop();
    assert_eq!(corner.ready("load") as usize, recording.len(), "it still knew what it had published");
    eventually("its memory is in the queue again", || corner.try_ready("fetcher") == Some(1));
}
