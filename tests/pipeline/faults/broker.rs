//! RabbitMQ breaks connections, restarts, hangs, or takes a password back, under load.

use std::time::Instant;

use crate::support::corner::{Corner, redis_url};
use crate::support::process::signal;
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::{Run, SLOW};
use crate::support::wait::eventually;

#[test]
fn whatever_a_broker_does_to_connections_they_are_built_anew_one_for_each_loader() {
    let node = RabbitNode::lent();
    let mut run = Run::of(Corner::at("broker", &node.url(), &redis_url()));
    for _ in 0..2 {
        run.loader(&SLOW);
    }
    closes_all_connections(&node, &mut run);
    stops_and_starts(&node, &mut run);
    takes_the_password_back(&node, &mut run);
    hangs(&node, &mut run);
    run.finish();
}

/// Work is under way, and the loaders hold what they may.
fn load(run: &mut Run) {
    run.corner.reconnect();
    run.publish(400);
    run.wait_for_more(20);
}

/// All is mended: as many connections and consumers as loaders, and the run recovers.
fn healed(node: &RabbitNode, run: &mut Run, what: &str) {
    run.wait_until_ready();
    run.corner.reconnect();
    eventually(&format!("two consumers after {what}"), || {
        run.corner.amqp().consumers(&run.corner.queue("load")) == 2
    });
    run.recovers();
    let connections = node.ctl(&["list_connections", "client_properties"]);
    assert_eq!(connections.matches("loader consuming").count(), 2, "after {what}: {connections}");
}

fn closes_all_connections(node: &RabbitNode, run: &mut Run) {
    for _ in 0..2 {
        load(run);
        node.ctl(&["close_all_connections", "test"]);
        healed(node, run, "close_all_connections");
    }
}

fn stops_and_starts(node: &RabbitNode, run: &mut Run) {
    load(run);
    node.ctl(&["stop_app"]);
    run.wait_until_unready();
    node.ctl(&["start_app"]);
    healed(node, run, "start_app");
}

/// At start this would end a loader; one that has worked goes on trying, because the settings were good.
fn takes_the_password_back(node: &RabbitNode, run: &mut Run) {
    load(run);
    node.ctl(&["change_password", "guest", "another"]);
    node.ctl(&["close_all_connections", "test"]);
    run.wait_until_unready_because("RabbitMQ refuses access");
    node.ctl(&["change_password", "guest", "guest"]);
    healed(node, run, "a password taken back");
}

/// Nothing is answered, not even heartbeats; connecting hangs too.
fn hangs(node: &RabbitNode, run: &mut Run) {
    load(run);
    signal(node.pid(), "STOP");
    let started = Instant::now();
    run.wait_until_unready();
    assert!(started.elapsed().as_secs() <= 25, "{:?}", started.elapsed());
    let line = run.corner.loader(&[]).wait_for("is away");
    assert!(line.contains("connect: no answer within 5 s"), "{line}");
    signal(node.pid(), "CONT");
    healed(node, run, "SIGCONT");
}
