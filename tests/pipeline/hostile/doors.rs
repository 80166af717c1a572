//! The dead letters, the archive, the records of gaps and the status exchange.

use super::{Hostile, hostile_messages, publisher};
use crate::support::corner::{Corner, properties};
use crate::support::dashboard::Dashboard;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::program::Ended;
use crate::support::wait::eventually;

/// Publishes each hostile message straight to a queue, with an event as its body. There its routing key is the queue's name, so
/// the one whose routing key is hostile is an ordinary one here, and left out.
fn publish_to(corner: &Corner, queue: &str) -> (Vec<Hostile>, Vec<Vec<u8>>) {
    let mut raw = publisher(corner);
    let hostile: Vec<_> = hostile_messages().into_iter().skip(1).collect();
    let bodies: Vec<_> = (0..hostile.len()).map(|id| event(id).bytes()).collect();
    for (message, body) in hostile.iter().zip(&bodies) {
        raw.publish("", corner.queue(queue).as_bytes(), &message.properties, body);
    }
    (hostile, bodies)
}

#[track_caller]
fn replay(corner: &Corner, arguments: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    corner.replay(state.path(), arguments).succeed()
}

#[test]
fn dead_letters_that_cannot_be_parsed_are_listed_shown_and_sent_back() {
    let corner = Corner::new("unreadable-dead");
    let (hostile, bodies) = publish_to(&corner, "load.dead");
    let table = replay(&corner, &["dead", "--list"]).stdout;
    for message in &hostile {
        assert!(table.contains(&format!("unreadable: {}", message.told)), "{}: {table}", message.told);
    }
    let dashboard = Dashboard::ready(&corner);
    eventually("the dashboard shows them", || {
        let text = dashboard.get("/api/dead-letters").body;
        text.contains("unreadable: the type is not UTF-8") && text.contains("nested deeper")
    });
    drop(dashboard);
    corner.wait_until_ready("load.dead", u32::try_from(hostile.len()).unwrap());
    replay(&corner, &["dead"]);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
    assert_eq!(corner.ready("load.dead"), 0, "what was sent back is readable");
}

#[test]
fn the_archive_is_replayed_beyond_messages_that_cannot_be_parsed() {
    let corner = Corner::new("unreadable-archive");
    let (mut raw, archive) = (publisher(&corner), corner.queue("archive"));
    let (mut good, mut taken) = (Vec::new(), 0);
    for (n, message) in hostile_messages().iter().enumerate() {
        let body = event(n).bytes();
        corner.amqp().publish("", &archive, &properties("m"), std::slice::from_ref(&body));
        good.push(body);
        // RabbitMQ 4.3 refuses some of them, because a stream keeps properties in another form.
        taken +=
            usize::from(raw.try_publish("", archive.as_bytes(), &message.properties, b"hostile").is_ok());
    }
    let ended = replay(&corner, &["archive"]);
    assert!(ended.stdout.contains(&format!("published {} events", good.len() + taken)), "{}", ended.stdout);
    assert!(!ended.stderr.contains("is away"), "{}", ended.stderr);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&good).lines());
    let dead = corner.take_all("load.dead");
    assert!(dead.iter().all(|letter| letter.body == b"hostile") && dead.len() == taken, "{}", dead.len());
}

#[test]
fn gaps_are_looked_through_beyond_records_that_cannot_be_parsed() {
    let corner = Corner::new("unreadable-gaps");
    publish_to(&corner, "gaps");
    let ended = replay(&corner, &["gaps", "--list"]);
    assert!(!ended.stderr.contains("is away"), "{}", ended.stderr);
}

#[test]
fn a_flood_of_statuses_that_cannot_be_parsed_does_not_cut_the_dashboard_off() {
    let corner = Corner::new("unreadable-status");
    let dashboard = Dashboard::ready(&corner);
    let mut raw = publisher(&corner);
    let exchange = corner.queue("status");
    for message in hostile_messages().iter().cycle().take(300) {
        raw.publish(&exchange, message.routing_key, &message.properties, b"{}");
    }
    let loader = corner.loader(&[]);
    eventually("the dashboard hears the loader", || {
        dashboard.get("/api/workers").body.contains(r#""program":"loader""#)
    });
    loader.stop();
    let log = dashboard.program.stop().stderr;
    assert!(!log.contains("is away"), "{log}");
}
