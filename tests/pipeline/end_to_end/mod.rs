//! From GitHub to Redis: what GitHub showed stands in Redis, once, whatever happened on the way.

mod day;
mod faults;
mod fetching;
mod outage;
mod refusals;
mod sources;
mod tokens;
mod world;

use crate::loading::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::{event, feed};
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::wait::eventually;

/// `count` different events.
pub fn recording(count: usize) -> Vec<Vec<u8>> {
    let mut recording = feed(count);
    recording.dedup();
    recording
}

/// Each page brings 150 new events, so polls overlap and nothing can be missed.
const PAGES: [&str; 2] = ["--per-poll", "150"];

#[test]
fn a_recorded_feed_stands_in_redis_as_the_model_says_and_fetching_it_again_changes_nothing() {
    let (corner, mut recording) = (Corner::new("recorded"), recording(600));
    recording.push(event(7).with("odd", r#"[ 1e2, 12345678901234567890, {"é":null} , "\u0000😀"]"#).bytes());
    let github = GitHub::recorded(&recording, &PAGES);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until_all_fetched(recording.len());
    fetcher.stop();
    assert_eq!(corner.ready("load") as usize, recording.len(), "each event is published once");
    corner.loader(&DRAIN).succeed();
    let expected = Oracle::of(&recording).lines();
    assert_same("Redis", &corner.dump(), &expected);
    assert_eq!((corner.ready("load.dead"), corner.ready("gaps"), corner.ready("unrouted")), (0, 0, 0));

    // A fetcher without a memory publishes the events that GitHub shows again: the same state.
    corner.amqp().delete(&corner.queue("fetcher"));
    corner.fetcher(&github.url, &["--once"]).succeed();
    assert_eq!(corner.ready("load"), 300);
    let ended = corner.loader(&DRAIN).succeed();
    assert!(ended.stderr.contains("done: loaded 0, duplicates 300,"), "{}", ended.stderr);
    assert_same("Redis after fetching again", &corner.dump(), &expected);
}

#[test]
fn a_generated_feed_of_every_type_stands_in_redis_as_its_own_pages_say() {
    let corner = Corner::new("generated");
    let github = GitHub::generated(&["--rate", "0", "--seed", "5"]);
    corner.fetcher(&github.url, &["--once"]).succeed();
    corner.loader(&DRAIN).succeed();
    let shown = github.shown();
    assert_eq!(shown.len(), 300);
    assert_same("Redis", &corner.dump(), &Oracle::of(&shown).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn the_standalone_pipeline_loads_the_feed_and_stops_as_one() {
    let (corner, recording) = (Corner::new("standalone"), recording(500));
    let github = GitHub::recorded(&recording, &PAGES);
    let flags = ["--loaders", "2", "--stream-maxlen", "0"];
    let standalone = corner.polling("standalone", &corner.amqp_url, &github.url, &flags);
    eventually("all events are loaded", || corner.loaded() == recording.len());
    standalone.stop();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!((corner.ready("load"), corner.ready("load.dead"), corner.ready("gaps")), (0, 0, 0));
}

#[test]
fn fetcher_and_loaders_work_at_the_same_time_and_a_killed_fetcher_loses_nothing() {
    let (corner, recording) = (Corner::new("together"), recording(900));
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let loaders = [(); 2].map(|()| corner.loader(&["--stream-maxlen", "0"]));
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 200);
    fetcher.kill();
    // The next one meets what the first had published, and what it had fetched and not published.
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until_all_fetched(recording.len());
    eventually("all events are loaded", || corner.loaded() == recording.len());
    for program in loaders.into_iter().chain([fetcher]) {
        program.stop();
    }
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}
