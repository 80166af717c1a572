//! Redis behind Sentinel loses its primary while loaders are busy. Loading goes on at the new one. Only what no replica had can be
//! lost, it is lost with its marks, and a replay of the archive makes Redis whole.

use std::time::{Duration, Instant};

use crate::support::corner::{Corner, amqp_url};
use crate::support::process::signal;
use crate::support::run::{Run, SLOW};
use crate::support::sentinels::Sentinels;
use crate::support::wait::eventually;

/// How soon a loader is past a Sentinel that hangs. It gives each a second.
const NEXT_WITHIN: Duration = Duration::from_secs(5);

/// A busy loader, and the place of the primary.
fn started(sentinels: &Sentinels, story: &str) -> (Run, usize) {
    let mut run = Run::of(Corner::at(story, &amqp_url(), &sentinels.url()));
    run.begin(1000, &[]);
    (run, sentinels.primary().unwrap())
}

#[test]
fn the_primary_is_killed() {
    let mut sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelkilled");
    sentinels.servers[old].kill();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    // It is told once, whatever the attempts in between met.
    assert_eq!(run.last().stderr().matches("is away").count(), 1, "{}", run.last().stderr());
    sentinels.servers[old].restart();
    sentinels.wait_until_whole();
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("primary killed: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_primary_that_must_have_a_replica_is_killed_and_nothing_is_lost() {
    let mut sentinels = Sentinels::start(&["--min-replicas-to-write", "1"]);
    let (mut run, old) = started(&sentinels, "sentinelkept");
    sentinels.servers[old].kill();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    assert!(!run.last().stderr().contains("set min-replicas-to-write"), "{}", run.last().stderr());
    assert_eq!(run.finish().retried, 0);
    println!("primary with min-replicas-to-write 1 killed: nothing loaded for {outage:?}");
}

#[test]
fn the_primary_is_frozen_and_wakes() {
    let sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelfrozen");
    signal(sentinels.servers[old].pid(), "STOP");
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    signal(sentinels.servers[old].pid(), "CONT");
    // It thinks for some seconds more that it is the primary.
    run.busy_until("the old one follows the new one", || {
        sentinels.wait_until_whole();
        true
    });
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("primary frozen: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_planned_failover() {
    let sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelplanned");
    sentinels.fail_over();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    sentinels.wait_until_whole();
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("planned failover: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_planned_failover_in_order_loses_nothing() {
    let sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelorder");
    let how = sentinels.fail_over_in_order();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    assert_eq!(run.finish().retried, 0);
    println!("planned failover {how}: nothing loaded for {outage:?}");
}

#[test]
fn a_sentinel_is_gone_when_the_primary_is_killed() {
    let mut sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelgone");
    sentinels.kill_first_sentinel();
    run.busy_until("a Sentinel is gone", || true);
    assert!(!run.last().stderr().contains("is away"), "{}", run.last().stderr());
    sentinels.servers[old].kill();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("primary killed, a Sentinel gone: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_sentinel_hangs_at_the_start_and_while_the_primary_is_killed() {
    let mut sentinels = Sentinels::start(&[]);
    let mut run = Run::of(Corner::at("sentinelhangs", &amqp_url(), &sentinels.url()));
    sentinels.freeze_first_sentinel();
    let began = Instant::now();
    run.loader(&SLOW).wait_for("Redis's primary is 127.0.0.1:");
    let found = began.elapsed();
    run.busy_until("events are loaded", || true);
    let old = sentinels.primary().unwrap();
    sentinels.servers[old].kill();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!(
        "a Sentinel hangs: the primary found after {found:?}; primary killed: nothing loaded for {outage:?}, {lost} events lost and mended"
    );
    assert!(found < NEXT_WITHIN, "{found:?}");
}

#[test]
fn the_sentinel_in_use_begins_to_hang() {
    let mut sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelstops");
    sentinels.freeze_first_sentinel();
    let held_up = run.busy_until("a Sentinel hangs", || true);
    assert!(held_up < NEXT_WITHIN, "{held_up:?}");
    assert!(!run.last().stderr().contains("is away"), "{}", run.last().stderr());
    sentinels.servers[old].kill();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!(
        "the Sentinel in use hangs, primary killed: nothing loaded for {outage:?}, {lost} events lost and mended"
    );
}

#[test]
fn what_no_replica_had_is_lost_and_the_archive_mends_it() {
    let mut sentinels = Sentinels::start(&[]);
    let (mut run, old) = started(&sentinels, "sentinelloses");
    run.drains();
    eventually("the replicas have it", || sentinels.following(old) == 2);
    sentinels.cut_replicas_off(old);
    let before = run.distinct();
    run.busy_until("it takes events that no replica has", || true);
    run.drains();
    let unfollowed = run.distinct() - before;
    sentinels.servers[old].kill();
    run.another_takes_over(|| sentinels.another_than(old));
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("{unfollowed} events were loaded without a replica, {lost} were lost and mended");
    assert_eq!(lost, unfollowed);
}

#[test]
fn a_primary_that_must_have_a_replica_takes_nothing_without_one() {
    let mut sentinels = Sentinels::start(&["--min-replicas-to-write", "1"]);
    let (mut run, old) = started(&sentinels, "sentinelkeeps");
    run.drains();
    sentinels.cut_replicas_off(old);
    run.publish(500);
    run.wait_until_unready_because("NOREPLICAS");
    sentinels.servers[old].kill();
    run.another_takes_over(|| sentinels.another_than(old));
    assert_eq!(run.finish().retried, 0);
}
