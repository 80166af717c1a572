//! Each source of a fetcher: its state, coverage and polls, as the dashboard and the metrics show it.

use std::time::Duration;

use github_event_etl::status::{SourceState, SourceStatus};
use serde_json::{Value, json};

use crate::end_to_end::recording;
use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::github::GitHub;
use crate::support::program::Program;
use crate::support::status::Status;
use crate::support::told::{source, tell, tell_bodies};
use crate::support::wait::{eventually, eventually_within};

/// 30 s without being repeated, and what it takes to notice.
const VANISH_MAX: Duration = Duration::from_secs(60);

/// The names of the sources in an answer, in its order.
fn names(dashboard: &Dashboard, query: &str) -> Vec<String> {
    let answer = dashboard.json(&format!("/api/sources{query}"));
    let sources = answer["sources"].as_array().unwrap();
    assert_eq!(answer["shown"], sources.len());
    sources.iter().map(|one| one["source"].as_str().unwrap().to_owned()).collect()
}

fn fetcher(corner: &Corner, github: &GitHub, sources: &[&str], metrics: &Status) -> Program {
    let sources = sources.iter().flat_map(|source| ["--source", source]);
    let flags: Vec<_> = sources.chain(["--metrics-listen", &metrics.address]).collect();
    corner.fetcher(&github.url, &flags)
}

#[test]
fn a_fetcher_tells_every_source_with_its_state_and_the_worst_come_first() {
    let corner = Corner::new("sources");
    let faults =
        ["--fault", "forbidden:path=/orgs/closed/events", "--fault", "502:path=/users/broken/events"];
    let github = GitHub::recorded(&recording(200), &[&["--per-poll", "50"][..], &faults].concat());
    let dashboard = Dashboard::ready(&corner);
    let repos: Vec<_> = (0..28).map(|n| format!("repos/quiet/r{n:02}")).collect();
    let sources: Vec<&str> = ["events", "orgs/closed", "users/broken"]
        .into_iter()
        .chain(repos.iter().map(String::as_str))
        .collect();
    let metrics = Status::new();
    let fetcher = fetcher(&corner, &github, &sources, &metrics);
    let answer = || dashboard.json("/api/sources");
    let states = || answer()["summary"]["states"].clone();
    let expected = json!({"polled": 29, "refused": 1, "failing": 1});
    eventually("all are told", || states() == expected);

    let told = answer();
    assert_eq!(
        (&told["total"], &told["told"], &told["matching"], &told["shown"]),
        (&json!(31), &json!(31), &json!(31), &json!(31))
    );
    assert_eq!((&told["summary"]["well"], &told["summary"]["blind"]), (&json!(29), &json!(0)));
    assert_eq!(told["summary"]["coverage"]["worst"], 1.0);
    assert!(told["as_of"].is_string());
    let [first, second] = [0, 1].map(|place| told["sources"][place].clone());
    assert_eq!((&first["source"], &first["state"]), (&json!("orgs/closed"), &json!("refused")));
    assert!(first["trouble"].as_str().unwrap().contains("(403)"), "{first}");
    // Nothing is known of it.
    assert!(first.get("coverage").is_none() && first.get("last_poll_at").is_none(), "{first}");
    assert!(first["next_poll_at"].as_str() > told["as_of"].as_str(), "asked again in a minute: {first}");
    assert_eq!((&second["source"], &second["state"]), (&json!("users/broken"), &json!("failing")));

    eventually("the public feed has told its events", || {
        let events = &dashboard.json("/api/sources?search=EVENTS")["sources"][0];
        events["events"].as_u64() == Some(200) && events["newest_event_at"].is_string()
    });
    assert_eq!(
        names(&dashboard, "?state=refused,failing&sort=source&order=desc"),
        ["users/broken", "orgs/closed"]
    );
    assert_eq!(names(&dashboard, "?sort=events&order=desc&limit=1"), ["events"]);
    assert_eq!(names(&dashboard, "?search=QUIET%2FR0&sort=source&limit=3&offset=5"), repos[5..8]);
    let page = dashboard.json("/api/sources?search=quiet&offset=27");
    assert_eq!((&page["matching"], &page["shown"], &page["offset"]), (&json!(28), &json!(1), &json!(27)));
    let overview = dashboard.json("/api/overview");
    assert_eq!(overview["sources"], json!({"total": 31, "well": 29, "blind": 0, "coverage": 1.0}));

    let metrics = metrics.get("/metrics").unwrap();
    for sample in [
        r#"fetcher_sources{state="polled"} 29"#,
        r#"fetcher_sources{state="refused"} 1"#,
        r#"fetcher_sources{state="stale"} 0"#,
        "fetcher_sources_blind 0",
        r#"fetcher_source_coverage_bucket{le="0.999"} 0"#,
        r#"fetcher_source_coverage_bucket{le="1"} 29"#,
        "fetcher_source_coverage_count 29",
    ] {
        assert!(metrics.contains(&format!("github_etl_{sample}\n")), "no {sample} in {metrics}");
    }
    assert!(!metrics.contains("quiet"), "no names of repositories in metrics");
    fetcher.stop();
    let left = answer();
    assert_eq!((left["total"].as_u64(), left["as_of"].is_string()), (Some(31), true), "the last known state");
}

#[test]
fn the_fetcher_on_duty_tells_its_sources_and_after_a_takeover_the_other_one() {
    let corner = Corner::new("sourcesduty");
    let github = GitHub::recorded(&recording(50), &["--per-poll", "50"]);
    let dashboard = Dashboard::ready(&corner);
    let [of_first, of_second] = [Status::new(), Status::new()];
    let first = fetcher(&corner, &github, &["repos/a/a", "repos/b/b"], &of_first);
    first.wait_for("repos/b/b: ");
    let second = fetcher(&corner, &github, &["repos/b/b", "repos/c/c"], &of_second);
    second.wait_for("another fetcher polls");
    eventually("the sources of the first are told", || {
        names(&dashboard, "?sort=source") == ["repos/a/a", "repos/b/b"]
    });
    eventually("the standby counts no source", || {
        of_second
            .get("/metrics")
            .is_ok_and(|told| told.contains("github_etl_fetcher_sources{state=\"polled\"} 0\n"))
    });
    let all = ["repos/a/a", "repos/b/b", "repos/c/c"];
    first.kill();
    second.wait_for("repos/c/c: ");
    eventually("the sources of the second are told", || names(&dashboard, "?sort=source") == all);
    eventually_within(VANISH_MAX, "the source that nobody polls vanishes", || {
        names(&dashboard, "?sort=source") == all[1..]
    });
    second.stop();
}

#[test]
fn five_thousand_sources_are_known_searched_and_paged() {
    let corner = Corner::new("sources5000");
    let dashboard = Dashboard::ready(&corner);
    let number = |n: u32| SourceStatus {
        coverage: Some(f64::from(n) / 5000.0),
        events_per_hour: Some(f64::from(n % 100)),
        ..source(&format!("repos/owner{}/name{n:04}", n % 7))
    };
    let all: Vec<_> = (0..5000).map(number).collect();
    tell(&corner, &all);
    eventually("all are known", || dashboard.json("/api/sources?limit=1")["total"] == 5000);
    assert_eq!(names(&dashboard, "?limit=2"), ["repos/owner0/name0000", "repos/owner1/name0001"]);
    assert_eq!(names(&dashboard, "?sort=coverage&order=desc&limit=1"), ["repos/owner1/name4999"]);
    let found = dashboard.json("/api/sources?search=owner3&limit=1000&sort=source");
    assert_eq!((&found["matching"], &found["shown"]), (&json!(714), &json!(714)));
    let mut seen = Vec::new();
    for offset in (0..5000).step_by(1000) {
        seen.extend(names(&dashboard, &format!("?limit=1000&offset={offset}&sort=source")));
    }
    let mut expected: Vec<_> = all.iter().map(|one| one.source.clone()).collect();
    expected.sort();
    assert!(seen == expected, "each source is on one page");
    let summary = &dashboard.json("/api/sources?limit=1")["summary"];
    assert_eq!((&summary["well"], &summary["events_per_hour"]), (&json!(5000), &json!(247_500.0)));
}

#[test]
fn hostile_and_broken_messages_do_no_harm() {
    let corner = Corner::new("sourcesjunk");
    let dashboard = Dashboard::ready(&corner);
    let hostile = "</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";
    let strange = SourceStatus {
        state: SourceState::Other(hostile.into()),
        trouble: Some(hostile.into()),
        moved_to: Some(hostile.into()),
        ..source(hostile)
    };
    let huge = format!(
        r#"{{"instance":"x","sent_at":"2026-01-01T00:00:00Z","total":1,"sources":[{{"source":"{}"}}]}}"#,
        "x".repeat(300_000)
    );
    tell_bodies(
        &corner,
        &[
            b"".to_vec(),
            b"[]".to_vec(),
            b"\xff\xfe".to_vec(),
            b"[".repeat(100_000),
            huge.into_bytes(),
            b"{\"total\":-1}".to_vec(),
        ],
    );
    tell(&corner, &[strange, source("repos/o/r")]);
    eventually("the good one is known", || dashboard.json("/api/sources?search=repos")["shown"] == 1);
    let answer = dashboard.json("/api/sources?state=other");
    let shown = &answer["sources"][0];
    assert_eq!(
        (&answer["total"], &shown["source"], &shown["trouble"]),
        (&json!(2), &json!(hostile), &json!(hostile))
    );
    assert_eq!(answer["summary"]["states"], json!({"polled": 1, "other": 1}));
    assert_eq!(dashboard.json("/api/workers")["workers"], Value::Array(Vec::new()), "a part is no program");
}
