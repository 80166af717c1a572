//! Redis is at the end of a slow link: what does not reach it within the time for an answer goes in smaller portions.

use std::time::{Duration, Instant};

use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::proxy::Proxy;
use crate::support::wait::eventually_within;

/// Loads so many events of `bytes` each over a link of so many megabits a second, and asserts that it takes no longer than `within`.
#[track_caller]
fn loads(story: &str, count: usize, bytes: usize, megabits: f64, flags: &[&str], within: Duration) {
    let corner = Corner::new(story);
    let padding = format!("{:?}", "x".repeat(bytes));
    let bodies: Vec<_> = (0..count).map(|n| event(n).with("padding", &padding).bytes()).collect();
    let proxy = Proxy::up(&corner.redis_url);
    let flags = [&["--stream-maxlen", "0"], flags].concat();
    let loader = corner.loader_at(&corner.amqp_url, &proxy.url(&corner.redis_url), &flags);
    loader.wait_for("consuming");
    proxy.uplink(megabits);
    let started = Instant::now();
    corner.publish(&bodies);
    eventually_within(within, "all events are loaded", || corner.loaded() == count);
    eprintln!("{story}: {:?}", started.elapsed());
    corner.wait_until_ready("load", 0);
    let ended = loader.stop();
    assert!(ended.stderr.contains("retried 0, dead 0,"), "{}", ended.stderr);
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn large_events_get_through_a_slow_link() {
    // 12 MB, which the link carries in 10 s; a batch of 64 is 3.8 MB.
    loads("slowlarge", 200, 60_000, 10.0, &[], Duration::from_secs(40));
}

#[test]
fn large_batches_of_ordinary_events_get_through_a_slower_one() {
    // 4 MB, which the link carries in 16 s.
    loads("slowmany", 2000, 2000, 2.0, &["--batch-size", "1000"], Duration::from_secs(80));
}

#[test]
fn an_event_that_alone_takes_longer_than_an_answer_may_gets_through() {
    // 2 MB, which the link carries in 16 s.
    loads("slowhuge", 2, 1_000_000, 1.0, &[], Duration::from_secs(60));
}
