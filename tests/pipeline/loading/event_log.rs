//! Loaders and the layout of the event log.

use super::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::event_log;
use crate::support::events::{event, feed};
use crate::support::oracle::Oracle;
use crate::support::wait::eventually;

fn run(corner: &Corner, words: &[&str]) -> redis::Value {
    redis::cmd(words[0]).arg(&words[1..]).query(&mut corner.redis()).unwrap()
}

#[test]
fn in_each_layout_a_feed_loads_as_the_model_says() {
    for layout in event_log::LAYOUTS {
        let (corner, feed) = (Corner::new("layouts"), feed(1000));
        let flags = [&DRAIN[..], &["--event-log", layout]].concat();
        for _ in 0..2 {
            corner.publish(&feed);
            corner.loader(&flags).succeed();
            assert_same(layout, &corner.dump(), &Oracle::of(&feed).lines());
        }
    }
}

#[test]
fn a_loader_that_meets_the_other_layout_ends_with_1_and_says_how_to_change_over() {
    let (corner, feed) = (Corner::new("meets"), feed(50));
    corner.publish(&feed);
    corner.loader(&["--drain", "--stream-maxlen", "0", "--event-log", "per-event"]).succeed();
    corner.publish(&feed);
    let ended = corner.loader(&["--event-log", "per-second"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said: Vec<_> = ended.stderr.lines().filter(|line| line.contains("event-log-layout")).collect();
    assert_eq!(said.len(), 1, "{}", ended.stderr);
    for part in ["is per-event", "--event-log per-second", "another --namespace", "replay archive"] {
        assert!(said[0].contains(part), "{part}: {}", said[0]);
    }
    corner.wait_until_ready("load", feed.len() as u32);
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
}

#[test]
fn a_running_loader_ends_when_its_redis_has_become_one_with_the_other_layout() {
    let corner = Corner::new("becomes");
    let loader = corner.loader(&["--event-log", "per-second"]);
    corner.publish(&[event(1).bytes()]);
    eventually("it loads", || corner.loaded() == 1);
    let layout = format!("{}:event-log-layout", corner.namespace);
    run(&corner, &["SET", &layout, "per-event"]);
    let ended = loader.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("event-log-layout is per-event"), "{}", ended.stderr);
    corner.publish(&[event(2).bytes()]);
    corner.wait_until_ready("load", 1);
}

#[test]
fn the_hours_of_a_namespace_that_an_older_version_filled_are_indexed_once() {
    let (corner, feed) = (Corner::new("older"), feed(500));
    corner.publish(&feed);
    corner.loader(&["--drain", "--stream-maxlen", "0", "--event-log", "per-event"]).succeed();
    let [layout, hours] = ["event-log-layout", "hours"].map(|key| format!("{}:{key}", corner.namespace));
    run(&corner, &["DEL", &layout, &hours]);
    let loader = corner.loader(&["--event-log", "per-event"]);
    eventually("the layout is written", || run(&corner, &["EXISTS", &layout]) == redis::Value::Int(1));
    // With the index, each with the time when its hour expires.
    assert_same("Redis", &corner.dump(), &Oracle::of(&feed).lines());
    loader.wait_for("indexed 3");
    run(&corner, &["DEL", &hours]);
    drop(loader);
    corner.loader(&["--drain", "--event-log", "per-event"]).succeed();
    assert_eq!(run(&corner, &["EXISTS", &hours]), redis::Value::Int(0), "it was indexed again");
}
