//! A queue whose process does not answer RabbitMQ for a while. RabbitMQ then says that the queue is empty.

use std::time::Duration;

use crate::support::corner::{Corner, redis_url};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::letters::failed;
use crate::support::oracle::Oracle;
use crate::support::program::{Ended, Program};
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::Run;
use crate::support::wait::eventually;

/// Longer than any program takes to start, to look at an empty queue and to end.
const SILENCE: Duration = Duration::from_secs(6);

/// Lets `program` look at the queue while the queue is silent.
fn silent(node: &RabbitNode, queue: &str, program: impl FnOnce() -> Program) -> Ended {
    node.suspend_queue(queue);
    let program = program();
    std::thread::sleep(SILENCE);
    node.resume_queue(queue);
    program.succeed()
}

#[test]
fn a_queue_that_is_slow_to_answer_is_not_taken_for_empty() {
    let node = RabbitNode::lent();
    let corner = Corner::at("slow-queue", &node.url(), &redis_url());
    let bodies: Vec<_> = (0..20).map(|id| event(id).bytes()).collect();
    let (retried, dead) = bodies.split_at(1);
    let failure = failed("event-count is not a hash");

    corner.publish_to("load.dead", &failure, dead);
    let state = tempfile::tempdir().unwrap();
    let replay = || corner.replay(state.path(), &["dead"]);
    let ended = silent(&node, &corner.queue("load.dead"), replay);
    assert!(ended.stdout.contains("sent 19 dead letters back"), "{}", ended.stdout);

    corner.publish_to("load.retry.9s", &failure, retried);
    silent(&node, &corner.queue("load.retry.9s"), || corner.loader(&["--drain"]));
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn a_subscription_without_an_answer_gets_no_deliveries_later() {
    let node = RabbitNode::lent();
    let mut run = Run::of(Corner::at("slow-consume", &node.url(), &redis_url()));
    let queue = run.corner.queue("load");
    node.suspend_queue(&queue);
    run.loader(&[]).wait_for("consume: no answer within 5 s");
    node.resume_queue(&queue);
    run.last().wait_for("from RabbitMQ at");
    // RabbitMQ gives each consumer its share.
    run.publish(50);
    run.drains();
    eventually("only the loader's consumer is left", || run.corner.amqp().consumers(&queue) == 1);
    run.finish();
}

#[test]
fn a_loader_without_deliveries_leaves_a_node_whose_queues_do_not_answer() {
    let node = RabbitNode::lent();
    // Two names of one node.
    let (one, other) = (format!("127.0.0.1:{}", node.port), format!("localhost:{}", node.port));
    let url = node.url();
    let list = [url.clone(), url.replace(&one, &other)].join(",");
    let mut run = Run::of(Corner::at("slow-idle", &url, &redis_url())).rabbitmq_at(list);
    run.loader(&[]).wait_for(&format!("from RabbitMQ at {one}"));
    let quiet = run.corner.queue(run.corner.retries("load").last().unwrap());
    node.suspend_queue(&quiet);
    run.last().wait_for(&format!("consuming through {one} has ended; next is {other}"));
    node.resume_queue(&quiet);
    run.publish(20);
    run.finish();
}
