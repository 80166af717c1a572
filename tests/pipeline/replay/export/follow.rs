//! An export that goes on for ever.

use chrono::{DateTime, TimeDelta, Utc};

use super::{assert_files, export, files, start};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

const FOLLOW: [&str; 3] = ["--follow", "--grace", "0s"];

#[test]
fn hours_that_are_over_appear_and_one_that_is_not_waits_for_its_end() {
    let corner = Corner::new("export-follow");
    let folder = tempfile::tempdir().unwrap();
    // Hours of one event: those of a longer one can be split between its file and the late events.
    let [ten, eleven, twelve] = [10, 11, 12].map(|at| hour(at, 0..1, 1));
    let late = hour(10, 1..50, 5);
    let following = start(&corner, folder.path(), &FOLLOW);
    corner.archive(&ten);
    eventually("the first hour", || files(folder.path()).len() == 1);
    // An hour that ends when this test is over.
    let soon: DateTime<Utc> = Utc::now() + TimeDelta::hours(1);
    let now = event(1).at(&soon.format("%Y-%m-%dT%H:%M:%SZ").to_string()).bytes();
    corner.archive(&[std::slice::from_ref(&now), &late[..], &eleven].concat());
    eventually("the second hour", || files(folder.path()).len() == 2);
    assert_files(folder.path(), &[(10, &ten), (11, &eleven)]);
    let ended = following.stop();
    assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
    // The next one reads what is in no file yet, and nothing before it.
    let following = start(&corner, folder.path(), &FOLLOW);
    following.wait_for("continuing at offset 1:");
    corner.archive(&twelve);
    eventually("the third hour", || files(folder.path()).len() == 3);
    following.stop();
    let ended = export(&corner, folder.path(), &[]);
    let name = soon.format("%Y-%m-%d-%-H").to_string();
    assert!(ended.stdout.contains(&format!("hour {name} is not over")), "{}", ended.stdout);
    let file = format!("{name}.json.gz");
    assert_eq!(files(folder.path()).remove(&file), Some(vec![now]));
    std::fs::remove_file(folder.path().join(file)).unwrap();
    assert_files(folder.path(), &[(10, &[&ten[..], &late].concat()), (11, &eleven), (12, &twelve)]);
}

#[test]
fn it_waits_for_a_broker_that_restarts_and_loses_nothing() {
    let mut node = RabbitNode::lent();
    let redis = RedisServer::start(&[]);
    let mut corner = Corner::at("export-restart", &node.url(), &redis.url());
    let folder = tempfile::tempdir().unwrap();
    let hours = [10, 11].map(|at| hour(at, 0..300, 5));
    corner.archive(&hours[0]);
    node.settle();
    let following = start(&corner, folder.path(), &FOLLOW);
    eventually("the first hour", || files(folder.path()).len() == 1);
    node.kill();
    following.wait_for("is away");
    node.restart();
    following.wait_for("is back");
    corner.reconnect();
    // RabbitMQ 3.10 loses messages that it confirms in the first moments after a kill: the last ones come when it is settled.
    eventually("the second hour", || {
        corner.archive(&hours[1]);
        files(folder.path()).len() == 2
    });
    following.stop();
    // The hour may have been due in the middle of its events.
    export(&corner, folder.path(), &[]);
    assert_files(folder.path(), &[(10, &hours[0]), (11, &hours[1])]);
}
