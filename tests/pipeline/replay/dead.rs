//! Dead letters are looked at, and sent back.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::support::amqp::Message;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::program::Ended;
use crate::support::wait::eventually;

const BROKEN_HOUR: &str = "2015-01-01T13:00:00Z";

/// A corner where `events` events of a broken hour, and something that is no event, are dead letters.
fn with_dead_letters(story: &str, events: usize) -> (Corner, Vec<Vec<u8>>) {
    let corner = Corner::new(story);
    let bodies: Vec<_> = (0..events).map(|id| event(id).at(BROKEN_HOUR).bytes()).collect();
    redis::cmd("SET").arg(broken_key(&corner)).arg("x").query::<()>(&mut corner.redis()).unwrap();
    corner.publish(&bodies);
    corner.publish(&[b"no event".to_vec()]);
    corner.loader(&["--drain", "--max-attempts", "1"]).succeed();
    corner.wait_until_ready("load.dead", u32::try_from(events).unwrap() + 1);
    (corner, bodies)
}

fn broken_key(corner: &Corner) -> String {
    format!("{}:event-count:2015-01-01-13", corner.namespace)
}

fn repair(corner: &Corner) {
    redis::cmd("DEL").arg(broken_key(corner)).query::<()>(&mut corner.redis()).unwrap();
}

#[track_caller]
fn dead(corner: &Corner, flags: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    corner.replay(state.path(), &[&["dead"], flags].concat()).succeed()
}

#[test]
fn the_list_groups_by_reason_and_takes_nothing() {
    let (corner, _) = with_dead_letters("dead-list", 5);
    let table = dead(&corner, &["--list"]).stdout;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["REASON", "COUNT", "ATTEMPTS", "REDRIVES", "FIRST FAILED", "LAST FAILED", "IDS"]);
    assert_eq!(lines[1][..4], ["event-count is not a hash", "5", "1", "0"], "{table}");
    assert!(lines[2][0].starts_with("not-json") && lines[2][1] == "1", "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&dead(&corner, &["--list", "--format", "json", "--match", "hash"]).stdout)
            .unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["count"]), (1, &5.into()));
    let would = dead(&corner, &["--dry-run", "--limit", "2"]).stdout;
    assert!(
        would.starts_with("would send back:\n") && would.contains("event-count is not a hash  2 "),
        "{would}"
    );
    corner.wait_until_ready("load.dead", 6);
}

#[test]
fn after_a_bug_is_fixed_dead_letters_are_sent_back_and_load() {
    let (corner, bodies) = with_dead_letters("dead-fixed", 20);
    repair(&corner);
    let ended = dead(&corner, &["--match", "not a hash"]);
    assert!(ended.stdout.contains("sent 20 dead letters back"), "{}", ended.stdout);
    corner.wait_until_ready("load.dead", 1);
    corner.wait_until_ready("load", 20);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn what_is_sent_back_is_as_it_was_before_it_failed_and_a_limit_is_kept() {
    let (corner, bodies) = with_dead_letters("dead-as-was", 3);
    dead(&corner, &["--match", "not a hash", "--limit", "2"]);
    corner.wait_until_ready("load.dead", 2);
    let sent = corner.take_all("load");
    assert_eq!(sent.iter().map(|message| &message.body).collect::<Vec<_>>(), [&bodies[0], &bodies[1]]);
    let Message { routing_key, .. } = &sent[0];
    assert_eq!(routing_key, "PushEvent");
    let names: Vec<_> = sent[0].failure().into_keys().collect();
    assert_eq!(names, ["x-etl-first-failed-at", "x-etl-original-routing-key", "x-etl-redrives"]);
}

#[test]
fn one_that_fails_again_comes_back_with_its_history_and_does_not_go_round() {
    let (corner, _) = with_dead_letters("dead-again", 1);
    let list = dead(&corner, &["--list", "--format", "json", "--match", "hash"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let first_failed_at = list[0]["first_failed_at"].as_str().unwrap().to_owned();
    for redrives in ["1", "2"] {
        // A loader that sends it to the dead letters again while the replay runs.
        let loader = corner.loader(&["--max-attempts", "1"]);
        let ended = dead(&corner, &["--match", "not a hash"]);
        assert!(ended.stdout.contains("sent 1 dead letters back"), "{}", ended.stdout);
        corner.wait_until_ready("load.dead", 2);
        loader.stop();
        let letters = corner.take_all("load.dead");
        let again = letters.iter().find(|letter| letter.body != b"no event").unwrap();
        assert_eq!(again.header("x-etl-redrives"), redrives);
        assert_eq!(again.header("x-etl-attempts"), "1");
        assert_eq!(again.header("x-etl-reason"), "event-count is not a hash");
        assert_eq!(again.header("x-etl-first-failed-at"), first_failed_at);
        for letter in letters {
            corner.amqp().publish("", &corner.queue("load.dead"), &letter.properties, &[letter.body]);
        }
    }
}

#[test]
fn a_kill_in_the_middle_of_sending_back_loses_nothing() {
    let (corner, bodies) = with_dead_letters("dead-kill", 600);
    repair(&corner);
    let state = tempfile::tempdir().unwrap();
    let running = corner.replay(state.path(), &["dead", "--match", "not a hash", "--rate", "300"]);
    eventually("some are sent", || corner.ready("load") >= 100);
    running.kill();
    assert!(corner.ready("load") < 600, "it was over before it was killed");
    // What it had in hand is back once RabbitMQ has noticed; some may stand in both queues.
    eventually("all are sent back", || {
        dead(&corner, &["--match", "not a hash"]);
        corner.ready("load.dead") == 1
    });
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn hostile_headers_and_properties_neither_hold_it_up_nor_reach_the_terminal() {
    let corner = Corner::new("dead-hostile");
    let text = |text: String| AMQPValue::LongString(text.into());
    let headers = |pairs: &[(&str, AMQPValue)]| -> FieldTable {
        pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect::<BTreeMap<_, _>>().into()
    };
    let event = event(1).bytes();
    let evil = "\u{1b}[2J\u{9b}2J";
    let send = |properties: BasicProperties| {
        corner.amqp().publish("", &corner.queue("load.dead"), &properties, std::slice::from_ref(&event));
    };
    // What RabbitMQ and we add hardly fits a frame any more.
    send(BasicProperties::default().with_headers(headers(&[("x-huge", text("x".repeat(131_000)))])));
    dead(&corner, &[]);
    let hostile = headers(&[
        ("x-etl-reason", text(format!("{evil}{}", "y".repeat(5000)))),
        ("x-etl-first-failed-at", text(evil.into())),
        ("x-etl-original-routing-key", text(evil.repeat(60))),
        ("x-etl-redrives", AMQPValue::LongLongInt(i64::MAX)),
    ]);
    send(
        BasicProperties::default().with_message_id(evil.into()).with_type(evil.into()).with_headers(hostile),
    );
    for flags in [&["--list"][..], &["--list", "--format", "json"], &["--dry-run"], &[]] {
        let ended = dead(&corner, flags);
        let shown = ended.stdout + ended.stderr.as_str();
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{flags:?}: {shown:?}");
    }
    corner.wait_until_ready("load", 2);
    assert!(corner.take_all("load").iter().all(|message| message.body == event));
}
