//! Dead letters cannot be stored, or are stored twice (rows 36 and 37): none is lost.

use lapin::options::QueueDeleteOptions;

use crate::support::corner::{Corner, amqp_url, redis_url};
use crate::support::proxy::{Proxy, Way};
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::Run;
use crate::support::wait::{block_on, eventually};

fn garbage(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    numbers.map(|n| format!("no event {n}").into_bytes()).collect()
}

#[test]
fn dead_letters_whose_queue_was_deleted_are_stored_in_a_new_one() {
    let mut run = Run::new("nodead");
    run.loader(&[]);
    // The first failure opens the connection that stores them; it goes with the queue.
    run.corner.publish(&garbage(20..21));
    run.corner.wait_until_ready("load.dead", 1);
    let queue = run.corner.queue("load.dead");
    block_on(run.corner.amqp().channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()))
        .unwrap();
    run.publish_dead(garbage(0..20));
    run.publish(200);
    run.last().wait_for("messages were returned or refused");
    run.finish();
}

#[test]
fn dead_letters_that_find_their_queue_full_wait_and_hold_up_no_event() {
    let node = RabbitNode::start();
    let mut run = Run::of(Corner::at("fulldead", &node.url(), &redis_url()));
    let full = r#"{"max-length":3,"overflow":"reject-publish"}"#;
    node.ctl(&["set_policy", "full", "dead$", full]);
    run.loader(&["--prefetch", "50"]);
    // A quorum queue tells publishers that it is full, and takes what they have sent by then: a burst may fit whole.
    let mut sent = 0;
    eventually("the queue refuses a dead letter", || {
        if run.last().stderr().contains("messages were returned or refused") {
            return true;
        }
        // The loader has 50 in hand at most, and the events need places too.
        if sent < 40 {
            run.publish_dead(garbage(sent..sent + 1));
            sent += 1;
        }
        false
    });
    run.publish(200);
    let distinct = run.distinct();
    eventually("the events are loaded", || run.corner.loaded() == distinct);
    node.ctl(&["clear_policy", "full"]);
    run.finish();
}

#[test]
fn a_loader_killed_between_a_dead_letters_confirm_and_its_ack_leaves_a_copy_and_loses_nothing() {
    let proxy = Proxy::up(&amqp_url());
    let mut run = Run::new("deadtwice").rabbitmq_at(proxy.url(&amqp_url()));
    run.loader(&[]);
    run.wait_until_ready();
    // Only the connection that acks exists by now; the one that stores failures comes with the first failure.
    proxy.black_hole(&[Way::ToServer]);
    run.publish_dead(garbage(0..20));
    eventually("the dead letters are stored", || run.corner.ready("load.dead") == 20);
    run.take_last().kill();
    run.loader(&[]);
    eventually("they are stored again", || run.corner.ready("load.dead") == 40);
    run.finish();
}
