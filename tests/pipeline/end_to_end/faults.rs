//! GitHub on a bad day: the fetcher goes on, and nothing is lost or published twice.

use github_event_etl_simulator::Served;

use super::{PAGES, recording};
use crate::loading::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::process::peak_memory_mib;
use crate::support::program::Program;

/// Answers are taken up to 32 MiB; growing to that takes some more.
const MEMORY_MIB_MAX: f64 = 200.0;

/// Fetches a recording from a GitHub with these faults, each of which must have struck, loads it and compares. Gives what
/// GitHub was asked, and the fetcher's log.
#[track_caller]
fn survives(story: &str, events: usize, faults: &[&str]) -> (Served, String) {
    survives_by(story, events, faults, &[], &["--poll-interval", "100ms"])
}

/// The same, with more flags for both.
#[track_caller]
fn survives_by(
    story: &str,
    events: usize,
    faults: &[&str],
    simulator_flags: &[&str],
    fetcher_flags: &[&str],
) -> (Served, String) {
    let (corner, recording) = (Corner::new(story), recording(events));
    let faults_flags: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    let github = GitHub::recorded(&recording, &[&PAGES[..], &faults_flags, simulator_flags].concat());
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("ETL_NAMESPACE", &corner.namespace),
        ("GITHUB_API_URL", &github.url),
    ];
    let fetcher = Program::start("fetcher", &variables, fetcher_flags);
    let served = github.until_all_fetched(recording.len());
    for fault in faults {
        let kind = fault.split(':').next().unwrap();
        assert!(served.struck(kind) > 0, "{kind} did not strike: {served:?}");
    }
    let memory_mib = peak_memory_mib(fetcher.pid());
    assert!(memory_mib < MEMORY_MIB_MAX, "it took {memory_mib} MiB");
    let own = github.url.trim_start_matches("http://");
    assert!(served.recent.iter().all(|seen| seen.host == own), "it was lured away: {served:?}");
    let ended = fetcher.stop();
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!((corner.ready("load.dead"), corner.ready("gaps")), (0, 0), "{}", ended.stderr);
    (served, ended.stderr)
}

#[test]
fn a_github_that_fails_in_every_way_is_asked_again_until_it_answers() {
    survives("failing", 400, &["500:after=1,first=1", "html:after=3,first=1"]);
}

#[test]
fn half_an_answer_is_no_answer() {
    survives("halves", 400, &["truncated:after=1,first=1", "invalid-json:after=2,first=1"]);
}

#[test]
fn a_github_that_limits_requests_is_left_alone_as_long_as_it_asks() {
    survives(
        "limits",
        400,
        &["too-many-requests:seconds=1,after=1,first=1", "secondary-limit:seconds=1,after=3,first=1"],
    );
}

#[test]
fn pages_that_shift_repeat_or_come_back_empty_cost_no_event() {
    survives(
        "shifting",
        400,
        &["duplicates:every=2", "page-shift:page=2,every=2", "empty-page:after=2,first=1"],
    );
}

#[test]
fn answers_that_lead_elsewhere_or_explode_are_no_answers() {
    let (_, log) = survives(
        "elsewhere",
        1200,
        &[
            "redirect-other:after=1,first=1",
            "redirect-loop:after=5,first=6",
            "gzip-bomb:after=13,first=1",
            "huge:after=16,first=1",
        ],
    );
    for words in ["redirects to another server", "too many redirects", "larger than 33554432 bytes"] {
        assert!(log.contains(words), "no '{words}' in\n{log}");
    }
}

#[test]
fn a_link_to_another_server_is_not_followed() {
    let corner = Corner::new("foreign");
    let github = GitHub::recorded(&recording(300), &["--per-poll", "300", "--fault", "foreign-link"]);
    let ended = corner.fetcher(&github.url, &["--once"]).succeed();
    assert!(ended.stderr.contains("a link to a next page at another server"), "{}", ended.stderr);
    assert_eq!(github.served().requests, 1, "it asked there");
    assert_eq!(corner.ready("load"), 100, "the first page is published");
}

#[test]
fn hints_that_make_no_sense_are_bounded() {
    // Of the two polls that follow, one is told to come back at once, the other nothing; a day to the quota's reset
    // would put the next one off by ten seconds.
    let (served, log) = survives_by(
        "hints",
        500,
        &[
            "poll-interval:value=0,page=1,every=2",
            "poll-interval:value=-1,page=1,after=2,every=2",
            "skewed-date:every=3",
        ],
        &["--poll-interval", "1", "--rate-limit", "10000"],
        &[],
    );
    let polls: Vec<_> = served.recent.iter().filter(|seen| !seen.path.contains("page=2")).collect();
    assert!(polls.len() > 3, "{served:?}");
    let apart_ms = polls.windows(2).map(|two| (two[1].at - two[0].at).num_milliseconds());
    assert!(
        apart_ms.clone().all(|apart| (900..5_000).contains(&apart)),
        "{:?}\n{log}",
        apart_ms.collect::<Vec<_>>()
    );
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
