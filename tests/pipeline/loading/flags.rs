//! What the flags choose.

use super::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::{event, feed};
use crate::support::oracle::Oracle;

/// Drains a feed with flags, and compares with a model of the same rules.
#[track_caller]
fn drains_as(story: &str, flags: &[&str], mut oracle: Oracle) {
    let (corner, feed) = (Corner::new(story), feed(300));
    corner.publish(&feed);
    corner.loader(&[&DRAIN[..], flags].concat()).succeed();
    feed.iter().for_each(|body| {
        oracle.see(body);
    });
    assert_same(&flags.join(" "), &corner.dump(), &oracle.lines());
    corner.wait_until_ready("load", 0);
}

#[test]
fn types_that_are_not_wanted_are_acked_without_effect() {
    drains_as(
        "types",
        &["--types", "PushEvent,WatchEvent"],
        Oracle::new().only(&["PushEvent", "WatchEvent"]),
    );
}

#[test]
fn scores_and_bots_are_as_chosen_and_forever_means_no_expiry() {
    drains_as(
        "score",
        &[
            "--score",
            "WatchEvent=5",
            "--score",
            "ForkEvent=1000000",
            "--score",
            "IssuesEvent=0",
            "--bots",
            "exclude",
            "--retention",
            "forever",
        ],
        Oracle::new()
            .with_weights(&[("WatchEvent", 5), ("ForkEvent", 1_000_000)])
            .without_bots()
            .without_expiry(),
    );
}

#[test]
fn the_stream_keeps_about_a_thousand_events_unless_told_otherwise() {
    let corner = Corner::new("maxlen");
    let feed: Vec<_> = (0..1500).map(|n| event(n).bytes()).collect();
    corner.publish(&feed);
    corner.loader(&["--drain"]).succeed();
    assert!((1000..=1100).contains(&corner.loaded()), "{}", corner.loaded());
    let count: u64 = redis::cmd("HGET")
        .arg(format!("{}:event-count:2015-01-01-12", corner.namespace))
        .arg("PushEvent")
        .query(&mut corner.redis())
        .unwrap();
    assert_eq!(count, 1500);
}
