//! Row 24: a loader that was thought dead wakes up.

use crate::support::process::signal;
use crate::support::run::Run;
use crate::support::wait::eventually;

#[test]
fn a_loader_that_slept_through_its_connections_death_does_no_harm_when_it_wakes() {
    let mut run = Run::new("zombie");
    let zombie = run.begin(2000, &[]).pid();
    signal(zombie, "STOP");
    let queue = run.corner.queue("load");
    // RabbitMQ gives it up after two heartbeats, and delivers what it held to the next.
    eventually("RabbitMQ sees the loader gone", || run.corner.amqp().consumers(&queue) == 0);
    let _ = run.loader(&[]);
    let distinct = run.distinct();
    eventually("the other has loaded all", || run.corner.loaded() == distinct);
    signal(zombie, "CONT");
    eventually("both consume", || run.corner.amqp().consumers(&queue) == 2);
    run.publish(500);
    run.finish();
}
