//! Each route's answer, from a pipeline at work.

use serde_json::json;

use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::event_log;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::program::Program;
use crate::support::wait::eventually;

/// Events of one hour of 2015: two developers, two types.
fn bodies() -> Vec<Vec<u8>> {
    let push = |n: u32, login: &str| event(n).by(login).with("repo", r#"{"name":"octo/hello"}"#).bytes();
    vec![push(1, "ada"), push(2, "ada"), push(3, "bob"), event(4).kind("WatchEvent").by("bob").bytes()]
}

fn loaded(story: &str) -> (Corner, Program, Dashboard) {
    let corner = Corner::new(story);
    let dashboard = Dashboard::ready(&corner);
    let loader = corner.loader(&[]);
    corner.publish(&bodies());
    eventually("all is loaded", || corner.loaded() == 4);
    (corner, loader, dashboard)
}

#[test]
fn an_hours_developers_and_counts_are_shown_and_the_newest_hour_when_none_is_asked_for() {
    let (corner, _loader, dashboard) = loaded("dashboards");
    let board = dashboard.json("/api/leaderboard?hour=2015-01-01-12");
    assert_eq!(board["hour"], "2015-01-01-12");
    assert_eq!(board["developers"], json!([{"login": "ada", "score": 2}, {"login": "bob", "score": 1}]));
    assert_eq!(board["types"], json!({"PushEvent": 3, "WatchEvent": 1}));
    assert_eq!(board["total"], 4);
    assert_eq!(dashboard.json("/api/leaderboard?limit=1")["hour"], "2015-01-01-12");
    assert_eq!(dashboard.json("/api/leaderboard?limit=1")["developers"].as_array().unwrap().len(), 1);
    let empty = dashboard.json("/api/leaderboard?hour=2014-01-01-00");
    assert_eq!((&empty["developers"], &empty["total"]), (&json!([]), &json!(0)));
    eventually("the hour is listed", || dashboard.json("/api/overview")["hours"] == json!(["2015-01-01-12"]));
    drop(corner);
}

#[test]
fn an_event_is_looked_up_in_the_event_log() {
    for layout in event_log::LAYOUTS {
        let corner = Corner::new("dashlog");
        let dashboard = Dashboard::ready(&corner);
        corner.publish(&bodies());
        corner.loader(&["--drain", "--event-log", layout]).succeed();
        let time = "2015-01-01T12:00:01Z";
        let answer = |loaded| json!({ "id": "1", "created_at": time, "loaded": loaded, "event_log": layout });
        let asked = dashboard.json(&format!("/api/event-log?id=1&created_at={time}"));
        assert_eq!(asked, answer(true));
        // Another spelling of the same instant.
        assert_eq!(
            dashboard.json("/api/event-log?id=1&created_at=2015-01-01T13:00:01%2B01:00"),
            answer(true)
        );
        let other = dashboard.json("/api/event-log?id=1&created_at=2015-01-01T12:00:02Z");
        assert_eq!(other["loaded"], false);
        let without_time = dashboard.get("/api/event-log?id=1");
        if layout == "per-event" {
            assert_eq!(without_time.json(), answer(true));
        } else {
            assert_eq!(without_time.status, 400);
            assert!(without_time.body.contains("created_at: it is missing"), "{}", without_time.body);
        }
        for bad in ["", "?created_at=2015-01-01T12:00:01Z", "?id=1&created_at=yesterday", "?id=1&x=1"] {
            assert_eq!(dashboard.get(&format!("/api/event-log{bad}")).status, 400, "{bad}");
        }
    }
}

#[test]
fn events_are_shown_newest_first_whole_and_filtered() {
    let (_corner, _loader, dashboard) = loaded("dashevents");
    let ids = |path: &str| -> Vec<String> {
        let events = dashboard.json(path)["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["event"]["id"].as_str().unwrap().to_owned()).collect()
    };
    eventually("all are shown", || ids("/api/events").len() == 4);
    assert_eq!(ids("/api/events?limit=1").len(), 1);
    assert_eq!(ids("/api/events?type=WatchEvent"), ["4"]);
    assert_eq!(ids("/api/events?actor=BOB&repo=octo/hello"), ["3"]);
    assert!(ids("/api/events?repo=octo/hell").is_empty());
    let shown = &dashboard.json("/api/events?actor=ada&limit=1")["events"][0];
    let sent: Vec<serde_json::Value> =
        bodies().iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    assert!(sent.contains(&shown["event"]), "{shown}");
    assert!(shown["id"].as_str().unwrap().contains('-'));
}

#[test]
fn the_overview_and_the_workers_tell_what_loaders_tell() {
    let (corner, loader, dashboard) = loaded("dashview");
    eventually("the loader has told", || dashboard.json("/api/overview")["loaded"]["total"] == 4);
    let view = dashboard.json("/api/overview");
    assert_eq!(view["namespace"], corner.namespace.as_str());
    assert_eq!((&view["redis"]["state"], &view["rabbitmq"]["state"]), (&json!("up"), &json!("up")));
    assert!(view["redis"]["as_of"].is_string() && view["rabbitmq"]["as_of"].is_string());
    assert_eq!((&view["healthy"], &view["problems"]), (&json!(true), &json!([])));
    let pushes: u64 = view["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["types"]["PushEvent"].as_u64())
        .sum();
    assert_eq!(pushes, 3, "{view}");
    let workers = dashboard.json("/api/workers");
    let worker = &workers["workers"][0];
    assert_eq!((&worker["program"], &worker["pid"]), (&json!("loader"), &json!(loader.pid())));
    assert_eq!(
        (&worker["ready"], &worker["last_error"], &worker["fetcher"]),
        (&json!(true), &json!(null), &json!(null))
    );
    assert_eq!(worker["loader"]["types"], json!({"PushEvent": 3, "WatchEvent": 1}));
    eventually("a rate is told", || {
        dashboard.json("/api/workers")["workers"][0]["rates"]["loaded_per_second"].is_number()
    });
    loader.stop();
    eventually("its absence is told", || {
        dashboard.json("/api/overview")["problems"] == json!(["no loader is at work"])
    });
}

#[test]
fn a_fetcher_tells_its_polls_coverage_and_quota() {
    let (corner, github) =
        (Corner::new("dashfetch"), GitHub::generated(&["--rate", "0", "--rate-limit", "5000"]));
    let dashboard = Dashboard::ready(&corner);
    let _fetcher = corner.fetcher(&github.url, &[]);
    eventually("the fetcher has told", || dashboard.json("/api/overview")["quota"]["remaining"].is_u64());
    let view = dashboard.json("/api/overview");
    assert_eq!((&view["quota"]["limit"], &view["coverage"]), (&json!(5000), &json!(1.0)));
    let told = &dashboard.json("/api/workers")["workers"][0];
    assert!(
        told["fetcher"]["polls"].as_u64() > Some(0) && told["fetcher"]["last_poll_at"].is_string(),
        "{told}"
    );
    assert_eq!(told["loader"], json!(null));
}

#[test]
fn queues_dead_letters_and_gaps_are_shown_and_stay_where_they_are() {
    let corner = Corner::new("dashqueues");
    let dashboard = Dashboard::ready(&corner);
    let _loader = corner.loader(&[]);
    corner.publish(&[b"no event".to_vec(), b"nor this".to_vec(), b"{}".to_vec()]);
    corner.wait_until_ready("load.dead", 3);
    let gap = br#"{"source":"events","from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","seconds":91,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#;
    let properties = crate::support::corner::properties("gap");
    corner.amqp().publish("", &corner.queue("gaps"), &properties, &[gap.to_vec()]);
    corner.wait_until_ready("gaps", 1);
    let letters = || dashboard.json("/api/dead-letters");
    eventually("dead letters are seen", || letters()["total"] == 3);
    let seen = letters();
    assert_eq!(seen["looked_at"], 3);
    assert_eq!(seen["groups"][0]["count"], 2, "{seen}");
    assert!(seen["groups"][0]["reason"].as_str().unwrap().contains("not-json"), "{seen}");
    assert!(seen["groups"][0]["first_failed_at"].is_string() && seen["groups"][0]["ids"].is_array());
    eventually("the gap is seen", || dashboard.json("/api/gaps")["gaps"][0]["seconds"] == 91);
    let queues = dashboard.json("/api/queues");
    let queue = |name: &str| {
        let queues = queues["queues"].as_array().unwrap();
        queues.iter().find(|queue| queue["name"] == corner.queue(name).as_str()).unwrap().clone()
    };
    assert_eq!(queue("load")["consumers"], 1);
    assert_eq!((&queue("load")["kind"], &queue("load.retry.9s")["kind"]), (&json!("load"), &json!("retry")));
    eventually("depths are seen", || {
        let view = dashboard.json("/api/overview");
        view["dead_letters"] == 3 && view["gaps"] == json!({"count": 1, "seconds": 91})
    });
    corner.wait_until_ready("load.dead", 3);
    corner.wait_until_ready("gaps", 1);
}

#[test]
fn another_load_queue_is_shown_if_it_is_there_and_never_made() {
    let corner = Corner::with_queues("dasheu", &["load", "eu"]);
    corner.amqp().publish(
        "",
        &corner.queue("eu.dead"),
        &crate::support::corner::properties("x"),
        &[b"x".to_vec()],
    );
    let dashboard = Dashboard::start(&corner, &["--queue", "eu"]);
    eventually("it is shown", || {
        dashboard.json("/api/queues")["queues"][0]["name"] == corner.queue("eu").as_str()
            && dashboard.json("/api/dead-letters")["looked_at"] == 1
    });
    let lost = Dashboard::start(&corner, &["--queue", "typo"]);
    lost.get("/api/queues");
    let line = lost.program.wait_for("cannot look into");
    assert!(line.contains(&corner.queue("typo")), "{line}");
    let queues = lost.json("/api/queues")["queues"].clone();
    let shown: Vec<_> =
        queues.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    // It hides no other.
    assert_eq!(shown, ["typo", "gaps", "unrouted", "archive"].map(|name| corner.queue(name)));
    assert_eq!((&queues[0]["ready"], &queues[1]["ready"]), (&json!(null), &json!(0)));
    let problems = lost.json("/api/overview")["problems"].to_string();
    assert!(problems.contains(&format!("{}: it does not exist", corner.queue("typo"))), "{problems}");
    // Nobody has made it.
    assert!(lost.json("/api/queues")["queues"][0]["problem"].is_string());
}

#[test]
fn figures_count_the_loaders_of_the_dashboards_own_queue_only() {
    let corner = Corner::with_queues("dashown", &["load", "eu"]);
    let dashboard = Dashboard::start(&corner, &["--queue", "eu"]);
    let _loader = corner.loader(&[]);
    corner.publish(&bodies());
    eventually("the loader of the other queue is listed with its loads", || {
        dashboard.json("/api/workers")["workers"][0]["loader"]["loaded"] == 4
    });
    assert_eq!(dashboard.json("/api/workers")["workers"][0]["loader"]["queue"], "load");
    eventually("it is not taken for a loader of this queue", || {
        dashboard.json("/api/overview")["problems"] == json!(["no loader is at work"])
    });
    let view = dashboard.json("/api/overview");
    assert_eq!((&view["loaded"]["total"], &view["lag"]), (&json!(0), &json!({"p50": null, "p95": null})));
    assert!(view["history"].as_array().unwrap().iter().all(|step| step["loaded"] == 0), "{view}");
    let _own = corner.loader(&["--queue", "eu"]);
    // It shares Redis with the other loader, which has loaded the events already.
    eventually("the loader of this queue counts", || {
        let view = dashboard.json("/api/overview");
        view["problems"] == json!([]) && view["loaded"]["duplicates_total"] == 4
    });
    assert_eq!(dashboard.json("/api/overview")["loaded"]["total"], 0);
}

#[test]
fn a_queue_that_does_not_exist_hides_no_other_and_what_lies_unrouted_is_a_problem() {
    let corner = Corner::new("dashabsent");
    let dashboard = Dashboard::ready(&corner);
    for queue in ["archive", "gaps", "load.retry.3s"] {
        corner.amqp().delete(&corner.queue(queue));
    }
    let letter = crate::support::corner::properties("x");
    corner.publish_to("load.dead", &letter, &[b"x".to_vec()]);
    corner.publish_to("unrouted", &letter, &[b"y".to_vec(), b"z".to_vec()]);
    eventually("dead letters are seen", || dashboard.json("/api/dead-letters")["looked_at"] == 1);
    let queues = dashboard.json("/api/queues")["queues"].clone();
    let kinds: Vec<_> =
        queues.as_array().unwrap().iter().map(|queue| queue["kind"].as_str().unwrap()).collect();
    // One retry queue is deleted.
    let retries = vec!["retry"; corner.retries("load").len() - 1];
    assert_eq!(kinds, [&["load"], &retries[..], &["dead", "unrouted"]].concat());
    eventually("the problem is told", || {
        let problems = dashboard.json("/api/overview")["problems"].to_string();
        problems.contains(&format!("2 messages in {}", corner.queue("unrouted")))
            && problems.contains("replay dead --queue unrouted")
    });
    let metrics = dashboard.get("/metrics").body;
    let ready = |queue: &str| metrics.contains(&format!("ready{{queue=\"{}\"", corner.queue(queue)));
    assert!(ready("unrouted") && ready("load.dead"), "{metrics}");
    assert!(!metrics.contains("kind=\"archive\"} 1"), "{metrics}");
    assert_eq!(dashboard.json("/api/gaps")["total"], 0);
}

#[test]
fn bad_parameters_are_told_in_json_and_strange_paths_and_methods_too() {
    let dashboard = Dashboard::start(&Corner::new("dashbad"), &[]);
    for (path, word) in [
        ("/api/leaderboard?limit=0", "limit: '0' must be 1 to 100"),
        ("/api/leaderboard?limit=101", "limit"),
        ("/api/leaderboard?hour=yesterday", "hour: 'yesterday'"),
        ("/api/events?limit=501", "1 to 500"),
        ("/api/events?type=%3Cscript%3E", "type"),
        ("/api/events?repo=a%20b", "repo"),
        ("/api/events/stream?actor=%0A", "actor"),
        ("/api/sources?limit=1001", "limit: '1001' must be 1 to 1000"),
        ("/api/sources?offset=-1", "offset: '-1'"),
        ("/api/sources?sort=best", "sort: 'best' must be one of worst, source, "),
        ("/api/sources?order=up", "order: 'up' must be one of asc, desc"),
        ("/api/sources?state=polled,away", "state: 'away' must be one of polled, never-polled, "),
        ("/api/sources?page=1", "no such parameter"),
        ("/api/overview?x=1", "no such parameter"),
        ("/api/queues?limit=1", "no such parameter"),
    ] {
        let answer = dashboard.get(path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(answer.error().contains(word), "{path}: {}", answer.error());
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    for path in ["/api", "/api/nothing", "/assets/../Cargo.toml", "/assets/", "/assets/%2e%2e/x", "/x"] {
        let answer = dashboard.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.error().is_empty());
    }
    let deleted = dashboard.request("DELETE", "/api/overview", &[("Host", "localhost")], "");
    assert_eq!(deleted.status, 405);
    assert!(!deleted.error().is_empty());
    let resumed =
        dashboard.request("GET", "/api/events/stream", &[("Host", "localhost"), ("Last-Event-ID", "x")], "");
    assert_eq!(resumed.status, 400);
}

#[test]
fn the_page_and_its_files_health_and_metrics_are_served() {
    let (_corner, _loader, dashboard) = loaded("dashpage");
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = dashboard.get(path);
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, kind));
        assert!(!answer.body.is_empty());
    }
    assert_eq!(dashboard.get("/healthz").body, "alive\n");
    assert_eq!(dashboard.json("/readyz"), json!({"ready": true, "waiting_for": {}}));
    dashboard.json("/api/queues");
    let metrics = dashboard.get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("github_etl_queue_messages_ready{"), "{}", metrics.body);
}
