//! An archive that RabbitMQ has lost is reported, and `--reset` declares it again.

use std::path::Path;
use std::time::{Duration, Instant};

use github_event_etl::broker::Part;

use super::published;
use crate::support::archive_files::{hour, write};
use crate::support::corner::Corner;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::terminal::{self, replay_on_a_terminal};

const CORE: &[Part] = &[Part::Exchange, Part::LoadQueue, Part::Replay];

/// A node that has lost the archive of a corner, in which all else is well.
fn broken(story: &str, redis: &RedisServer) -> (RabbitNode, Corner) {
    let mut node = RabbitNode::start();
    let mut corner = Corner::undeclared_at(story, &["load"], node.url(), redis.url());
    corner.break_archive(&mut node);
    corner.declare_parts("load", CORE);
    (node, corner)
}

/// Resets the archive, with the command that is advised where RabbitMQ refuses to delete it.
fn reset(node: &RabbitNode, corner: &Corner, state: &Path) {
    let command = ["archive", "--reset", "--yes"];
    let ended = corner.replay(state, &command).wait_within(Duration::from_secs(90));
    if ended.code == Some(0) {
        return;
    }
    node.follow_advice(&ended.stderr);
    corner.replay(state, &command).succeed();
}

#[test]
fn a_lost_archive_is_told_within_10_s_given_up_and_made_anew_by_a_reset() {
    let redis = RedisServer::start(&[]);
    let (node, mut corner) = broken("lost", &redis);
    let state = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let replay = corner.replay(state.path(), &["archive"]);
    replay.wait_for("replay archive --reset");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let ended = replay.wait_within(Duration::from_secs(90));
    assert!(
        ended.code == Some(1) && ended.stderr.contains("error: RabbitMQ does not serve"),
        "{}",
        ended.stderr
    );

    reset(&node, &corner, state.path());
    corner.reconnect();
    let events = hour(12, 0..10, 5);
    corner.archive(&events);
    let ended = corner.replay(state.path(), &["archive"]).succeed();
    assert_eq!(published(&ended.stdout), 10);
}

#[test]
fn a_replay_with_copies_waits_for_a_lost_archive_until_it_is_reset() {
    let redis = RedisServer::start(&[]);
    let (node, mut corner) = broken("lost-copies", &redis);
    let (state, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = hour(12, 0..10, 5);
    let path = write(state.path(), "x.json.gz", &events);
    let replay = corner.replay(state.path(), &["gharchive", path.to_str().unwrap(), "--archive"]);
    let line = replay.wait_for("is away");
    assert!(line.contains(".archive in RabbitMQ") && line.contains("replay archive --reset"), "{line}");
    reset(&node, &corner, other.path());
    replay.succeed();
    corner.reconnect();
    assert_eq!(corner.archived(10), events);
}

#[test]
fn a_reset_of_a_healthy_archive_deletes_it_and_the_positions_in_it() {
    let corner = Corner::new("reset");
    let state = tempfile::tempdir().unwrap();
    corner.archive(&hour(12, 0..10, 5));
    corner.replay(state.path(), &["archive"]).succeed();
    let refused = corner.replay(state.path(), &["archive", "--reset"]).wait();
    assert!(refused.code == Some(2) && refused.stderr.contains("write --reset --yes"), "{}", refused.stderr);
    let refused = corner.replay(state.path(), &["archive", "--reset", "--yes", "--since", "1h"]).wait();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);

    let ended = corner.replay(state.path(), &["archive", "--reset", "--yes"]).succeed();
    assert!(ended.stdout.contains("begins with events published from now on"), "{}", ended.stdout);
    corner.archive(&hour(13, 0..12, 5));
    let last = corner.replay(state.path(), &["archive", "--since", "last"]).wait();
    assert!(last.code == Some(1) && last.stderr.contains("no replay of this archive"), "{}", last.stderr);
    assert_eq!(published(&corner.replay(state.path(), &["archive"]).succeed().stdout), 12);
}

#[test]
fn a_reset_asks_on_the_terminal() {
    if !terminal::can_be_made() {
        return;
    }
    let corner = Corner::new("reset-ask");
    let (state, events) = (tempfile::tempdir().unwrap(), hour(12, 0..10, 5));
    corner.archive(&events);
    for (answer, words, left) in [("n", "nothing is changed", true), ("y", "is new", false)] {
        let shown = replay_on_a_terminal(&corner, state.path(), &["archive", "--reset"], answer);
        assert!(shown.contains(" messages, as RabbitMQ says. "), "{shown}");
        assert!(shown.contains("and declare it again? [y/N]") && shown.contains(words), "{shown}");
        let replayed = corner.replay(state.path(), &["archive"]).succeed().stdout;
        assert_eq!(replayed == "the archive is empty\n", !left, "{replayed}");
    }
}
