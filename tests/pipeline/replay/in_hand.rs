//! Dead letters that are delivered to another program, unacked. A replay does not take such a queue for empty.

use std::time::{Duration, Instant};

use crate::support::amqp::Amqp;
use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::events::event;
use crate::support::letters::failed;
use crate::support::wait::eventually;

fn letters(corner: &Corner, ids: std::ops::Range<u32>, padding: usize) {
    let padding = format!(r#""{}""#, "x".repeat(padding));
    let bodies: Vec<_> = ids.map(|id| event(id).with("padding", &padding).bytes()).collect();
    corner.publish_to("load.dead", &failed("event-count is not a hash"), &bodies);
}

#[test]
fn letters_that_a_strange_program_has_in_hand_for_a_moment_are_sent_back() {
    let corner = Corner::new("hand-strange");
    letters(&corner, 0..30, 0);
    // RabbitMQ's management page, say, or an older dashboard.
    let stranger = Amqp::connect(&corner.amqp_url);
    while stranger.peek(&corner.queue("load.dead")).is_some() {}
    assert_eq!(corner.ready("load.dead"), 0);
    let state = tempfile::tempdir().unwrap();
    let replay = corner.replay(state.path(), &["dead"]);
    replay.wait_for("looking again");
    drop(stranger);
    let ended = replay.succeed();
    assert!(ended.stdout.contains("sent 30 dead letters back"), "{}", ended.stdout);
    corner.wait_until_ready("load", 30);
}

#[test]
fn with_an_open_dashboard_no_letter_is_left_behind() {
    let corner = Corner::new("hand-loop");
    let dashboard = Dashboard::ready(&corner);
    let state = tempfile::tempdir().unwrap();
    for round in 0..5 {
        // Large ones: looking at them takes a while.
        letters(&corner, round * 100..(round + 1) * 100, 200_000);
        eventually("the dashboard has counted them, and looks at them next", || {
            let queues = dashboard.json("/api/queues")["queues"].clone();
            queues.as_array().unwrap().iter().any(|queue| queue["kind"] == "dead" && queue["ready"] == 100)
        });
        let ended = corner.replay(state.path(), &["dead"]).succeed();
        assert!(ended.stdout.contains("sent 100 dead letters back"), "round {round}: {}", ended.stdout);
        corner.wait_until_ready("load.dead", 0);
    }
    corner.wait_until_ready("load", 500);
}

#[test]
fn letters_that_another_replay_has_in_hand_are_told_of_and_not_waited_for_without_end() {
    let corner = Corner::new("hand-replay");
    letters(&corner, 0..300, 0);
    let state = tempfile::tempdir().unwrap();
    let slow = corner.replay(state.path(), &["dead", "--rate", "10"]);
    eventually("it sends", || corner.ready("load") > 0);
    for flags in [&["dead", "--list"][..], &["dead"]] {
        let started = Instant::now();
        let ended = corner.replay(state.path(), flags).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains("unacked") && ended.stderr.contains("load.dead"), "{}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
    slow.stop();
}

#[test]
fn an_empty_queue_is_said_to_be_empty() {
    let corner = Corner::new("hand-empty");
    let state = tempfile::tempdir().unwrap();
    let ended = corner.replay(state.path(), &["dead"]).succeed();
    assert!(ended.stdout.contains("sent 0 dead letters back"), "{}", ended.stdout);
    assert!(ended.stdout.contains(": none was ready in "), "{}", ended.stdout);
    letters(&corner, 0..3, 0);
    let ended = corner.replay(state.path(), &["dead", "--match", "not-json"]).succeed();
    assert!(ended.stdout.contains("sent 0 dead letters back"), "{}", ended.stdout);
    assert!(ended.stdout.contains(": 3 were looked at"), "{}", ended.stdout);
    corner.wait_until_ready("load.dead", 3);
}
