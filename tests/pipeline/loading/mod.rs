//! Loading: what is in the queue comes to stand in Redis, once, whatever happens to loaders on the way.

mod death;
mod event_log;
mod flags;
mod poison;
mod stopping;
mod terminal;

use github_event_etl::status::Totals;

use crate::support::corner::Corner;
use crate::support::dump::{assert_same, dump};
use crate::support::events::{event, feed};
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::redis_server::RedisServer;

/// So that the stream, too, can be compared whole.
pub const DRAIN: [&str; 3] = ["--drain", "--stream-maxlen", "0"];

#[test]
fn a_drained_queue_stands_in_redis_as_the_model_says_and_draining_it_again_changes_nothing() {
    let (corner, feed) = (Corner::new("drain"), feed(1000));
    let expected = Oracle::of(&feed);
    corner.publish(&feed);
    let ended = corner.loader(&DRAIN).succeed();
    let (loaded, twice) = (expected.distinct(), feed.len() - expected.distinct());
    let totals = Totals { loaded: loaded as u64, duplicates: twice as u64, ..Totals::default() };
    assert!(ended.stderr.contains(&format!("done: {totals}, ")), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "logs go to stderr");
    assert_same("Redis", &corner.dump(), &expected.lines());
    corner.wait_until_ready("load", 0);

    corner.publish(&feed);
    let ended = corner.loader(&DRAIN).succeed();
    assert!(ended.stderr.contains(&format!("loaded 0, duplicates {}", feed.len())), "{}", ended.stderr);
    assert_same("Redis after the same feed again", &corner.dump(), &expected.lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn an_id_used_again_ten_years_later_is_loaded_beside_the_old_event() {
    let corner = Corner::new("reuse");
    let bodies: Vec<_> = ["2015-01-01T12:00:01Z", "2025-10-07T08:00:00Z", "2015-01-01T12:00:01Z"]
        .map(|time| event(2_489_651_045_u64).at(time).bytes())
        .into();
    corner.publish(&bodies);
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
    assert_eq!(corner.loaded(), 2);
}

#[test]
fn four_loaders_share_a_queue_and_count_nothing_twice() {
    let (corner, feed) = (Corner::new("four"), feed(3000));
    corner.publish(&feed);
    // A small prefetch, so that no loader takes most of the queue before the others have started.
    let flags = [&DRAIN[..], &["--prefetch", "20", "--batch-size", "4"]].concat();
    let loaders: Vec<_> = (0..4).map(|_| corner.loader(&flags)).collect();
    let worked = loaders
        .into_iter()
        .map(Program::succeed)
        .filter(|ended| !ended.stderr.contains("loaded 0, duplicates 0,"))
        .count();
    assert!(worked >= 2, "only {worked} of 4 loaders had anything to do");
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
}

#[test]
fn one_feed_serves_two_redis_servers_each_through_a_queue_of_its_own() {
    let (corner, feed) = (Corner::with_queues("two", &["load", "eu"]), feed(600));
    let eu = RedisServer::start(&[]);
    corner.publish(&feed);
    let here = corner.loader(&DRAIN);
    let there = corner.loader_at(&corner.amqp_url, &eu.url(), &[&DRAIN[..], &["--queue", "eu"]].concat());
    here.succeed();
    there.succeed();
    let expected = Oracle::of(&feed).lines();
    assert_same("the first Redis", &corner.dump(), &expected);
    let mut eu = eu.connect();
    assert_same("the second Redis", &dump(&mut eu, &corner.namespace), &expected);
}

#[test]
fn events_that_come_while_it_runs_are_loaded_without_a_restart() {
    let corner = Corner::new("live");
    let loader = corner.loader(&["--stream-maxlen", "0"]);
    loader.wait_for("consuming");
    corner.load_in_order(&[0, 1, 2].map(|n| event(n).bytes()));
    assert_eq!(corner.loaded(), 3);
    loader.stop();
}
