//! The archive is an extra. It may be broken, gone or silent; events are published and loaded all the same.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::end_to_end::recording;
use crate::support::amqp::Message;
use crate::support::corner::{Corner, redis_url};
use crate::support::github::GitHub;
use crate::support::proxy::Proxy;
use crate::support::rabbitmq::RabbitNode;
use crate::support::status::Status;
use crate::support::wait::eventually;

const PAGES: [&str; 2] = ["--per-poll", "50"];
/// How soon events must go on after the archive has failed.
const GO_ON_MAX: Duration = Duration::from_secs(10);

/// A node whose archive is broken for good: it was killed just after the stream's first declaration.
fn broken(story: &str) -> (RabbitNode, Corner) {
    let mut node = RabbitNode::start();
    let mut corner = Corner::at(story, &node.url(), &redis_url());
    node.kill();
    node.restart();
    corner.reconnect();
    (node, corner)
}

#[test]
fn a_broken_archive_stops_neither_the_fetcher_nor_the_loaders_and_is_told_once() {
    let (_node, corner) = broken("broken");
    let recording = recording(600);
    let github = GitHub::recorded(&recording, &PAGES);
    let began = Instant::now();
    let _loader = corner.loader(&["--stream-maxlen", "0"]);
    let status = Status::new();
    let fetcher = corner.fetcher(&github.url, &["--metrics-listen", &status.address]);
    eventually("all events are loaded", || corner.try_loaded().is_ok_and(|count| count == recording.len()));
    assert!(began.elapsed() < GO_ON_MAX, "it took {:?}", began.elapsed());
    let line = fetcher.wait_for(".archive in RabbitMQ");
    assert!(line.contains("is away") && line.contains("replay archive --reset"), "{line}");
    let answer = status.get("/readyz").unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let degraded = answer.split("\"degraded\":").nth(1).unwrap();
    assert!(degraded.contains(".archive in RabbitMQ"), "{answer}");
    assert!(status.get("/metrics").unwrap().contains("github_etl_extra_up{extra=\"archive\"} 0"));
    let ended = fetcher.stop();
    let told = ended.stderr.lines().filter(|line| line.contains(".archive in RabbitMQ"));
    assert_eq!(told.count(), 1, "{}", ended.stderr);
}

#[test]
fn an_archive_deleted_by_hand_is_declared_again_and_gets_what_comes() {
    let (corner, recording) = (Corner::new("deleted"), recording(600));
    let github = GitHub::recorded(&recording, &PAGES);
    let mut way = Proxy::up(&github.url);
    let fetcher = corner.fetcher(&way.url(&github.url), &[]);
    github.until("some are fetched", |served| served.events.fetched >= 200);
    // Nothing is fetched while the archive is deleted, so that something is left for the new one.
    way.stop();
    corner.archived(100);
    corner.amqp().delete(&corner.queue("archive"));
    way.start();
    github.until_all_fetched(recording.len());
    // The last page at the latest came after the deletion, or was not confirmed before it.
    eventually("the archive has messages", || corner.try_ready("archive").is_some_and(|count| count > 0));
    let told = fetcher.wait_for("it has a record of them");
    assert!(told.contains(".archive in RabbitMQ") && told.contains("lacks"), "{told}");
    fetcher.stop();
    let state = tempfile::tempdir().unwrap();
    let replayed = corner.replay(state.path(), &["archive"]).wait();
    assert_eq!(replayed.code, Some(1), "what was deleted cannot be replayed: {}", replayed.stdout);
    assert!(replayed.stderr.contains("the archive lacks"), "{}", replayed.stderr);
    corner.drain();
    assert_eq!(corner.loaded(), recording.len());
}

#[test]
fn events_that_a_silent_archive_misses_are_on_record_in_it_when_it_answers_again() {
    let node = RabbitNode::lent();
    let mut corner = Corner::at("silent", &node.url(), &redis_url());
    let recording = recording(300);
    let github = GitHub::recorded(&recording, &PAGES);
    node.ctl(&["eval", &writers("suspend")]);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until_all_fetched(recording.len());
    fetcher.wait_for(".archive in RabbitMQ");
    assert_eq!(corner.ready("load") as usize, recording.len());
    // What waits in this process ends with it.
    fetcher.stop();
    assert_eq!(corner.memory()["archive_lack"]["events"], recording.len());
    node.ctl(&["eval", &writers("resume")]);
    corner.reconnect();
    let fetcher = corner.fetcher(&github.url, &[]);
    fetcher.wait_for("it has a record of them");
    fetcher.stop();
    let is_record = |message: &Message| message.kind() == "archive-lack";
    let archive = corner.amqp().read_stream(&corner.queue("archive"), |read| read.iter().any(is_record));
    let record: Value = serde_json::from_slice(&archive.last().unwrap().body).unwrap();
    assert_eq!(record["events"], recording.len(), "{record}");
}

/// An Erlang expression that stops the streams' writers, or lets them go on: confirms wait for them.
fn writers(what: &str) -> String {
    format!(
        "[sys:{what}(P) || {{_, P, worker, [osiris_writer]}} <- lists:append([supervisor:which_children(S) || {{_, S, supervisor, _}} <- supervisor:which_children(osiris_server_sup)] ++ [supervisor:which_children(osiris_server_sup)])]."
    )
}
