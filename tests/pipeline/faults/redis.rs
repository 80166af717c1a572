//! Redis hangs, or its network does.

use crate::support::corner::{Corner, amqp_url, redis_url};
use crate::support::process::signal;
use crate::support::proxy::{Proxy, Way};
use crate::support::redis_server::RedisServer;
use crate::support::run::Run;

/// A run whose loader reaches the shared Redis through the proxy, with work under way.
fn running_through(proxy: &Proxy, story: &str) -> Run {
    let run = Run::new(story);
    let url = proxy.url(&run.corner.redis_url);
    let mut run = run.redis_at(url);
    run.begin(1000, &[]);
    run
}

#[test]
fn a_connection_to_redis_that_is_dead_without_an_error_is_given_up_and_a_new_one_serves() {
    let proxy = Proxy::up(&redis_url());
    let mut run = running_through(&proxy, "deadredis");
    proxy.black_hole(&[Way::ToServer, Way::ToClient]);
    let line = run.last().wait_for("is away");
    assert!(line.contains("no answer in time"), "{line}");
    // One event is in flight at a time, and its answer may have been on its way.
    let (duplicates, copies) = (run.finish().duplicates, run.copies());
    assert!(
        (copies..=copies + 1).contains(&duplicates),
        "{duplicates} duplicates, {copies} copies published"
    );
}

#[test]
fn what_redis_did_without_its_answer_arriving_is_not_done_again() {
    let proxy = Proxy::up(&redis_url());
    let mut run = running_through(&proxy, "noanswer");
    proxy.black_hole(&[Way::ToClient]);
    run.last().wait_for("is away");
    assert!(run.finish().duplicates > run.copies(), "the fault hit nothing that was executed");
}

#[test]
fn a_redis_that_hangs_for_seconds_does_all_it_was_asked_once() {
    let redis = RedisServer::start(&[]);
    let mut run = Run::of(Corner::at("hangs", &amqp_url(), &redis.url()));
    run.begin(1000, &[]);
    signal(redis.pid(), "STOP");
    run.wait_until_unready();
    signal(redis.pid(), "CONT");
    // It does on waking what it had been sent, before or after the same events come again over a new connection.
    run.finish();
}
