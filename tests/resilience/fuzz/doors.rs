//! The dead letters, the archive, the records of gaps and the status exchange.

use serde_json::Value;

use super::Random;
use super::messages::message;
use super::sent::Sent;
use crate::support::corner::{Corner, properties};
use crate::support::dashboard::Dashboard;
use crate::support::program::Ended;
use crate::support::raw_amqp::RawPublisher;
use crate::support::wait::eventually;

const MESSAGES: usize = 200;

#[track_caller]
fn replay(corner: &Corner, arguments: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    let ended = corner.replay(state.path(), arguments).succeed();
    assert!(!ended.stderr.contains("is away"), "{}", ended.stderr);
    ended
}

#[test]
fn arbitrary_dead_letters_are_listed_shown_and_sent_back() {
    let (corner, mut random) = (Corner::new("fuzz-dead"), Random::new());
    let sent = Sent::to_queue("load.dead", &corner, &mut random, MESSAGES);
    let listed = replay(&corner, &["dead", "--list", "--format", "json"]).stdout;
    let groups: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let listed: u64 = groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(listed as usize, sent.count());
    let table = replay(&corner, &["dead", "--list"]).stdout;
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table:?}");
    let dashboard = Dashboard::ready(&corner);
    eventually("the dashboard shows them", || {
        dashboard.get("/api/dead-letters").body.contains(r#""reason":"#)
    });
    let log = dashboard.program.stop().stderr;
    assert!(!log.contains("is away") && !log.contains("panicked"), "{log}");
    corner.wait_until_ready("load.dead", u32::try_from(sent.count()).unwrap());
    let log = replay(&corner, &["dead"]).stderr;
    corner.drain();
    sent.arrived(&corner, &log);
}

#[test]
fn arbitrary_messages_in_the_archive_are_replayed_with_the_events_around_them() {
    let (corner, mut random) = (Corner::new("fuzz-archive"), Random::new());
    let sent = Sent::to_queue("archive", &corner, &mut random, MESSAGES);
    let ended = replay(&corner, &["archive"]);
    assert!(ended.stdout.contains(&format!("published {} events", sent.count())), "{}", ended.stdout);
    corner.drain();
    sent.arrived(&corner, &ended.stderr);
}

#[test]
fn arbitrary_records_of_gaps_hide_no_gap_from_the_list() {
    let (corner, mut random) = (Corner::new("fuzz-gaps"), Random::new());
    let gap = |second: usize| {
        let body = format!(
            r#"{{"source":"events","from":"2015-01-01T12:00:{second:02}Z","to":"2015-01-01T12:30:00Z","seconds":1,"detected_at":"2015-01-01T13:00:00Z","events_in_poll":300}}"#
        );
        corner.amqp().publish("", &corner.queue("gaps"), &properties("gap"), &[body.into_bytes()]);
    };
    gap(1);
    Sent::to_queue("gaps", &corner, &mut random, MESSAGES);
    gap(2);
    let files = tempfile::tempdir().unwrap();
    let ended = replay(&corner, &["gaps", "--list", "--base-url", files.path().to_str().unwrap()]);
    for from in ["2015-01-01T12:00:01Z", "2015-01-01T12:00:02Z"] {
        assert!(ended.stdout.contains(from), "{}\n{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn arbitrary_statuses_hide_no_worker_from_the_dashboard() {
    let (corner, mut random) = (Corner::new("fuzz-status"), Random::new());
    let dashboard = Dashboard::ready(&corner);
    let (mut raw, message) = (RawPublisher::new(&corner.amqp_url), message());
    for number in 0..MESSAGES {
        let message = random.draw(&message);
        let body = message.body.bytes(number);
        // RabbitMQ refuses some of them itself.
        let _ = raw.try_publish(&corner.queue("status"), &message.routing_key, &message.properties, &body);
    }
    let loader = corner.loader(&[]);
    eventually("the dashboard hears the loader", || {
        dashboard.get("/api/workers").body.contains(r#""program":"loader""#)
    });
    loader.stop();
    let log = dashboard.program.stop().stderr;
    assert!(!log.contains("is away") && !log.contains("panicked"), "{log}");
}
