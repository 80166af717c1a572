use std::sync::LazyLock;

use chrono::TimeDelta;

use super::view::{Choice, SortBy, Summary};
use super::*;

fn moment(second: u64) -> Moment {
    static START: LazyLock<Moment> = LazyLock::new(Moment::now);
    START.plus(second, 0)
}

fn status(source: &str) -> SourceStatus {
    SourceStatus { source: source.into(), state: SourceState::Polled, ..SourceStatus::default() }
}

fn part(statuses: &[SourceStatus]) -> Vec<u8> {
    let part = SourcesPart {
        instance: "i".into(),
        sent_at: moment(0).at,
        total: statuses.len() as u64,
        budget_covers_all: Some(true),
        sources: statuses.to_vec(),
    };
    serde_json::to_vec(&part).unwrap()
}

fn hear(sources: &mut Sources, names: &[&str], second: u64) {
    sources.hear(&part(&names.iter().map(|name| status(name)).collect::<Vec<_>>()), moment(second));
    sources.tick(moment(second));
}

fn names(sources: &Sources, choice: &Choice) -> Vec<String> {
    sources.choose(choice).1.into_iter().map(|status| status.source.clone()).collect()
}

fn all() -> Choice {
    Choice { limit: 100, ..Choice::default() }
}

#[test]
fn a_source_that_is_not_repeated_vanishes_while_others_are() {
    let mut sources = Sources::default();
    sources.begin_to_listen(moment(0));
    hear(&mut sources, &["a", "b"], 1);
    for second in (10..=31).chain([32]) {
        hear(&mut sources, &["a"], second);
        let expected: &[&str] = if second <= 31 { &["a", "b"] } else { &["a"] };
        assert_eq!(names(&sources, &all()), expected, "{second}");
    }
}

#[test]
fn what_a_silent_fetcher_told_stays_for_two_minutes_with_its_time() {
    let mut sources = Sources::default();
    sources.begin_to_listen(moment(0));
    hear(&mut sources, &["a"], 5);
    sources.tick(moment(125));
    assert_eq!((sources.known.len(), sources.heard_at(), sources.told), (1, Some(moment(5).at), Some(1)));
    sources.tick(moment(126));
    assert_eq!((sources.known.len(), sources.bytes), (0, 0));
    assert_eq!((sources.heard_at(), sources.told), (Some(moment(5).at), None));
}

#[test]
fn time_without_rabbitmq_and_silence_after_it_make_no_source_vanish() {
    let mut sources = Sources::default();
    sources.begin_to_listen(moment(0));
    hear(&mut sources, &["a", "b"], 1);
    // Programs wait for up to 45 s until they publish again.
    sources.begin_to_listen(moment(1000));
    sources.tick(moment(1044));
    hear(&mut sources, &["a"], 1045);
    assert_eq!(names(&sources, &all()), ["a", "b"]);
    hear(&mut sources, &["a"], 1075);
    assert_eq!(names(&sources, &all()), ["a", "b"]);
    hear(&mut sources, &["a"], 1076);
    assert_eq!(names(&sources, &all()), ["a"]);
}

#[test]
fn junk_is_bounded_and_harmless() {
    let mut sources = Sources::default();
    for body in ["", "null", "[]", "{}", r#"{"instance":"i","sent_at":"x","total":1,"sources":[]}"#] {
        sources.hear(body.as_bytes(), moment(1));
    }
    assert!(sources.heard_at().is_none());
    let wild = r#"{"instance":"i","sent_at":"2026-01-01T00:00:00Z","total":18446744073709551615,"sources":[
        {"source":""},{"state":"polled"},{"source":"\u0000\u202e<script>","state":"\u001b[2J","coverage":-1,"weight":-5,
         "events_per_hour":1e300,"gaps":18446744073709551615,"last_poll_at":"9999-12-31T23:59:59Z"}]}"#;
    sources.hear(wild.as_bytes(), moment(1));
    let (matching, chosen) = sources.choose(&all());
    assert_eq!((matching, chosen[0].coverage, chosen[0].weight), (1, Some(0.0), 0.0));
    assert_eq!((chosen[0].events_per_hour, chosen[0].state.label()), (Some(1e9), "other"));
    let long = |n: usize| SourceStatus {
        state: SourceState::Other("s".repeat(500)),
        trouble: Some("é".repeat(400)),
        moved_to: Some("m".repeat(400)),
        ..status(&format!("{n:0300}"))
    };
    for first in (0..12_000).step_by(10) {
        sources.hear(&part(&(first..first + 10).map(long).collect::<Vec<_>>()), moment(2));
    }
    assert!(sources.bytes <= BYTES_MAX && sources.known.len() < SOURCES_MAX, "{}", sources.known.len());
    assert!(sources.known.values().all(|known| known.status.trouble.as_ref().is_none_or(|t| t.len() <= 600)));
    assert!(checked(status(&"x".repeat(301))).is_none());
    hear(&mut sources, &["a"], 20);
    hear(&mut sources, &["a"], 33);
    // The long ones were not repeated, and short ones fill all places.
    sources.hear(&part(&(0..30_000).map(|n| status(&n.to_string())).collect::<Vec<_>>()), moment(34));
    assert_eq!(sources.known.len(), SOURCES_MAX);
}

#[test]
fn the_worst_come_first_and_unknown_values_last() {
    let covered = |name: &str, coverage| SourceStatus { coverage, ..status(name) };
    let of_state = |name: &str, state| SourceStatus { state, ..covered(name, Some(0.9)) };
    let mut sources = Sources::default();
    let blind = SourceStatus { blind: true, ..covered("blind", Some(0.8)) };
    sources.hear(
        &part(&[
            covered("full", Some(1.0)),
            covered("half", Some(0.5)),
            covered("unknown", None),
            of_state("missing", SourceState::Missing),
            of_state("later", SourceState::Other("asleep".into())),
            of_state("new", SourceState::NeverPolled),
            of_state("moved", SourceState::Moved),
            blind,
        ]),
        moment(1),
    );
    let worst = ["blind", "later", "missing", "moved", "new", "half", "full", "unknown"];
    assert_eq!(names(&sources, &all()), worst);
    let by = |sort, descending| names(&sources, &Choice { sort, descending, ..all() });
    assert_eq!(by(SortBy::Coverage, false)[0], "half");
    assert_eq!(by(SortBy::Coverage, true)[0], "full");
    assert_eq!(
        [by(SortBy::Coverage, false)[7].clone(), by(SortBy::Coverage, true)[7].clone()],
        ["unknown"; 2]
    );
    assert_eq!(by(SortBy::Source, true)[0], "unknown");
    let page = Choice { offset: 2, limit: 2, ..all() };
    assert_eq!(
        (names(&sources, &page), sources.choose(&page).0),
        (worst[2..4].iter().map(|n| (*n).to_owned()).collect(), 8)
    );
    let other = Choice { states: vec!["other", "missing"], ..all() };
    assert_eq!(names(&sources, &other), ["later", "missing"]);
    let found = Choice { search: Some("un".into()), ..all() };
    assert_eq!(names(&sources, &found), ["unknown"]);
    assert!(names(&sources, &Choice { offset: 99, ..all() }).is_empty());
}

#[test]
fn every_order_sorts_by_its_own_value() {
    let time = |second| Some(moment(0).at + TimeDelta::seconds(second));
    let low = SourceStatus { state: SourceState::Failing, token: Some(1), ..status("a") };
    let low = SourceStatus { weight: 0.5, events_per_hour: Some(1.0), coverage: Some(0.1), ..low };
    let low = SourceStatus { last_poll_at: time(1), next_poll_at: time(1), newest_event_at: time(1), ..low };
    let high = SourceStatus { token: Some(2), weight: 2.0, events_per_hour: Some(2.0), ..status("b") };
    let high =
        SourceStatus { last_poll_at: time(2), next_poll_at: time(2), newest_event_at: time(2), ..high };
    let high = SourceStatus { coverage: Some(0.9), gaps: 1, gap_seconds: 1, events: 1, ..high };
    let mut sources = Sources::default();
    sources.hear(&part(&[high, low]), moment(1));
    for (name, sort) in SortBy::ALL {
        let by = |descending| names(&sources, &Choice { sort, descending, ..all() });
        assert_eq!(
            (by(false), by(true)),
            (vec!["a".into(), "b".into()], vec!["b".into(), "a".into()]),
            "{name}"
        );
    }
}

#[test]
fn figures_over_all_count_sources_and_events() {
    let mut sources = Sources::default();
    assert_eq!(sources.summary(), Summary::default());
    let rated =
        |name: &str, coverage, events_per_hour| SourceStatus { coverage, events_per_hour, ..status(name) };
    let failing = SourceStatus { state: SourceState::Failing, blind: true, ..rated("c", None, None) };
    sources.hear(
        &part(&[rated("a", Some(1.0), Some(10.0)), rated("b", Some(0.5), Some(90.0)), failing]),
        moment(1),
    );
    let summary = serde_json::to_value(sources.summary()).unwrap();
    let expected = serde_json::json!({
        "total": 3, "well": 2, "blind": 1, "states": {"polled": 2, "failing": 1},
        "coverage": {"mean": 0.75, "by_events": 0.55, "worst": 0.5}, "events_per_hour": 100.0, "budget_covers_all": true,
    });
    assert_eq!(summary, expected);
    assert_eq!(sources.summary().coverage.overall(), Some(0.55));
    sources.hear(&part(&[rated("a", None, Some(0.1)), rated("b", None, Some(0.2))]), moment(2));
    assert_eq!(
        serde_json::to_value(sources.summary()).unwrap()["events_per_hour"],
        0.3,
        "no digits of a sum of floats"
    );
}
