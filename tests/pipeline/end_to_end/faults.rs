//! GitHub on a bad day: the fetcher goes on, and nothing is lost or published twice.

use super::{PAGES, recording};
use crate::loading::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;

/// Fetches a recording from a GitHub with these faults, each of which must have struck, loads it and compares.
#[track_caller]
fn survives(story: &str, faults: &[&str]) {
    let (corner, recording) = (Corner::new(story), recording(400));
    let flags: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let github = GitHub::recorded(&recording, &[&PAGES[..], &flags].concat());
    let fetcher = corner.fetcher(&github.url, &[]);
    let served = github.until_all_fetched(recording.len());
    for fault in faults {
        let kind = fault.split(':').next().unwrap();
        assert!(served.struck(kind) > 0, "{kind} did not strike: {served:?}");
    }
    let ended = fetcher.stop();
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!((corner.ready("load.dead"), corner.ready("gaps")), (0, 0), "{}", ended.stderr);
}

#[test]
fn a_github_that_fails_in_every_way_is_asked_again_until_it_answers() {
    survives("failing", &["500:after=1,first=1", "html:after=3,first=1"]);
}

#[test]
fn half_an_answer_is_no_answer() {
    survives("halves", &["truncated:after=1,first=1", "invalid-json:after=2,first=1"]);
}

#[test]
fn a_github_that_limits_requests_is_left_alone_as_long_as_it_asks() {
    survives(
        "limits",
        &["too-many-requests:seconds=1,after=1,first=1", "secondary-limit:seconds=1,after=3,first=1"],
    );
}

#[test]
fn pages_that_shift_repeat_or_come_back_empty_cost_no_event() {
    survives("shifting", &["duplicates:every=2", "page-shift:page=2,every=2", "empty-page:after=2,first=1"]);
}

#[test]
fn answers_that_lead_elsewhere_or_explode_are_no_answers() {
    survives(
        "elsewhere",
        &[
            "redirect-other:after=1,first=1",
            "redirect-loop:after=2,first=1",
            "foreign-link:page=2",
            "gzip-bomb:after=3,first=1",
            "huge:after=4,first=1",
        ],
    );
}

#[test]
fn hints_that_make_no_sense_are_bounded() {
    survives("hints", &["poll-interval:value=-1,every=2", "skewed-date:every=3"]);
}

#[test]
fn garbage_within_a_page_goes_to_the_dead_letters_and_the_events_around_it_load() {
    let (corner, recording) = (Corner::new("garbage"), recording(100));
    let fault = r#"not-an-event:json={"message":"Server Error"}"#;
    let github = GitHub::recorded(&recording, &["--per-poll", "100", "--fault", fault]);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until("garbage was served", |served| {
        served.struck("not-an-event") > 0 && served.with_status(304) > 0
    });
    fetcher.stop();
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    let dead = corner.take_all("load.dead");
    assert_eq!(dead.len(), 1, "the same garbage is kept once");
    assert_eq!(dead[0].body, br#"{"message":"Server Error"}"#);
    assert!(dead[0].header("x-etl-reason").starts_with("missing-field"));
}
