//! What the fetcher asks, and what it publishes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PAGES, recording};
use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::program::Program;

#[test]
fn a_message_is_the_events_own_bytes_under_its_own_name() {
    let corner = Corner::new("message");
    let odd =
        event(42).kind("WatchEvent").with("x", r#"{ "a" : [ 1e2,12345678901234567890 , "\ud83d\ude00😀"] }"#);
    let strange_type = event(43).kind("no plain routing key.*");
    let recording = vec![odd.bytes(), strange_type.bytes()];
    let github = GitHub::recorded(&recording, &["--per-poll", "100"]);
    corner.fetcher(&github.url, &["--once"]).succeed();
    let messages = corner.take_all("load");
    let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
    assert_eq!(bodies, recording, "oldest first, byte for byte");
    let keys: Vec<_> = messages.iter().map(|message| message.routing_key.as_str()).collect();
    assert_eq!(keys, ["WatchEvent", "other"]);
    let properties = &messages[0].properties;
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "42");
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "WatchEvent");
    assert_eq!(properties.app_id().as_ref().unwrap().as_str(), "fetcher");
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!((*properties.delivery_mode(), *properties.timestamp()), (Some(2), Some(1_420_113_601)));
}

#[test]
fn a_feed_without_news_is_asked_by_its_etag_and_costs_nothing() {
    let (corner, recording) = (Corner::new("etag"), recording(200));
    let github = GitHub::recorded(&recording, &PAGES);
    let fetcher = corner.fetcher(&github.url, &[]);
    let served = github.until_all_fetched(recording.len());
    fetcher.wait_for("not modified");
    let last = served.recent.back().unwrap();
    let etag = &last.headers["if-none-match"];
    assert!(etag.ends_with('"') && etag.contains('"'), "{etag} is not a quoted ETag");
    assert_eq!((last.status, last.path.contains("per_page=100")), (304, true), "{}", last.path);
    assert!(last.headers["user-agent"].contains("github-event-etl"), "{:?}", last.headers);
    assert_eq!(last.headers["accept"], "application/vnd.github+json");
    assert!(last.headers.contains_key("x-github-api-version"));
    assert!(!served.recent[0].headers.contains_key("if-none-match"), "there is none to send at first");
    fetcher.stop();
    assert_eq!(corner.ready("load") as usize, recording.len());
}

#[test]
fn what_polling_missed_is_recorded_as_a_gap() {
    let corner = Corner::new("gap");
    // Each poll finds a window full of events, of which none was there before.
    let recording: Vec<_> = (0..900)
        .map(|n| event(n).at(&format!("2015-01-01T12:{:02}:{:02}Z", n / 60, n % 60)).bytes())
        .collect();
    let github = GitHub::recorded(&recording, &["--per-poll", "300"]);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until_all_fetched(recording.len());
    fetcher.wait_for("a gap of");
    fetcher.stop();
    let gaps: Vec<BTreeMap<String, Value>> = corner
        .take_all("gaps")
        .iter()
        .map(|message| serde_json::from_slice(&message.body).unwrap())
        .collect();
    let stretches: Vec<_> =
        gaps.iter().map(|gap| [&gap["from"], &gap["to"]].map(|time| time.as_str().unwrap())).collect();
    assert_eq!(
        stretches,
        [["2015-01-01T12:04:59Z", "2015-01-01T12:05:00Z"], ["2015-01-01T12:09:59Z", "2015-01-01T12:10:00Z"]]
    );
    assert!(gaps.iter().all(|gap| gap["source"] == "events" && gap["seconds"] == 1), "{gaps:?}");
    assert_eq!(corner.ready("load") as usize, recording.len(), "what was seen is published");
}

#[test]
fn events_that_github_shows_late_below_a_page_that_overlaps_are_found_by_a_sweep() {
    const LATE: std::ops::Range<u32> = 150..153;
    let corner = Corner::new("late");
    let time = |second: u32| format!("2015-01-01T12:{:02}:{:02}Z", second / 60, second % 60);
    let recording: Vec<_> =
        (0..400).map(|n| event(n).at(&time(if LATE.contains(&n) { 20 } else { n })).bytes()).collect();
    // Ten more with each poll; with the fifteenth poll those that come late, below the newest hundred.
    let fault = ["--fault", "late:events=3,page=1,after=14,first=1"];
    let github = GitHub::recorded(&recording, &[&["--per-poll", "10"][..], &fault].concat());
    let fetcher = corner.fetcher(&github.url, &["--sweep-every", "1s"]);
    github.until_all_fetched(recording.len());
    fetcher.stop();
    let mut published: Vec<_> = corner.take_all("load").into_iter().map(|message| message.body).collect();
    let mut expected = recording;
    published.sort();
    expected.sort();
    assert_eq!(published.len(), 400);
    assert!(published == expected, "each event is published once, byte for byte");
    assert_eq!(corner.ready("gaps"), 0, "a sweep finds no gap where there is none");
}

#[test]
fn several_sources_are_polled_by_one_fetcher_and_once_tells_which_of_them_failed() {
    let corner = Corner::new("sources");
    // The first request is for the events, the next for the organisation, and fails.
    let github = GitHub::recorded(&recording(50), &["--per-poll", "100", "--fault", "500:after=1,first=1"]);
    let flags = ["--once", "--source", "events", "--source", "orgs/o", "--source", "repos/o/r"];
    let ended = corner.fetcher(&github.url, &flags).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let error = ended.stderr.lines().last().unwrap();
    assert!(error.contains("orgs/o") && error.contains("500") && !error.contains("repos/o/r"), "{error}");
    let served = github.served();
    let paths: Vec<_> = served.recent.iter().map(|seen| seen.path.split('?').next().unwrap()).collect();
    assert_eq!(paths, ["/events", "/orgs/o/events", "/repos/o/r/events"], "one after the other");
    assert_eq!(corner.ready("load"), 50, "what could be had is published");
}

#[test]
fn a_token_is_sent_to_github_and_never_shown() {
    let corner = Corner::new("token");
    let github =
        GitHub::recorded(&recording(50), &["--per-poll", "100", "--fault", "redirect-other:first=1"]);
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("ETL_NAMESPACE", &corner.namespace),
        ("GITHUB_API_URL", &github.url),
        ("GITHUB_TOKEN", "ghp_hunter2"),
        ("RUST_LOG", "debug"),
    ];
    let fetcher = Program::start("fetcher", &variables, &["--poll-interval", "100ms"]);
    github.until("all are fetched", |served| served.events.fetched == 50);
    let ended = fetcher.stop();
    assert!(!ended.stderr.contains("hunter2"), "the token is in the log");
    let own = github.url.trim_start_matches("http://");
    for seen in github.served().recent {
        assert_eq!(seen.authorised, seen.host == own, "a token for {}, asked by {}", own, seen.host);
    }
}
