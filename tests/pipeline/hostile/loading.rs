//! The load queue.

use std::time::{Duration, Instant};

use super::{BAD, DEEPEST, Hostile, hostile_messages, publisher};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::raw_amqp::{MESSAGE_ID, RawProperties, nested};
use crate::support::status::Status;
use crate::support::wait::eventually;

/// Within so long the log names the trouble.
const SECONDS: Duration = Duration::from_secs(5);

/// The exchange in front of the load queue alone: RabbitMQ 4.3 refuses some messages that a stream is to keep, too.
fn in_front_of_load(corner: &Corner) -> String {
    corner.queue("load.replay")
}

#[test]
fn a_message_that_cannot_be_parsed_goes_to_the_dead_letters_and_its_neighbours_load() {
    let corner = Corner::new("unreadable");
    let (mut hostile, mut raw) = (hostile_messages(), publisher(&corner));
    let deepest = RawProperties::default().with_headers(&[(b"deep", nested(DEEPEST))]);
    hostile.push(Hostile { properties: deepest, ..hostile_messages().pop().unwrap() });
    let mut good = Vec::new();
    for (n, message) in hostile.iter().enumerate() {
        let around: Vec<_> = (0..6).map(|k| event(n * 10 + k).bytes()).collect();
        corner.publish(&around[..3]);
        raw.publish(
            &in_front_of_load(&corner),
            message.routing_key,
            &message.properties,
            &event(format!("bad-{n}")).bytes(),
        );
        corner.publish(&around[3..]);
        good.extend(around);
    }
    let ended = corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&good).lines());
    assert!(!ended.stderr.contains("is away"), "the connection held: {}", ended.stderr);
    let dead = corner.take_all("load.dead");
    for (n, message) in hostile.iter().enumerate() {
        let body = event(format!("bad-{n}")).bytes();
        let letter = dead.iter().find(|letter| letter.body == body);
        let letter = letter.unwrap_or_else(|| panic!("no dead letter of {}: {}", message.told, ended.stderr));
        let reason = letter.header("x-etl-reason");
        assert_eq!(reason, format!("unreadable: {}", message.told));
        assert!(ended.stderr.contains(&reason), "{}", ended.stderr);
    }
    assert_eq!(dead.len(), hostile.len());
}

#[test]
fn four_loaders_load_all_events_beside_a_bad_one_and_none_is_redelivered() {
    let corner = Corner::new("unreadable-four");
    let good: Vec<_> = (0..400).map(|id| event(id).bytes()).collect();
    corner.publish(&good[..200]);
    publisher(&corner).publish(
        &in_front_of_load(&corner),
        BAD,
        &RawProperties::default(),
        &event("bad").bytes(),
    );
    corner.publish(&good[200..]);
    let statuses: Vec<_> = (0..4).map(|_| Status::new()).collect();
    let flags =
        |status: &Status| ["--stream-maxlen", "0", "--metrics-listen", &status.address].map(str::to_owned);
    let loaders: Vec<_> =
        statuses.iter().map(|status| corner.loader(&flags(status).each_ref().map(String::as_str))).collect();
    eventually("all good events are loaded", || corner.loaded() == good.len());
    corner.wait_until_ready("load.dead", 1);
    corner.wait_until_ready("load", 0);
    for status in &statuses {
        let metrics = status.get("/metrics").unwrap();
        assert!(metrics.contains("\ngithub_etl_loader_redeliveries_total 0\n"), "{metrics}");
    }
    loaders.into_iter().for_each(|loader| drop(loader.stop()));
    assert_same("Redis", &corner.dump(), &Oracle::of(&good).lines());
}

#[test]
fn the_log_names_the_trouble_within_seconds_and_no_line_can_be_forged() {
    let corner = Corner::new("unreadable-told");
    let loader = corner.loader(&[]);
    loader.wait_for("consuming");
    let started = Instant::now();
    let properties = RawProperties::default().with_text(MESSAGE_ID, b"7\n2026-01-01 ERROR forged\x1b[2J\xff");
    publisher(&corner).publish(&in_front_of_load(&corner), b"PushEvent", &properties, b"{}");
    let line = loader.wait_for("unreadable: the message_id is not UTF-8");
    assert!(started.elapsed() < SECONDS, "{:?}", started.elapsed());
    assert!(line.contains("load.dead") && line.contains("WARN"), "{line}");
    let ended = loader.stop();
    assert!(!ended.stderr.contains('\x1b'), "{}", ended.stderr);
    assert!(!ended.stderr.lines().any(|line| line.starts_with("2026-01-01 ERROR")), "{}", ended.stderr);
}
