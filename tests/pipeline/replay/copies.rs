//! What replay publishes gets into the archive only if that was asked for.

use crate::support::archive_files::{hour, write};
use crate::support::corner::{Corner, redis_url};
use crate::support::rabbitmq::RabbitNode;
use crate::support::wait::eventually;

#[test]
fn without_archive_nothing_of_the_archive_is_declared_and_with_it_each_event_is_copied() {
    let corner = Corner::undeclared("copies", &["load", "eu"]);
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..6, 1);
    let path = write(state.path(), "x.json.gz", &events);
    let run = |flags: &[&str]| {
        corner.replay(state.path(), &[&["gharchive", path.to_str().unwrap()], flags].concat()).succeed();
    };
    run(&[]);
    run(&["--queue", "eu"]);
    run(&["--archive", "--dry-run"]);
    assert_eq!(corner.try_ready("archive"), None);
    run(&["--queue", "eu", "--archive"]);
    assert_eq!((corner.ready("load"), corner.ready("eu")), (6, 12));
    let copies = corner.amqp().read_stream(&corner.queue("archive"), |read| read.len() == 6);
    let (load, eu) = (corner.take_all("load"), corner.take_all("eu"));
    for (copy, event) in copies.iter().zip(&load) {
        assert_eq!((&copy.body, copy.kind()), (&event.body, event.routing_key.as_str()));
        assert_eq!(copy.properties.message_id(), event.properties.message_id());
    }
    assert_eq!(eu.len(), 12);
    // And from there to a queue with the routing keys of events.
    corner.replay(state.path(), &["archive"]).succeed();
    let keys = |messages: &[crate::support::amqp::Message]| -> Vec<String> {
        messages.iter().map(|message| message.routing_key.clone()).collect()
    };
    assert_eq!(keys(&corner.take_all("load")), keys(&load));
}

#[test]
fn what_fills_a_gap_is_copied_if_asked_for() {
    let corner = Corner::undeclared("copies-gaps", &["load"]);
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = hour(12, 0..10, 5);
    super::gaps::files(folder.path(), &events);
    let base = folder.path().to_str().unwrap();
    let run = |flags: &[&str]| {
        corner.declare_parts("load", &[github_event_etl::broker::Part::Gaps]);
        super::gaps::record(&corner, "events", "12:00:00", "12:00:01");
        let command = [&["gaps", "--base-url", base], flags].concat();
        let ended = corner.replay(state.path(), &command).succeed();
        assert!(ended.stdout.contains(" 10 events"), "{}", ended.stdout);
    };
    run(&["--dry-run", "--archive"]);
    run(&[]);
    assert_eq!(corner.try_ready("archive"), None);
    run(&["--archive"]);
    assert_eq!(corner.archived(10), events);
}

#[test]
fn the_position_is_saved_only_when_the_archive_has_confirmed_the_copies() {
    let node = RabbitNode::lent();
    let mut corner = Corner::at("copies-away", &node.url(), &redis_url());
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..10, 1);
    let path = write(state.path(), "x.json.gz", &events);
    let command = ["gharchive", path.to_str().unwrap(), "--archive"];
    node.suspend_streams();
    let waits = corner.replay(state.path(), &command);
    eventually("all is in the load queue", || corner.ready("load") == 10);
    let line = waits.wait_for(".archive in RabbitMQ");
    assert!(line.contains("is away"), "{line}");
    waits.kill();
    node.resume_streams();
    corner.reconnect();
    corner.take_all("load");
    let again = corner.replay(state.path(), &command).succeed();
    assert!(!again.stderr.contains("continuing after"), "{}", again.stderr);
    assert_eq!(corner.ready("load"), 10);
    // The writer has what the killed one had sent, too.
    let archived = corner.archived(20);
    assert!(archived.ends_with(&events), "{} messages", archived.len());
}
