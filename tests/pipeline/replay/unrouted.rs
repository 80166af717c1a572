//! Messages that no load queue took, and those that RabbitMQ moved beside them: each goes back where it belongs.

use lapin::BasicProperties;

use crate::support::amqp::Message;
use crate::support::corner::{Corner, properties};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::letters::{failed, moved_from};
use crate::support::oracle::Oracle;
use crate::support::program::Ended;
use crate::support::rabbitmq::RabbitNode;
use crate::support::wait::eventually;

const GAP: &[u8] = br#"{"source":"events","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#;

fn unrouted(corner: &Corner, flags: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    corner.replay(state.path(), &[&["dead", "--queue", "unrouted"], flags].concat()).wait()
}

/// Publishes to the exchange behind the exchange of events, as RabbitMQ does with what no queue takes.
fn unroutable(corner: &Corner, routing_key: &str, properties: &BasicProperties, body: &[u8]) {
    corner.amqp().publish(&corner.queue("unrouted"), routing_key, properties, &[body.to_vec()]);
}

#[test]
fn events_that_were_published_without_a_load_queue_are_published_again_and_load() {
    let corner = Corner::new("unrouted-events");
    let bodies: Vec<_> = (0..300).map(|id| event(id).bytes()).collect();
    for body in &bodies {
        unroutable(&corner, "PushEvent", &properties("x"), body);
    }
    let table = unrouted(&corner, &["--list"]);
    assert!(
        table.stdout.contains("unrouted: published while no load queue was bound  300"),
        "{}",
        table.stdout
    );
    let ended = unrouted(&corner, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("sent 300 messages of ") && ended.stdout.contains("(300 events to "),
        "{}",
        ended.stdout
    );
    corner.wait_until_ready("unrouted", 0);
    corner.wait_until_ready("load", 300);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn what_rabbitmq_moved_there_goes_back_to_its_own_queue_and_nothing_else_with_it() {
    let corner = Corner::with_queues("unrouted-homes", &["load", "eu"]);
    let (of_load, of_eu, fresh) = (event(1).bytes(), event(2).bytes(), event(3).kind("WatchEvent").bytes());
    let moved = |queue: &str| moved_from(&corner.queue(queue), failed("event-count is not a hash"));
    corner.publish_to("unrouted", &moved("load.dead"), std::slice::from_ref(&of_load));
    corner.publish_to("unrouted", &moved("eu.dead"), std::slice::from_ref(&of_eu));
    let gap = moved_from(&corner.queue("gaps"), properties("gap events 1 2"));
    corner.publish_to("unrouted", &gap, &[GAP.to_vec()]);
    unroutable(&corner, "WatchEvent", &properties("3"), &fresh);
    let list = unrouted(&corner, &["--list", "--format", "json"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let reasons: Vec<_> =
        list.as_array().unwrap().iter().map(|group| group["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "moved by RabbitMQ from eu.dead: event-count is not a hash",
            "moved by RabbitMQ from gaps: a record of a gap",
            "moved by RabbitMQ from load.dead: event-count is not a hash",
            "unrouted: published while no load queue was bound"
        ]
    );
    let would = unrouted(&corner, &["--dry-run", "--match", "gap"]).stdout;
    assert!(would.starts_with("would send back:\n") && would.lines().count() == 3, "{would}");
    assert_eq!(unrouted(&corner, &["--match", "moved by RabbitMQ"]).code, Some(0));
    corner.wait_until_ready("unrouted", 1);
    assert_eq!(unrouted(&corner, &[]).code, Some(0));
    let bodies =
        |messages: &[Message]| messages.iter().map(|message| message.body.clone()).collect::<Vec<_>>();
    let load = corner.take_all("load");
    assert_eq!(bodies(&load), [of_load, fresh.clone()]);
    assert_eq!((load[0].routing_key.as_str(), load[1].routing_key.as_str()), ("PushEvent", "WatchEvent"));
    assert_eq!(load[0].header("x-etl-redrives"), "1");
    assert!(load[1].failure().is_empty());
    assert_eq!(bodies(&corner.take_all("eu")), [of_eu, fresh], "an event goes to every load queue");
    let gaps = corner.take_all("gaps");
    assert_eq!(bodies(&gaps), [GAP]);
    assert_eq!(gaps[0].properties.message_id().as_ref().unwrap().as_str(), "gap events 1 2");
}

#[test]
fn a_letter_whose_load_queue_is_gone_stays_and_holds_up_no_other() {
    let corner = Corner::new("unrouted-gone");
    for queue in ["us.dead", "load.dead"] {
        let properties = moved_from(&corner.queue(queue), failed("bad"));
        corner.publish_to("unrouted", &properties, &[event(queue.len()).bytes()]);
    }
    let ended = unrouted(&corner, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stderr.contains(&format!("queue {} does not exist", corner.queue("us"))),
        "{}",
        ended.stderr
    );
    corner.wait_until_ready("load", 1);
    corner.wait_until_ready("unrouted", 1);
}

/// A policy with a low limit moves what was looked at too often; RabbitMQ writes the notes itself.
#[test]
fn letters_and_records_that_a_policy_moved_come_home() {
    let node = RabbitNode::lent();
    let corner = Corner::at("unrouted-policy", &node.url(), &crate::support::corner::redis_url());
    let policy = format!(
        r#"{{"delivery-limit":2,"dead-letter-exchange":"","dead-letter-routing-key":"{}"}}"#,
        corner.queue("unrouted")
    );
    node.ctl(&["set_policy", "--apply-to", "queues", "low", r"\.(dead|gaps)$", &policy]);
    let body = event(1).bytes();
    corner.publish_to("load.dead", &failed("bad"), std::slice::from_ref(&body));
    corner.publish_to("gaps", &properties("gap"), &[GAP.to_vec()]);
    // A tool that is not ours: our programs give messages back in a way that RabbitMQ 4.3 does not count.
    eventually("both were rejected too often", || {
        ["load.dead", "gaps"].iter().for_each(|queue| corner.amqp().reject_first(&corner.queue(queue)));
        corner.ready("unrouted") == 2
    });
    let ended = unrouted(&corner, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(corner.take_all("load").iter().map(|message| &message.body).collect::<Vec<_>>(), [&body]);
    assert_eq!(corner.take_all("gaps").iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [GAP]);
    corner.wait_until_ready("unrouted", 0);
    node.ctl(&["clear_policy", "low"]);
}
