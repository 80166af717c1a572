//! The way from GitHub's answer to RabbitMQ's confirm.

use chrono::Utc;
use lapin::types::FieldTable;

use crate::end_to_end::recording;
use crate::support::corner::{Corner, redis_url};
use crate::support::github::GitHub;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::Run;
use crate::support::wait::block_on;

const PAGES: [&str; 2] = ["--per-poll", "50"];

#[test]
fn what_no_queue_takes_is_not_counted_as_published_and_is_published_when_one_does() {
    let (mut run, recording) = (Run::new("unrouted"), recording(600));
    run.expect(recording.clone());
    let github = GitHub::recorded(&recording, &PAGES);
    let fetcher = run.corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 100);
    // The load queue last: no event may be stored elsewhere only.
    for (queue, exchange, key) in [("unrouted", ".unrouted", ""), ("archive", "", "#"), ("load", "", "#")] {
        let (queue, exchange) = (run.corner.queue(queue), format!("{}{exchange}", run.corner.namespace));
        let channel = &run.corner.amqp().channel;
        let unbind = channel.queue_unbind(
            queue.as_str().into(),
            exchange.as_str().into(),
            key.into(),
            FieldTable::default(),
        );
        block_on(unbind).unwrap();
    }
    let line = fetcher.wait_for("is away");
    assert!(line.contains("messages were returned or refused"), "{line}");
    github.until_all_fetched(recording.len());
    fetcher.stop();
    run.loader(&[]);
    run.finish();
}

#[test]
fn a_page_fetched_but_not_confirmed_when_the_fetcher_died_is_fetched_and_published_by_the_next() {
    let node = RabbitNode::lent();
    let (mut run, recording) =
        (Run::of(Corner::at("unconfirmed", &node.url(), &redis_url())), recording(300));
    run.expect(recording.clone());
    let github = GitHub::recorded(&recording, &PAGES);
    let mut way = Proxy::up(&github.url);
    let fetcher = run.corner.fetcher(&way.url(&github.url), &[]);
    github.until("some are fetched", |served| served.events.fetched >= 100);
    // The next page is fetched when RabbitMQ does not confirm any more.
    way.stop();
    node.ctl(&["set_vm_memory_high_watermark", "0"]);
    way.start();
    fetcher.wait_for("it blocks publishing");
    assert!(github.served().events.fetched > run.corner.ready("load").into());
    fetcher.kill();
    node.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    run.corner.reconnect();
    let fetcher = run.corner.fetcher(&github.url, &[]);
    github.until_all_fetched(recording.len());
    fetcher.stop();
    run.loader(&[]);
    run.finish();
}

#[test]
fn a_rabbitmq_killed_while_the_fetcher_publishes_loses_nothing_that_was_confirmed() {
    let mut node = RabbitNode::lent();
    let (mut run, recording) =
        (Run::of(Corner::at("brokerdies", &node.url(), &redis_url())), recording(1500));
    run.expect(recording.clone());
    let github = GitHub::recorded(&recording, &PAGES);
    run.loader(&[]);
    let fetcher = run.corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 500);
    node.kill();
    fetcher.wait_for("(publishing) is away");
    let away = Utc::now();
    run.wait_until_unready();
    let down = node.restart();
    let served = github.served();
    let meanwhile = served.recent.iter().filter(|seen| away < seen.at && seen.at < down).count();
    assert_eq!(meanwhile, 0, "it polled although nothing was confirmed");
    run.corner.reconnect();
    github.until_all_fetched(recording.len());
    fetcher.stop();
    run.finish();
}
