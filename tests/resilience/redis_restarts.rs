//! Redis loads its files, loses its data, or throws everybody out (rows 26, 32, 33).

use std::time::{Duration, Instant};

use crate::support::corner::{Corner, amqp_url};
use crate::support::redis_server::RedisServer;
use crate::support::run::Run;
use crate::support::wait::eventually;

fn started(redis: &RedisServer, story: &str) -> Run {
    let mut run = Run::of(Corner::at(story, &amqp_url(), &redis.url()));
    run.begin(3000, &[]);
    run
}

#[test]
fn a_redis_that_reads_its_files_for_seconds_is_waited_for() {
    // 1 ms for each of the commands that it reads back, and 1024 of them before it answers anybody.
    let mut redis = RedisServer::start(&["--appendfsync", "always", "--key-load-delay", "1000"]);
    let mut run = started(&redis, "loading");
    run.wait_for_more(400);
    redis.kill();
    redis.restart_without_waiting();
    run.wait_until_unready_because("LOADING");
    redis.wait_until_up();
    run.finish();
}

#[test]
fn clients_killed_again_and_again_and_a_pause_cost_nothing() {
    let redis = RedisServer::start(&[]);
    let mut run = started(&redis, "clients");
    let (before, mut killed) = (run.corner.loaded(), Instant::now());
    eventually("it makes progress between the kills", || {
        if killed.elapsed() >= Duration::from_millis(200) {
            redis.run("CLIENT KILL TYPE normal SKIPME yes");
            killed = Instant::now();
        }
        run.corner.try_loaded().is_ok_and(|loaded| loaded > before + 500)
    });
    redis.run("CLIENT PAUSE 2000 WRITE");
    run.finish();
}

#[test]
fn after_flushall_the_same_messages_again_make_the_same_content() {
    let redis = RedisServer::start(&[]);
    let mut run = started(&redis, "flushall");
    redis.run("FLUSHALL");
    run.wait_until_ready();
    // What was loaded is lost; there is no replay yet, so publishing again stands for it.
    run.corner.wait_until_ready("load", 0);
    run.publish_again();
    run.finish();
}
