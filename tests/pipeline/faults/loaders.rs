//! Loaders are killed and told to stop.

use std::time::Duration;

use rand::RngExt as _;

use crate::support::corner::{Corner, amqp_url};
use crate::support::process::signal;
use crate::support::redis_server::RedisServer;
use crate::support::run::{Run, SLOW};

#[test]
fn loaders_killed_again_and_again_lose_nothing_and_load_nothing_twice() {
    let mut run = Run::new("killings");
    run.publish(4000);
    for _ in 0..4 {
        run.loader(&SLOW);
    }
    run.wait_until_ready();
    let mut kills_under_load = 0;
    for _ in 0..10 {
        // Not a wait for anything: the moment of a crash is random.
        std::thread::sleep(Duration::from_millis(run.random.random_range(30..120)));
        // While messages wait in the queue, every loader holds some, which RabbitMQ must redeliver when it dies.
        kills_under_load += usize::from(run.corner.ready("load") > 0);
        run.kill_one();
        run.loader(&SLOW);
    }
    assert!(kills_under_load >= 3, "only {kills_under_load} kills found work under way");
    run.finish();
}

#[test]
fn a_second_sigterm_while_redis_hangs_ends_a_loader_at_once_and_loses_nothing() {
    let redis = RedisServer::start(&[]);
    let mut run = Run::of(Corner::at("twice", &amqp_url(), &redis.url()));
    run.begin(2000, &[]);
    signal(redis.pid(), "STOP");
    let loader = run.take_last();
    signal(loader.pid(), "TERM");
    loader.wait_for("a second signal leaves at once");
    // It gives what is in flight 4 s; the second signal must cut that short.
    assert_eq!(loader.terminate(Duration::from_secs(2)).code, Some(1));
    signal(redis.pid(), "CONT");
    run.loader(&[]);
    run.finish();
}
