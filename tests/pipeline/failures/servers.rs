//! Servers that are away are named and waited for, without end and without loss.

use std::net::TcpListener;

use crate::support::corner::Corner;
use crate::support::dump::{assert_same, dump};
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| event(n).bytes()).collect()
}

/// Asserts that it ends well, and has said that something was away and is back once, not at every attempt.
#[track_caller]
fn ends_well(loader: Program, what: &str) {
    let ended = loader.succeed();
    for word in ["is away", "is back after"] {
        let lines: Vec<_> =
            ended.stderr.lines().filter(|line| line.contains(what) && line.contains(word)).collect();
        assert_eq!(lines.len(), 1, "{what} {word}:\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("guest:guest") && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

/// Sees three more attempts at a port, each broken at once.
fn tries_again_and_again(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        eventually("another attempt", || listener.accept().is_ok());
    }
}

#[test]
fn a_rabbitmq_that_is_away_at_start_is_named_and_waited_for() {
    let (corner, bodies) = (Corner::new("norabbit"), bodies(20));
    corner.publish(&bodies);
    let mut proxy = Proxy::away(&corner.amqp_url);
    let flags = ["--drain", "--stream-maxlen", "0"];
    let loader = corner.loader_at(&proxy.url(&corner.amqp_url), &corner.redis_url, &flags);
    let line = loader.wait_for("is away");
    let named = format!("RabbitMQ at 127.0.0.1:{} (consuming) is away", proxy.port);
    assert!(line.contains(&named) && line.contains("refused"), "{line}");
    tries_again_and_again(proxy.port);
    proxy.start();
    ends_well(loader, "RabbitMQ");
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
}

#[test]
fn a_redis_that_is_away_at_start_is_named_and_waited_for() {
    let (corner, bodies) = (Corner::new("noredis"), bodies(20));
    corner.publish(&bodies);
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &["--drain", "--stream-maxlen", "0"]);
    let line = loader.wait_for("is away");
    assert!(line.contains(&format!("Redis at 127.0.0.1:{} is away", redis.port)), "{line}");
    assert_eq!(corner.ready("load"), 20, "nothing is taken from the queue that cannot be loaded");
    tries_again_and_again(redis.port);
    redis.restart();
    ends_well(loader, "Redis");
    let mut connection = redis.connect();
    assert_same("Redis", &dump(&mut connection, &corner.namespace), &Oracle::of(&bodies).lines());
}

#[test]
fn a_redis_killed_in_mid_run_loses_nothing_and_sends_nothing_to_the_dead_letters() {
    let (corner, bodies) = (Corner::new("redisdies"), bodies(3000));
    corner.publish(&bodies);
    let mut redis = RedisServer::start(&["--appendfsync", "always"]);
    let flags = ["--drain", "--stream-maxlen", "0", "--batch-size", "1", "--concurrency", "1"];
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &flags);
    let length = |redis: &RedisServer| -> usize {
        let mut connection = redis.connect();
        let key = format!("{}:event-stream", corner.namespace);
        redis::cmd("XLEN").arg(key).query(&mut connection).unwrap()
    };
    eventually("some events are loaded", || length(&redis) > 100);
    assert!(length(&redis) < bodies.len());
    redis.kill();
    loader.wait_for(&format!("Redis at 127.0.0.1:{} is away", redis.port));
    redis.restart();
    ends_well(loader, "Redis");
    let mut connection = redis.connect();
    assert_same("Redis", &dump(&mut connection, &corner.namespace), &Oracle::of(&bodies).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn a_connection_to_rabbitmq_that_breaks_in_mid_run_is_built_anew_and_nothing_is_lost() {
    let (corner, bodies) = (Corner::new("breaks"), bodies(3000));
    corner.publish(&bodies);
    let mut proxy = Proxy::up(&corner.amqp_url);
    let flags = ["--stream-maxlen", "0", "--batch-size", "1", "--concurrency", "1"];
    let loader = corner.loader_at(&proxy.url(&corner.amqp_url), &corner.redis_url, &flags);
    eventually("some events are loaded", || corner.loaded() > 100);
    assert!(corner.loaded() < bodies.len());
    proxy.stop();
    loader.wait_for(&format!("RabbitMQ at 127.0.0.1:{} (consuming) is away", proxy.port));
    proxy.start();
    loader.wait_for("is back after");
    eventually("all events are loaded", || corner.loaded() == bodies.len());
    corner.wait_until_ready("load", 0);
    loader.stop();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn a_full_redis_spends_no_attempt_and_loads_when_there_is_room() {
    let (corner, bodies) = (Corner::new("full"), bodies(50));
    corner.publish(&bodies);
    let redis = RedisServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let flags = ["--drain", "--stream-maxlen", "0", "--max-attempts", "1"];
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &flags);
    assert!(loader.wait_for("is away").contains("OOM"));
    let mut connection = redis.connect();
    redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(0).query::<()>(&mut connection).unwrap();
    ends_well(loader, "Redis");
    assert_same("Redis", &dump(&mut connection, &corner.namespace), &Oracle::of(&bodies).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}
