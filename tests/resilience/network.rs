//! Row 40: connections that break at any byte, come in slices, crawl, or fall silent.

use std::time::{Duration, Instant};

use rand::RngExt as _;

use crate::support::corner::{Corner, amqp_url, redis_url};
use crate::support::proxy::{Proxy, Way};
use crate::support::rabbitmq::RabbitNode;
use crate::support::run::Run;
use crate::support::wait::eventually;

/// Cuts connection after connection, each after another number of bytes from the loader, with some work in between.
fn sweep(run: &mut Run, proxy: &Proxy, positions: usize, last: u64) {
    run.loader(&["--prefetch", "10", "--batch-size", "2"]);
    run.wait_until_ready();
    for _ in 0..positions {
        proxy.cut_the_next_after(run.random.random_range(0..last));
        proxy.reset();
        run.publish(20);
        eventually("the connection to cut is there", || proxy.has_the_next());
        run.drains();
    }
    run.finish();
}

#[test]
fn a_connection_to_rabbitmq_may_break_at_any_byte() {
    let proxy = Proxy::up(&amqp_url());
    let mut run = Run::new("amqpcuts").rabbitmq_at(proxy.url(&amqp_url()));
    // Login, declarations and the first acks are about 4 KB.
    sweep(&mut run, &proxy, 60, 4500);
}

#[test]
fn a_connection_to_redis_may_break_at_any_byte() {
    let proxy = Proxy::up(&redis_url());
    let mut run = Run::new("rediscuts").redis_at(proxy.url(&redis_url()));
    // The script is about 8 KB; then come the calls.
    sweep(&mut run, &proxy, 40, 16_000);
}

#[test]
fn bytes_that_come_one_by_one_or_slowly_are_still_the_same_bytes() {
    let (amqp, redis) = (Proxy::up(&amqp_url()), Proxy::up(&redis_url()));
    let mut run = Run::new("slices").rabbitmq_at(amqp.url(&amqp_url())).redis_at(redis.url(&redis_url()));
    for (slice, pause) in [(1, Duration::ZERO), (250, Duration::from_millis(5))] {
        amqp.slow(slice, pause);
        redis.slow(slice, pause);
        run.publish(100);
        run.loader(&["--prefetch", "20"]);
        run.finish();
    }
}

#[test]
fn a_rabbitmq_that_falls_silent_is_noticed_within_two_heartbeats() {
    let node = RabbitNode::start();
    // As RabbitMQ comes; the lower of its wish and ours counts, and ours is to be seen.
    node.ctl(&["eval", "application:set_env(rabbit, heartbeat, 60)."]);
    let proxy = Proxy::up(&node.url());
    let corner = Corner::at("silence", &node.url(), &redis_url());
    let mut run = Run::of(corner).rabbitmq_at(proxy.url(&node.url()));
    run.begin(1000, &[]);
    let started = Instant::now();
    proxy.black_hole(&[Way::ToClient, Way::ToServer]);
    run.last().wait_for("(consuming) is away");
    assert!(started.elapsed().as_secs() <= 25, "{:?}", started.elapsed());
    run.finish();
}
