//! A Redis Cluster loses the primary of our slot, or moves the slot, while loaders are busy. All keys are in this slot. Only what the
//! replica did not have can be lost, it is lost with its marks, and a replay of the archive makes Redis whole.

use std::time::Duration;

use crate::support::corner::{Corner, amqp_url};
use crate::support::process::signal;
use crate::support::redis_cluster::RedisCluster;
use crate::support::run::Run;

/// A busy loader, and the place of the primary of its slot.
fn started(cluster: &RedisCluster, story: &str) -> (Run, usize) {
    let mut run = Run::of(Corner::at(story, &amqp_url(), &cluster.url()));
    run.begin(1000, &[]);
    let primary = cluster.primary(&run.corner.namespace).unwrap();
    (run, primary)
}

/// Keeps the loader busy until another node is the primary of its slot, and some more.
#[track_caller]
fn another_takes_over(run: &mut Run, cluster: &RedisCluster, old: usize) -> Duration {
    let namespace = run.corner.namespace.clone();
    run.another_takes_over(|| cluster.another_than(old, &namespace))
}

#[test]
fn the_slots_primary_is_killed() {
    let mut cluster = RedisCluster::start(&[]);
    let (mut run, old) = started(&cluster, "clusterkilled");
    cluster.nodes[old].kill();
    let outage = another_takes_over(&mut run, &cluster, old);
    assert_eq!(run.last().stderr().matches("is away").count(), 1, "{}", run.last().stderr());
    cluster.nodes[old].restart();
    cluster.wait_until_whole();
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("slot's primary killed: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn the_slots_primary_is_frozen_and_wakes() {
    let cluster = RedisCluster::start(&[]);
    let (mut run, old) = started(&cluster, "clusterfrozen");
    signal(cluster.nodes[old].pid(), "STOP");
    let outage = another_takes_over(&mut run, &cluster, old);
    signal(cluster.nodes[old].pid(), "CONT");
    cluster.wait_until_whole();
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("slot's primary frozen: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_planned_failover_loses_nothing() {
    let cluster = RedisCluster::start(&[]);
    let (mut run, old) = started(&cluster, "clusterplanned");
    cluster.fail_over_to(cluster.replica_of(old));
    let outage = another_takes_over(&mut run, &cluster, old);
    assert_eq!(run.finish().retried, 0);
    println!("planned failover: nothing loaded for {outage:?}");
}

#[test]
fn the_slot_moves_to_another_node() {
    let cluster = RedisCluster::start(&[]);
    let (mut run, old) = started(&cluster, "clustermove");
    // Some thousand keys.
    run.busy_until("there is something to move", || true);
    run.publish(4000);
    run.drains();
    let namespace = run.corner.namespace.clone();
    let (loaded, target) = (run.distinct(), (old + 1) % 3);
    let moved = std::thread::scope(|scope| {
        let moving = scope.spawn(|| cluster.move_slot(&namespace, target));
        let outage = run.busy_until("the slot has moved", || cluster.primary(&namespace) == Some(target));
        (moving.join().unwrap(), outage)
    });
    let ((how, took), outage) = moved;
    println!("slot with {loaded} events moved {how} in {took:?}: nothing loaded for {outage:?}");
    assert_eq!(run.finish().retried, 0);
}

#[test]
fn a_replica_is_dead_while_the_script_is_loaded() {
    let mut cluster = RedisCluster::start(&[]);
    let mut run = Run::of(Corner::at("clusterscript", &amqp_url(), &cluster.url()));
    let primary = cluster.primary(&run.corner.namespace).unwrap();
    let replica = cluster.replica_of(primary);
    cluster.nodes[replica].kill();
    run.begin(1000, &[]);
    cluster.nodes[primary].run("SCRIPT FLUSH");
    run.busy_until("the script is there again", || true);
    assert!(!run.last().stderr().contains("is away"), "{}", run.last().stderr());
    run.finish();
}
