//! RabbitMQ runs low on memory or disk and makes publishers wait.

use crate::end_to_end::recording;
use crate::support::corner::{Corner, redis_url};
use crate::support::github::GitHub;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::{Run, SLOW};
use crate::support::wait::eventually;

const BLOCKED: &str = "it blocks publishing because it is low on memory or disk";

#[test]
fn while_rabbitmq_blocks_publishers_loaders_go_on_nobody_crashes_and_all_stop_when_asked() {
    let node = RabbitNode::lent();
    let mut run = Run::of(Corner::at("alarms", &node.url(), &redis_url()));
    memory(&node, &mut run);
    disk(&node, &mut run);
}

/// The fetcher pauses, a loader acks and drains.
fn memory(node: &RabbitNode, run: &mut Run) {
    let recording = recording(1000);
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let mut way = Proxy::up(&github.url);
    let fetcher = run.corner.fetcher(&way.url(&github.url), &[]);
    github.until("some are fetched", |served| served.events.fetched >= 300);
    // Telling RabbitMQ takes longer than fetching the rest on a busy machine, and then there is nothing left to block.
    way.stop();
    node.ctl(&["set_vm_memory_high_watermark", "0"]);
    way.start();
    fetcher.wait_for(BLOCKED);
    let asked = github.served().requests;
    // Only what is acked leaves the queue, and only an empty queue ends a draining loader.
    run.corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert!(github.served().requests <= asked + 1, "it polled although it could not publish");
    node.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    fetcher.wait_for("(publishing) is back after");
    github.until_all_fetched(recording.len());
    let ended = fetcher.stop();
    let said = ended.stderr.lines().filter(|line| line.contains(BLOCKED)).count();
    assert_eq!(said, 1, "once, not each time it looks:\n{}", ended.stderr);
    run.expect(recording);
    run.loader(&[]);
    run.finish();
}

/// Failures wait to be stored and hold up nothing else; SIGTERM ends everyone, and nothing is lost by that.
fn disk(node: &RabbitNode, run: &mut Run) {
    run.publish_dead((0..3).map(|n| format!("no event {n}").into_bytes()).collect());
    run.publish(300);
    run.publish_dead((3..6).map(|n| format!("no event {n}").into_bytes()).collect());
    node.ctl(&["set_disk_free_limit", "100000GB"]);
    run.corner.reconnect();
    run.loader(&[]);
    let distinct = run.distinct();
    eventually("the good ones are loaded", || run.corner.loaded() == distinct);
    assert_eq!(run.corner.ready("load.dead"), 0, "it was not blocked");
    let github = GitHub::recorded(&recording(50), &["--per-poll", "100"]);
    let fetcher = run.corner.fetcher(&github.url, &[]);
    fetcher.wait_for(BLOCKED);
    let loader = run.take_last();
    for program in [loader, fetcher] {
        program.stop();
    }
    node.ctl(&["set_disk_free_limit", "50MB"]);
    run.corner.reconnect();
    // What the fetcher had sent before it was blocked may have been stored; the next one brings the rest.
    run.corner.fetcher(&github.url, &["--once"]).succeed();
    run.expect(recording(50));
    run.loader(&SLOW);
    run.finish();
}
