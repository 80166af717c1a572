//! Loaders die, politely or not: nothing is lost, nothing counts twice.

use std::time::Duration;

use super::DRAIN;
use crate::support::amqp::Amqp;
use crate::support::corner::Corner;
use crate::support::dump::{assert_same, dump};
use crate::support::events::{event, feed};
use crate::support::oracle::Oracle;
use crate::support::process::signal;
use crate::support::proxy::{Proxy, Way};
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

/// One event a round trip: slow enough to be caught in the middle.
const SLOW: [&str; 8] =
    ["--stream-maxlen", "0", "--prefetch", "40", "--batch-size", "1", "--concurrency", "1"];

#[test]
fn a_killed_loaders_events_are_delivered_again_and_count_once() {
    let (corner, feed) = (Corner::new("kill"), feed(4000));
    let expected = Oracle::of(&feed);
    corner.publish(&feed);
    let loader = corner.loader(&SLOW);
    eventually("some events are loaded", || corner.loaded() > 100);
    loader.kill();
    let loaded = corner.loaded();
    assert!(loaded < expected.distinct(), "the loader was done before it was killed");
    // It died with deliveries in hand; RabbitMQ puts them back, in front, and says that they come again.
    eventually("RabbitMQ sees the loader gone", || corner.amqp().consumers(&corner.queue("load")) == 0);
    let waiting = corner.ready("load");
    let first = Amqp::connect(&corner.amqp_url).peek(&corner.queue("load")).unwrap();
    assert!(first.redelivered);
    corner.wait_until_ready("load", waiting);
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &expected.lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn what_was_loaded_but_not_acked_when_the_loader_died_is_a_duplicate_for_the_next() {
    let (corner, feed) = (Corner::new("unacked"), (0..300).map(|n| event(n).bytes()).collect::<Vec<_>>());
    let proxy = Proxy::up(&corner.amqp_url);
    let loader = corner.loader_at(
        &proxy.url(&corner.amqp_url),
        &corner.redis_url,
        &["--stream-maxlen", "0", "--prefetch", "100"],
    );
    loader.wait_for("consuming");
    // Its acks get lost from here on, so it loads exactly what the prefetch lets through.
    proxy.black_hole(&[Way::ToServer]);
    corner.publish(&feed);
    eventually("a prefetch of events is loaded", || corner.loaded() == 100);
    loader.kill();
    corner.wait_until_ready("load", 300);
    let ended = corner.loader(&DRAIN).succeed();
    assert!(ended.stderr.contains("done: loaded 200, duplicates 100,"), "{}", ended.stderr);
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
}

#[test]
fn a_crash_after_crash_does_not_push_good_events_into_the_dead_letters() {
    let (corner, feed) = (Corner::new("crashes"), (0..10).map(|n| event(n).bytes()).collect::<Vec<_>>());
    corner.publish(&feed);
    // RabbitMQ 4 would drop a message after 20 deliveries if the queue said nothing else.
    for _ in 0..25 {
        let taker = Amqp::connect(&corner.amqp_url);
        for _ in 0..10 {
            eventually("a message is there", || taker.peek(&corner.queue("load")).is_some());
        }
    }
    corner.wait_until_ready("load", 10);
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn sigterm_under_load_finishes_what_is_in_flight_and_leaves_the_rest_in_the_queue() {
    let corner = Corner::new("term");
    let feed: Vec<_> = (0..4000).map(|n| event(n).bytes()).collect();
    corner.publish(&feed);
    let loader = corner.loader(&SLOW);
    eventually("some events are loaded", || corner.loaded() > 100);
    let ended = loader.stop();
    let loaded = corner.loaded();
    assert!(loaded < feed.len(), "the loader was done before it was told to stop");
    // What it has loaded it has acked: nothing comes again that stands already.
    corner.wait_until_ready("load", (feed.len() - loaded) as u32);
    assert!(ended.stderr.contains(&format!("done: loaded {loaded}, duplicates 0,")), "{}", ended.stderr);
    let ended = corner.loader(&DRAIN).succeed();
    assert!(ended.stderr.contains("duplicates 0,"), "{}", ended.stderr);
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
}

#[test]
fn sigterm_ends_a_loader_within_ten_seconds_even_when_redis_hangs() {
    let corner = Corner::new("hang");
    let redis = RedisServer::start(&[]);
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &[]);
    loader.wait_for("consuming");
    signal(redis.pid(), "STOP");
    let feed: Vec<_> = (0..50).map(|n| event(n).bytes()).collect();
    corner.publish(&feed);
    eventually("the loader has taken them", || corner.ready("load") == 0);
    let ended = loader.terminate(Duration::from_secs(10));
    signal(redis.pid(), "CONT");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    corner.wait_until_ready("load", 50);
}

#[test]
fn sigterm_ends_a_loader_that_waits_for_a_server_at_start() {
    let corner = Corner::new("early");
    let proxy = Proxy::away(&corner.amqp_url);
    for (amqp, redis, away) in [
        (proxy.url(&corner.amqp_url), corner.redis_url.clone(), "RabbitMQ"),
        (corner.amqp_url.clone(), proxy.url(&corner.redis_url), "Redis"),
    ] {
        let loader = corner.loader_at(&amqp, &redis, &[]);
        loader.wait_for(&format!("{away} at 127.0.0.1:{}", proxy.port));
        let ended = loader.terminate(Duration::from_secs(10));
        assert_eq!(ended.code, Some(0), "{away}: {}", ended.stderr);
    }
}

#[test]
fn what_is_stuck_in_redis_is_not_acked_and_does_not_hold_up_what_is_behind_it() {
    let corner = Corner::new("stuck");
    let redis = RedisServer::start(&[]);
    // Eleven in hand at most: ten that get stuck, and one place for the others, if each leaves it by an ack of its own. Every
    // message is a batch, and there are more places than events, so nothing else waits with what is stuck.
    let flags = ["--stream-maxlen", "0", "--prefetch", "11", "--batch-size", "1", "--concurrency", "64"];
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &flags);
    loader.wait_for("consuming");
    signal(redis.pid(), "STOP");
    let good: Vec<_> = (0..10).map(|n| event(n).bytes()).collect();
    corner.publish(&good);
    eventually("the loader has them in hand", || corner.ready("load") == 0);
    corner.publish(&vec![b"not an event".to_vec(); 3]);
    corner.wait_until_ready("load.dead", 3);
    loader.kill();
    signal(redis.pid(), "CONT");
    eventually("RabbitMQ sees the loader gone", || corner.amqp().consumers(&corner.queue("load")) == 0);
    let back = corner.ready("load");
    assert!((10..=11).contains(&back), "{back} messages are back: ten events, and at most the last other");
    corner.loader_at(&corner.amqp_url, &redis.url(), &DRAIN).succeed();
    let mut connection = redis.connect();
    assert_same("Redis", &dump(&mut connection, &corner.namespace), &Oracle::of(&good).lines());
}
