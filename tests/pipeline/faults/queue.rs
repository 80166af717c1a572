//! Somebody deletes the load queue while it is consumed.

use lapin::options::QueueDeleteOptions;

use crate::support::run::Run;
use crate::support::wait::block_on;

#[test]
fn a_queue_deleted_under_its_consumer_is_declared_again_and_consumed() {
    let mut run = Run::new("deleted");
    run.loader(&[]);
    run.publish(200);
    run.recovers();
    let queue = run.corner.queue("load");
    block_on(run.corner.amqp().channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()))
        .unwrap();
    let line = run.last().wait_for("is away");
    assert!(line.contains("was the queue deleted?"), "{line}");
    run.wait_until_ready();
    run.publish(200);
    run.finish();
}
