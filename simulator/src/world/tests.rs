//! What clients get of a world, without a socket and with a clock of our own.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, Request};
use serde_json::Value;

use super::*;
use crate::answer::Answer;
use crate::asked::Asked;
use crate::{SimulateArgs, Simulator, WorldArgs};

/// A simulated GitHub with a world, asked at times of our own.
struct GitHub(Simulator);

fn args(repositories: u32, rate: f64) -> SimulateArgs {
    let default = SimulateArgs::default();
    let world = WorldArgs { repositories: Some(repositories), ..default.world };
    SimulateArgs { rate, rate_limit: Some(1_000_000), world, ..default }
}

fn github(args: SimulateArgs) -> GitHub {
    GitHub(Simulator::new(args).unwrap())
}

impl GitHub {
    fn get_at(&self, now: DateTime<Utc>, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path).header("host", "h").header("user-agent", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let asked = Asked::new(request.body(()).unwrap().into_parts().0);
        self.0.api.lock().answer(&asked, now)
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.get_at(Utc::now(), path, headers)
    }

    /// All events of a feed, newest first, read as GitHub's links lead.
    fn read_at(&self, now: DateTime<Utc>, path: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut next = Some(format!("{path}?per_page=100"));
        while let Some(page) = next {
            let answer = self.get_at(now, &page, &[]);
            assert_eq!(answer.status.as_u16(), 200, "{page}");
            events.extend(serde_json::from_slice::<Vec<Value>>(answer.whole().unwrap()).unwrap());
            let links = text(&answer.headers, "link").to_owned();
            let link = links.split(", ").find(|link| link.ends_with("rel=\"next\""));
            next = link.map(|link| link.split(['<', '>']).nth(1).unwrap().replace("http://h", ""));
        }
        events
    }

    fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(self.0.api.lock().world.as_mut().unwrap())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// Identity of an event: its id and when it was created.
fn identity(event: &Value) -> (String, String) {
    (event["id"].as_str().unwrap().to_owned(), event["created_at"].as_str().unwrap().to_owned())
}

fn entered(one: &Entered) -> (String, String) {
    (one.id.clone(), one.created_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[test]
fn a_feed_shows_what_entered_and_every_event_is_the_same_each_time() {
    let github = github(args(10, 5.0));
    let start = Utc::now();
    let mut fetched = BTreeMap::<_, Value>::new();
    for second in (0..=300).step_by(20) {
        let now = start + TimeDelta::seconds(second);
        for seen in github.0.sources().iter().filter(|seen| seen.source.starts_with("repos/")) {
            for event in github.read_at(now, &format!("/{}/events", seen.source)) {
                assert_eq!(event["repo"]["name"], seen.source["repos/".len()..], "{event}");
                let same = fetched.entry(identity(&event)).or_insert_with(|| event.clone());
                assert_eq!(*same, event);
            }
        }
    }
    let oracle = github.world(|world| world.entered());
    let all: BTreeSet<_> = oracle.iter().map(entered).collect();
    let fetched: BTreeSet<_> = fetched.into_keys().collect();
    // History may have left before the first answer.
    let since: BTreeSet<_> = oracle.iter().filter(|one| one.created_at > start).map(entered).collect();
    assert!(fetched.is_subset(&all) && since.is_subset(&fetched), "not the events of the oracle");
    let sums = github.0.served().world;
    let count = fetched.len() as u64;
    let tally = crate::Tally { entered: count, fetched: count, missed: 0 };
    assert_eq!((sums["served"].events, github.0.served().events), (tally, tally));
    let recent = oracle.iter().filter(|one| one.created_at >= start).count();
    assert!((1_000..2_000).contains(&recent), "about 5 a second for 300 s, not {recent}");
    assert_eq!((sums["served"].feeds, sums["served"].asked), (10, 10));
}

#[test]
fn feeds_of_organisations_and_of_all_overlap_those_of_their_repositories() {
    let github = github(args(60, 0.0));
    let now = Utc::now();
    // The newest 300 of the oracle that happened in some repositories.
    let newest = |is_in: &dyn Fn(usize) -> bool| -> Vec<(String, String)> {
        github.world(|world| {
            let indices: Vec<bool> =
                world.entered.iter().map(|event| is_in(event.repository as usize)).collect();
            let shown = world.entered().into_iter().zip(indices).filter(|(_, is_in)| *is_in);
            shown.rev().take(300).map(|(one, _)| entered(&one)).collect()
        })
    };
    let owners: Vec<_> = github.world(|world| (0..60).map(|at| world.scoped.organisation_of(at)).collect());
    let organisations: Vec<_> =
        github.0.sources().into_iter().filter(|seen| seen.source.starts_with("orgs/")).collect();
    assert_eq!(organisations.len(), 5);
    for (number, seen) in organisations.iter().enumerate() {
        let events = github.read_at(now, &format!("/{}/events", seen.source));
        assert!(events.iter().all(|event| event["org"]["login"] == seen.source["orgs/".len()..]));
        let shown: Vec<_> = events.iter().map(identity).collect();
        assert!(shown == newest(&|at| owners[at] == Some(number)), "{}", seen.source);
    }
    let all: Vec<_> = github.read_at(now, "/events").iter().map(identity).collect();
    assert!(all == newest(&|_| true), "the feed of all");
}

#[test]
fn an_id_alone_can_name_two_events_but_not_with_its_time() {
    let github = github(args(2_000, 20.0));
    github.world(|world| world.tick(Utc::now() + TimeDelta::minutes(10)));
    let entered_all = github.0.entered();
    let ids: BTreeSet<_> = entered_all.iter().map(|one| &one.id).collect();
    let identities: BTreeSet<_> = entered_all.iter().map(entered).collect();
    assert_eq!(identities.len(), entered_all.len());
    assert!(entered_all.len() - ids.len() > 10_000, "{} of {} ids", ids.len(), entered_all.len());
}

#[test]
fn the_same_seed_is_the_same_world_and_quiet_repositories_show_events_of_months() {
    let now = Utc::now();
    let world = |seed| {
        let args = args(500, 5.0);
        World::new(&args.world, seed, args.rate, 300, now)
    };
    let (mut one, mut two, other) = (world(1), world(1), world(2));
    for world in [&mut one, &mut two] {
        world.tick(now + TimeDelta::hours(2));
    }
    assert!(one.entered() == two.entered() && one.entered() != other.entered());
    let ages: Vec<_> = (0..500)
        .filter_map(|at| one.feeds[at].page(0, 1).next())
        .map(|event| (now.timestamp_millis() - event.at_ms) / 86_400_000)
        .collect();
    let (old, oldest) = (ages.iter().filter(|&&days| days >= 5).count(), ages.iter().max());
    assert!(old >= 10 && oldest.is_some_and(|&days| days <= 90), "{old} of {}, {oldest:?}", ages.len());
}

#[test]
fn a_304_makes_no_page_and_an_etag_belongs_to_its_token() {
    let github = github(args(20, 0.0));
    let path = format!("/{}/events?per_page=100", github.0.sources()[0].source);
    let made = || github.world(|world| world.bodies.made());
    let token = |name| ("authorization", name);
    let etag = text(&github.get(&path, &[token("Bearer a")]).headers, "etag").to_owned();
    let before = made();
    assert!(before > 0);
    github.world(|world| world.bodies.clear());
    for (headers, status) in [
        ([token("Bearer a"), ("if-none-match", etag.as_str())], 304),
        ([token("Bearer b"), ("if-none-match", etag.as_str())], 200),
    ] {
        let answer = github.get(&path, &headers);
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!((text(&answer.headers, "x-poll-interval"), made() > 0), ("60", status == 200));
        assert_eq!(
            text(&answer.headers, "x-ratelimit-used"),
            "1",
            "a 304 is free, and each token has its quota"
        );
    }
    let tokens: Vec<_> = github.0.served().recent.iter().map(|seen| seen.token).collect();
    assert_eq!(tokens, [Some(1), Some(1), Some(2)]);
}

#[test]
fn some_repositories_are_renamed_gone_blocked_or_refused() {
    let mut args = args(100, 1.0);
    (args.world.renamed, args.world.gone, args.world.blocked, args.world.refused) = (0.1, 0.05, 0.03, 0.02);
    let github = github(args);
    let total: f64 = github.world(|world| {
        world.repositories.iter().filter(|one| !one.state.is_silent()).map(|one| one.per_second).sum()
    });
    assert!((total - 1.0).abs() < 1e-6, "{total} a second in sum");
    let (mut counts, mut without_query) = (BTreeMap::<_, usize>::new(), 0);
    for seen in github.0.sources().iter().filter(|seen| seen.source.starts_with("repos/")) {
        let answer = github.get(&format!("/{}/events?per_page=7", seen.source), &[]);
        let status = answer.status.as_u16();
        *counts.entry((seen.state.name(), status)).or_default() += 1;
        assert_eq!(text(&answer.headers, "retry-after"), "");
        if status != 301 {
            continue;
        }
        let location = text(&answer.headers, "location");
        let path = location.strip_prefix("http://h").unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        assert!(path.starts_with("/repositories/") && path.ends_with("/events"), "{location}");
        assert!(["", "per_page=7"].contains(&query), "{location}");
        without_query += usize::from(query.is_empty());
        let events = github.read_at(Utc::now(), path);
        let name = events[0]["repo"]["name"].as_str().unwrap();
        assert_ne!(format!("repos/{name}"), seen.source);
        assert_eq!(github.get(&format!("/repos/{name}/events"), &[]).status.as_u16(), 200);
    }
    assert!((1..10).contains(&without_query), "{without_query} of 10");
    let counts: Vec<_> = counts.into_iter().collect();
    assert_eq!(
        counts,
        [
            (("blocked", 451), 3),
            (("gone", 404), 5),
            (("refused", 403), 2),
            (("renamed", 301), 10),
            (("served", 200), 80)
        ]
    );
    assert_eq!(github.0.served().world["gone"].feeds, 5);
}

#[test]
fn a_repository_may_change_while_it_runs() {
    let github = github(args(12, 10.0));
    let source = github.0.sources()[1].source.clone();
    let (name, path) = (source.strip_prefix("repos/").unwrap(), format!("/{source}/events"));
    for (state, status) in
        [(State::Refused, 403), (State::Served, 200), (State::Renamed, 301), (State::Gone, 404)]
    {
        assert!(github.0.set_state(name, state));
        assert_eq!(github.get(&path, &[]).status.as_u16(), status, "{state:?}");
    }
    let before = github.world(|world| world.feeds[1].tally.entered);
    github.world(|world| world.tick(Utc::now() + TimeDelta::hours(1)));
    assert_eq!(
        github.world(|world| world.feeds[1].tally.entered),
        before,
        "nothing happens where nothing is"
    );
    assert!(!github.0.set_state("no/body", State::Gone));
}

#[test]
fn what_is_not_of_the_world_is_missing_and_its_sources_are_listed() {
    let github = github(args(24, 0.0));
    for path in ["/repos/a/b/events", "/orgs/a/events", "/users/a/events", "/repositories/1/events"] {
        assert_eq!(github.get(path, &[]).status.as_u16(), 404, "{path}");
    }
    let list = |path: &str| String::from_utf8(github.get(path, &[]).whole().unwrap().to_vec()).unwrap();
    let repositories = list("/simulator/sources");
    assert_eq!(repositories.lines().count(), 24);
    assert!(repositories.lines().all(|line| line.starts_with("repos/") && line.split('/').count() == 3));
    assert!(list("/simulator/sources?kind=orgs").lines().all(|line| line.starts_with("orgs/")));
    let stats: Value = serde_json::from_str(&list("/simulator/stats")).unwrap();
    assert_eq!(stats["world"]["served"]["feeds"], 24);
}

#[test]
fn late_events_enter_below_the_newest_page() {
    let mut args = args(10, 0.0);
    args.faults = vec!["late:events=3,first=1".parse().unwrap()];
    let github = github(args);
    let full = github.0.sources().into_iter().find(|seen| seen.events.entered == 300).unwrap().source;
    let path = format!("/{full}/events");
    let first = github.read_at(Utc::now(), &path);
    assert_eq!(first.len(), 300);
    let late: BTreeSet<_> = github.0.entered().iter().rev().take(3).map(entered).collect();
    assert_eq!(first[100..103].iter().map(identity).collect::<BTreeSet<_>>(), late);
}

#[test]
fn two_thousand_repositories_take_less_than_forty_megabytes() {
    let started = std::time::Instant::now();
    let github = github(args(2_000, 100.0));
    let shown: usize = github.world(|world| world.feeds.iter().map(Window::len).sum());
    let bytes =
        shown * size_of::<(Event, bool)>() + github.world(|world| world.entered.len()) * size_of::<Event>();
    assert!(shown > 400_000 && bytes < 40_000_000, "{shown} events, {bytes} bytes");
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
