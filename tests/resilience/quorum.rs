//! A load queue that has lost its quorum: RabbitMQ takes messages for it and does not confirm them.

use std::time::{Duration, Instant};

use crate::support::corner::{Corner, redis_url};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::rabbitmq::RabbitNode;
use crate::support::wait::eventually;

/// Time for more than ten attempts.
const WITHHELD: Duration = Duration::from_secs(35);

#[test]
fn a_load_queue_without_a_quorum_does_not_fill_the_others_and_gets_its_events_when_it_is_back() {
    let node = RabbitNode::start();
    let corner = Corner::at_with_queues("quorum", &node.url(), &redis_url(), &["load", "eu"]);
    let recording: Vec<_> = (0..300).map(|n| event(n).bytes()).collect();
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let server = format!("{{'%2F_{}', node()}}", corner.queue("eu"));
    node.ctl(&["eval", &format!("ra:stop_server(quorum_queues, {server}).")]);
    let fetcher = corner.fetcher(&github.url, &[]);
    fetcher.wait_for("without its quorum");
    let began = Instant::now();
    let polled = github.served().requests;
    eventually("so much time has passed", || began.elapsed() >= WITHHELD);
    // The window once, and one message with each attempt.
    let published = corner.ready("load");
    assert!(published < 100, "{published} messages of 50 events");
    assert!(github.served().requests <= polled + 1, "it polled although nothing was confirmed");
    node.ctl(&["eval", &format!("ra:restart_server(quorum_queues, {server}).")]);
    fetcher.wait_for("(publishing) is back");
    github.until_all_fetched(recording.len());
    fetcher.stop();
    assert!(corner.ready("load") < 450, "{} messages of 300 events", corner.ready("load"));
    assert!(corner.ready("eu") >= 300, "{} messages of 300 events", corner.ready("eu"));
}
