//! GitHub refuses one source: the others keep their pace, and the log says what to check.

use github_event_etl_simulator::Served;

use super::{PAGES, recording};
use crate::support::corner::Corner;
use crate::support::github::GitHub;

/// 403 with quota left and no `Retry-After`, for the organisation only.
const REFUSES_ORG: [&str; 2] = ["--fault", "forbidden:path=/orgs/o/events"];

/// How often a feed was asked for its newest page.
fn polls(served: &Served, path: &str) -> usize {
    let first_page = format!("{path}?per_page=100");
    served.recent.iter().filter(|seen| seen.path == first_page).count()
}

#[test]
fn a_source_that_is_always_refused_holds_up_no_other() {
    let (corner, recording) = (Corner::new("refused"), recording(900));
    let github = GitHub::recorded(&recording, &[&PAGES[..], &REFUSES_ORG].concat());
    let fetcher = corner.fetcher(&github.url, &["--source", "events", "--source", "orgs/o"]);
    github.until_all_fetched(recording.len());
    let served = github.until("the good source goes on", |served| polls(served, "/events") >= 30);
    assert_eq!(polls(&served, "/orgs/o/events"), 1, "it waits for a minute at first");
    let log = fetcher.stop().stderr;
    let told: Vec<_> = log.lines().filter(|line| line.contains("(403)")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for word in ["orgs/o", "SAML", "blocked", "GITHUB_TOKEN", "asked again in 1 min"] {
        assert!(told[0].contains(word), "no {word} in {}", told[0]);
    }
    assert_eq!(corner.ready("load") as usize, recording.len());
}

#[test]
fn once_tells_which_source_was_refused_and_asks_the_others() {
    let (corner, recording) = (Corner::new("refused-once"), recording(50));
    let github = GitHub::recorded(&recording, &[&["--per-poll", "100"][..], &REFUSES_ORG].concat());
    let ended = corner.fetcher(&github.url, &["--once", "--source", "orgs/o", "--source", "events"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let error = ended.stderr.lines().last().unwrap();
    assert!(error.contains("orgs/o: ") && error.contains("403") && !error.contains("not asked"), "{error}");
    assert_eq!(corner.ready("load"), 50, "what could be had is published");
}

#[test]
fn three_sources_that_answered_and_are_refused_in_a_row_are_taken_for_a_limit_of_all() {
    let corner = Corner::new("refused-all");
    let github = GitHub::recorded(&recording(50), &["--per-poll", "100", "--fault", "forbidden:after=4"]);
    let sources = ["--source", "orgs/a", "--source", "orgs/b", "--source", "orgs/c", "--source", "events"];
    let fetcher = corner.fetcher(&github.url, &sources);
    fetcher.wait_for("no source is polled for 1 min");
    assert_eq!(github.served().requests, 7, "the fourth source is not asked again");
    fetcher.stop();
}

#[test]
fn nine_sources_that_are_always_refused_do_not_keep_the_tenth_waiting() {
    let corner = Corner::new("refused-many");
    let recording = recording(300);
    let bad: Vec<_> = (0..9).map(|n| format!("orgs/bad{n}")).collect();
    let faults = bad.iter().flat_map(|source| ["--fault".into(), format!("forbidden:path=/{source}/events")]);
    let flags: Vec<String> = PAGES.iter().map(|flag| (*flag).to_owned()).chain(faults).collect();
    let github = GitHub::recorded(&recording, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    let sources: Vec<_> = bad.iter().map(String::as_str).chain(["events"]).collect();
    let sources: Vec<_> = sources.into_iter().flat_map(|source| ["--source", source]).collect();
    let fetcher = corner.fetcher(&github.url, &sources);
    github.until_all_fetched(recording.len());
    fetcher.stop();
}
