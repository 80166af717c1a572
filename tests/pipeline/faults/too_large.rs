//! A RabbitMQ whose limit for messages is lower than ours (row 20): it closes the channel over one, and fails all confirms
//! that were on their way.

use crate::end_to_end::recording;
use crate::support::corner::{Corner, redis_url};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::Run;
use crate::support::status::Status;
use crate::support::wait::eventually;

/// The limit that RabbitMQ 4 has by default.
const LIMIT: usize = 16_777_216;

/// What each poll brings.
const PAGE: usize = 50;

/// An event that RabbitMQ will not take.
fn large(id: &str) -> Vec<u8> {
    event(id).with("text", &format!("\"{}\"", "x".repeat(1_500_000))).bytes()
}

/// Lets a RabbitMQ take messages up to this size, as `max_message_size` in rabbitmq.conf does.
fn limit(node: &RabbitNode, bytes: usize) {
    // The place where RabbitMQ 3 keeps it, and the place where RabbitMQ 4 does.
    node.ctl(&["eval", &format!("application:set_env(rabbit, max_message_size, {bytes}).")]);
    node.ctl(&["eval", &format!("persistent_term:put(max_message_size, {bytes}).")]);
}

#[test]
fn an_event_that_rabbitmq_finds_too_large_is_left_out_and_all_others_are_published_once_or_twice() {
    let node = RabbitNode::lent();
    limit(&node, 1_000_000);
    let mut run = Run::of(Corner::at("toolarge", &node.url(), &redis_url()));
    let mut recording = recording(300);
    run.expect(recording.clone());
    // Both on one page, whose other events come before, between and after them.
    recording.insert(2 * PAGE + 10, large("41"));
    recording.insert(2 * PAGE + 30, large("42"));
    let github = GitHub::recorded(&recording, &["--per-poll", &PAGE.to_string()]);
    let status = Status::new();
    let fetcher = run.corner.fetcher(&github.url, &["--metrics-listen", &status.address]);

    github.until_all_fetched(recording.len());
    assert!(status.is_ready(), "{}", fetcher.stderr());
    let metrics = status.get("/metrics").unwrap();
    for count in ["events_published_total{source=\"events\"} 300", "too_large_total{source=\"events\"} 2"] {
        assert!(metrics.contains(&format!("github_etl_fetcher_{count}\n")), "no {count} in {metrics}");
    }
    let log = fetcher.stop().stderr;
    for id in ["41", "42"] {
        let line = log.lines().find(|line| line.contains(&format!("'{id}'"))).unwrap();
        assert!(line.contains("ERROR") && line.contains("max_message_size"), "{line}");
        assert!(line.contains(&large(id).len().to_string()), "{line}");
    }
    assert!(!log.contains("is away"), "{log}");

    run.loader(&[]);
    let totals = run.finish();
    assert!(totals.duplicates < PAGE, "the page was published more than twice: {totals:?}");
    limit(&node, LIMIT);
}

#[test]
fn a_dead_letter_that_rabbitmq_finds_too_large_stays_in_its_queue_and_holds_up_no_other() {
    let node = RabbitNode::lent();
    let mut run = Run::of(Corner::at("largedead", &node.url(), &redis_url()));
    let large = [b"no event: ", "x".repeat(1_500_000).as_bytes()].concat();
    run.publish_dead((0..100).map(|n| format!("no event {n}").into_bytes()).collect());
    run.publish_dead(vec![large.clone()]);
    run.publish_dead((100..200).map(|n| format!("no event {n}").into_bytes()).collect());
    run.publish(300);
    // It took the message before somebody lowered its limit.
    limit(&node, 1_000_000);
    run.corner.reconnect();

    let line = run.loader(&[]).wait_for("max_message_size");
    assert!(line.contains("ERROR") && line.contains(&large.len().to_string()), "{line}");
    let unacked = format!("{}\t1\n", run.corner.queue("load"));
    let list = ["list_queues", "name", "messages_unacknowledged"];
    eventually("all others are done with", || node.ctl(&list).contains(&unacked));
    run.drains();
    run.take_last().stop();
    run.corner.wait_until_ready("load", 1);

    limit(&node, LIMIT);
    let dead = run.corner.ready("load.dead");
    assert!((200..400).contains(&dead), "each of the others is stored once or twice: {dead}");
    run.loader(&[]);
    run.corner.wait_until_ready("load.dead", dead + 1);
    run.finish();
}
