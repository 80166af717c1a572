//! The archive stream gives back what was published.

use std::path::Path;

use super::published;
use crate::support::amqp::Message;
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::dump::{assert_same, dump};
use crate::support::oracle::Oracle;
use crate::support::program::{Ended, Program};
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

#[track_caller]
fn replay(corner: &Corner, state: &Path, flags: &[&str]) -> Ended {
    corner.replay(state, &[&["archive"], flags].concat()).succeed()
}

fn bodies(corner: &Corner, queue: &str) -> Vec<Vec<u8>> {
    corner.take_all(queue).into_iter().map(|message| message.body).collect()
}

#[test]
fn an_empty_redis_fed_by_the_archive_ends_like_the_original() {
    let corner = Corner::new("archive");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..2000, 5);
    corner.publish(&events);
    corner.archive(&events);
    corner.drain();
    let original = corner.dump();
    let other = RedisServer::start(&[]);
    let ended = replay(&corner, state.path(), &[]);
    assert_eq!(published(&ended.stdout), 2000);
    corner.loader_at(&corner.amqp_url, &other.url(), &["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("the other Redis", &dump(&mut other.connect(), &corner.namespace), &original);
    // The one that has it all is not changed, and the archive did not grow by what was read from it.
    assert_eq!(published(&replay(&corner, state.path(), &[]).stdout), 2000);
    corner.drain();
    assert_same("Redis", &corner.dump(), &original);
}

#[test]
fn another_namespace_is_filled_in_the_other_layout_and_holds_the_same() {
    let (old, new) = (Corner::new("changeold"), Corner::new("changenew"));
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..1000, 5);
    old.publish(&events);
    old.archive(&events);
    old.loader(&["--drain", "--stream-maxlen", "0", "--event-log", "per-event"]).succeed();
    // The new pipeline has got some of the events already.
    new.publish(&events[900..]);
    let flags = ["--from", &old.namespace];
    assert_eq!(published(&replay(&new, state.path(), &flags).stdout), 1000);
    new.loader(&["--drain", "--stream-maxlen", "0", "--event-log", "per-second"]).succeed();
    assert_same("the new namespace", &new.dump(), &old.dump());
    // `last` is that of this archive and this load queue.
    let rest = [&flags[..], &["--since", "last"]].concat();
    assert_eq!(published(&replay(&new, state.path(), &rest).stdout), 0);
    assert_eq!(published(&replay(&old, state.path(), &[]).stdout), 1000);
    // A name that is none of an archive is not declared.
    let ended = new.replay(state.path(), &["archive", "--from", "mistyped-by-a-tester"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("no stream mistyped-by-a-tester.archive"), "{}", ended.stderr);
}

#[test]
fn offsets_times_types_and_limits_choose_and_last_goes_on_behind() {
    let corner = Corner::new("offsets");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..100, 5);
    corner.archive(&events);
    let choose = |flags: &[&str]| {
        let ended = replay(&corner, state.path(), flags);
        let bodies = bodies(&corner, "load");
        assert_eq!(published(&ended.stdout) as usize, bodies.len(), "{}", ended.stdout);
        bodies
    };
    assert_eq!(choose(&["--since", "10", "--until", "19"]), events[10..20]);
    assert_eq!(choose(&["--since", "last", "--until", "29"]), events[20..30]);
    assert_eq!(choose(&["--since", "1h"]), events);
    assert_eq!(choose(&["--until", "2000-01-01T00:00:00Z"]), Vec::<Vec<u8>>::new());
    assert_eq!(choose(&["--since", "50", "--limit", "7"]), events[50..57]);
    corner.archive(&events[..1]);
    assert_eq!(choose(&["--since", "100"]), events[..1]);
    assert_eq!(choose(&["--since", "last"]), Vec::<Vec<u8>>::new());
    // The helper publishes everything as a push.
    assert_eq!(choose(&["--types", "WatchEvent"]), Vec::<Vec<u8>>::new());
    let dry = replay(&corner, state.path(), &["--dry-run"]);
    assert!(dry.stdout.contains("would publish 101 events"), "{}", dry.stdout);
    assert_eq!(corner.ready("load"), 0);
}

#[test]
fn last_is_behind_the_last_replay_that_had_these_types() {
    let corner = Corner::new("last-of-types");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..40, 5);
    let last = |flags: &[&str], expected: &[Vec<u8>]| {
        replay(&corner, state.path(), &[&["--since", "last"], flags].concat());
        assert!(bodies(&corner, "load") == expected, "{flags:?}");
    };
    corner.archive(&events[..10]);
    replay(&corner, state.path(), &["--types", "PushEvent,WatchEvent"]);
    corner.take_all("load");
    let ended = corner.replay(state.path(), &["archive", "--since", "last"]).wait();
    assert!(ended.code == Some(1) && ended.stderr.contains("--types"), "{}", ended.stderr);
    replay(&corner, state.path(), &[]);
    corner.take_all("load");
    corner.archive(&events[10..20]);
    // The helper publishes everything as a push.
    last(&["--types", "WatchEvent"], &[]);
    last(&["--types", "PushEvent"], &events[10..20]);
    corner.archive(&events[20..30]);
    last(&["--types", "PushEvent"], &events[20..30]);
    last(&["--types", "WatchEvent,PushEvent"], &events[10..30]);
    last(&["--types", "PushEvent,WatchEvent"], &[]);
    last(&[], &events[10..30]);
    // What a replay of all types had, none of some types needs.
    last(&["--types", "IssuesEvent,PushEvent"], &[]);
    corner.archive(&events[30..]);
    last(&["--types", "IssuesEvent,PushEvent"], &events[30..]);
}

#[test]
fn another_queue_is_seeded_with_routing_keys_and_properties_as_they_were() {
    let mut corner = Corner::new("seed");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..10, 5);
    corner.publish(&events);
    corner.archive(&events);
    let before = corner.take_all("load");
    // Nobody has declared the queue before.
    corner.forget("eu");
    replay(&corner, state.path(), &["--queue", "eu"]);
    let after = corner.take_all("eu");
    assert_eq!(after.len(), 10);
    for (is, was) in after.iter().zip(&before) {
        assert_eq!((&is.body, &is.routing_key), (&was.body, &was.routing_key));
        assert_eq!(properties(is), properties(was));
    }
    assert_eq!(corner.ready("load"), 0);
}

/// All of a message's properties. No headers and an empty table of them are the same: RabbitMQ 4 gives the one for the other.
fn properties(message: &Message) -> String {
    let headers = message.properties.headers().clone().unwrap_or_default();
    format!("{:?}", message.properties.clone().with_headers(headers))
}

#[test]
fn what_is_not_there_is_said() {
    let corner = Corner::new("nothing");
    let state = tempfile::tempdir().unwrap();
    assert_eq!(replay(&corner, state.path(), &[]).stdout, "the archive is empty\n");
    corner.archive(&hour(12, 0..10, 5));
    for (flags, words) in [
        (["--since", "11"], "the archive ends at offset 9"),
        (["--since", "last"], "no replay of this archive to this queue has ended yet"),
    ] {
        let ended = corner.replay(state.path(), &[&["archive"], &flags[..]].concat()).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    for (flags, words) in [
        (["--since", "yesterday", "--until", "1h"], "--since"),
        (["--since", "9", "--until", "8"], "--until is before --since"),
        (["--since", "1h", "--until", "2h"], "--until is before --since"),
        (["--since", "1", "--until", "last"], "only --since can be last"),
    ] {
        let ended = corner.replay(state.path(), &[&["archive"], &flags[..]].concat()).wait();
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn a_replay_of_the_archive_that_is_killed_goes_on_where_the_last_confirm_was() {
    let corner = Corner::new("archive-kill");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..4000, 5);
    corner.archive(&events);
    let command = ["archive", "--rate", "2500"];
    let killed: Program = corner.replay(state.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 2000);
    killed.kill();
    let before = corner.ready("load");
    assert!(before < 4000, "it was over before it was killed");
    // What has been published since is not asked for: the end was fixed when the replay began.
    corner.archive(&hour(13, 9000..9001, 1));
    let ended = corner.replay(state.path(), &command).succeed();
    let offset = ended.stderr.split("continuing at offset ").nth(1).and_then(|rest| rest.split(' ').next());
    let offset: u32 = offset.unwrap_or_else(|| panic!("{}", ended.stderr)).parse().unwrap();
    // With what was on its way when it was killed, a tenth of a second's worth and no more.
    let twice = corner.ready("load") - 4000;
    assert!(
        offset > 500 && twice <= before + 250 - offset,
        "{offset}: {twice} of {before} were published again"
    );
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn nodes_in_another_order_change_no_position() {
    let corner = Corner::new("archive-nodes");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..1000, 5);
    corner.archive(&events);
    let (one, other) = (corner.amqp_url.clone(), corner.amqp_url.replacen("127.0.0.1", "localhost", 1));
    let replay = |nodes: &[&str]| {
        let url = nodes.join(",");
        let variables = [
            ("AMQP_URL", url.as_str()),
            ("ETL_NAMESPACE", &corner.namespace),
            ("REPLAY_STATE_DIR", state.path().to_str().unwrap()),
        ];
        Program::start("replay", &variables, &["archive", "--rate", "500"])
    };
    let stopped = replay(&[&one, &other]);
    eventually("some of it is published", || corner.ready("load") >= 100);
    stopped.stop();
    let ended = replay(&[&other, &one]).succeed();
    assert!(ended.stderr.contains("continuing at offset "), "{}", ended.stderr);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn a_broker_that_restarts_in_the_middle_is_waited_for() {
    let mut node = RabbitNode::lent();
    let redis = RedisServer::start(&[]);
    let corner = Corner::at("archive-restart", &node.url(), &redis.url());
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..3000, 5);
    corner.archive(&events);
    node.settle();
    let running = corner.replay(state.path(), &["archive", "--rate", "1000"]);
    eventually("some of it is published", || corner.ready("load") >= 600);
    node.kill();
    running.wait_for("is away");
    node.restart();
    running.succeed();
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn what_retention_has_removed_is_told() {
    let node = RabbitNode::lent();
    let redis = RedisServer::start(&[]);
    // Policies can only tighten what a queue was declared with.
    let small = r#"{"max-length-bytes":200000,"stream-max-segment-size-bytes":100000}"#;
    node.ctl(&["set_policy", "small", ".*archive", small, "--apply-to", "queues"]);
    let corner = Corner::at("archive-cut", &node.url(), &redis.url());
    let state = tempfile::tempdir().unwrap();
    for batch in hour(12, 0..20_000, 50).chunks(500) {
        corner.archive(batch);
    }
    let asked = ["archive", "--since", "0"];
    let ended = corner.replay(state.path(), &asked).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("have been removed by retention: the archive begins at offset"),
        "{}",
        ended.stderr
    );
    let there = published(&ended.stdout);
    assert!((1..20_000).contains(&there), "{there}");
    let ended = corner.replay(state.path(), &["archive", "--since", "1h"]).wait();
    assert!(ended.code == Some(1) && ended.stderr.contains("removed by retention"), "{}", ended.stderr);
    corner.replay(state.path(), &[&asked[..], &["--keep-going"]].concat()).succeed();
    node.ctl(&["clear_policy", "small"]);
}

#[test]
fn an_archive_that_has_lost_its_end_is_told_and_not_waited_for() {
    let corner = Corner::new("archive-lost");
    let state = tempfile::tempdir().unwrap();
    corner.archive(&hour(12, 0..3000, 5));
    let command = ["archive", "--rate", "1000"];
    let running = corner.replay(state.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 600);
    corner.amqp().delete(&corner.queue("archive"));
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the archive ends before offset 3000 now"), "{}", ended.stderr);
    assert!(published(&ended.stdout) < 3000, "{}", ended.stdout);
}

#[test]
fn a_position_in_an_archive_that_is_another_one_now_is_not_gone_on_with() {
    let corner = Corner::new("archive-other");
    let state = tempfile::tempdir().unwrap();
    corner.archive(&hour(12, 0..3000, 5));
    let command = ["archive", "--rate", "1000"];
    let running = corner.replay(state.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 600);
    running.kill();
    corner.amqp().delete(&corner.queue("archive"));
    let ended = corner.replay(state.path(), &command).wait();
    assert!(
        ended.code == Some(1) && ended.stderr.contains("the archive was declared again"),
        "{}",
        ended.stderr
    );
    corner.archive(&hour(13, 0..5, 5));
    let ended = corner.replay(state.path(), &[&command[..], &["--anew"]].concat()).succeed();
    assert_eq!(published(&ended.stdout), 5);
}
