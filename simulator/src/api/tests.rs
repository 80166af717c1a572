//! What clients get, without a socket: requests are built, answers looked at.

use axum::http::Request;
use chrono::TimeDelta;
use serde_json::Value;

use super::super::Simulator;
use super::super::answer::Content;
use super::*;
use crate::SimulateArgs;

/// A simulated GitHub with events of its own, at rest.
struct GitHub(Simulator);

fn github(args: SimulateArgs) -> GitHub {
    GitHub(Simulator::new(SimulateArgs { rate: 0.0, ..args }).unwrap())
}

fn with_faults(faults: &[&str]) -> GitHub {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    github(SimulateArgs { faults, ..SimulateArgs::default() })
}

impl GitHub {
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path).header("host", "127.0.0.1:8008").header("user-agent", "test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0.answer(request.body(()).unwrap().into_parts().0)
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn events(answer: &Answer) -> Vec<Value> {
    serde_json::from_slice(answer.whole().unwrap()).unwrap()
}

#[test]
fn a_page_has_the_headers_that_github_sends() {
    let answer = github(SimulateArgs::default()).get("/events", &[]);
    assert_eq!((answer.status.as_u16(), events(&answer).len()), (200, 30));
    assert_eq!(header(&answer, "content-type"), "application/json; charset=utf-8");
    assert_eq!(
        header(&answer, "link"),
        r#"<http://127.0.0.1:8008/events?page=2>; rel="next", <http://127.0.0.1:8008/events?page=10>; rel="last""#
    );
    assert!(header(&answer, "etag").starts_with("W/\"") && header(&answer, "etag").ends_with('"'));
    assert!(header(&answer, "date").ends_with(" GMT"));
    for (name, value) in [
        ("x-poll-interval", "60"),
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "59"),
        ("x-ratelimit-used", "1"),
        ("x-ratelimit-resource", "core"),
    ] {
        assert_eq!(header(&answer, name), value, "{name}");
    }
    let reset: i64 = header(&answer, "x-ratelimit-reset").parse().unwrap();
    assert!((3_590..=3_600).contains(&(reset - Utc::now().timestamp())));
}

#[test]
fn pages_hold_300_events_in_all_and_deeper_ones_are_refused() {
    let github = github(SimulateArgs::default());
    let mut ids = std::collections::HashSet::new();
    for page in 1..=3 {
        let answer = github.get(&format!("/events?per_page=100&page={page}"), &[]);
        ids.extend(events(&answer).iter().map(|event| event["id"].to_string()));
    }
    assert_eq!(ids.len(), 300);
    let answer = github.get("/events?per_page=100&page=4", &[]);
    assert_eq!(answer.status.as_u16(), 422);
    let message: Value = serde_json::from_slice(answer.whole().unwrap()).unwrap();
    assert!(message["message"].as_str().unwrap().contains("pagination is limited"));
}

#[test]
fn a_known_etag_gets_304_which_is_free_with_a_token_only() {
    let github = github(SimulateArgs::default());
    for (headers, used_after_304) in [(&[][..], "2"), (&[("authorization", "Bearer x")][..], "1")] {
        let first = github.get("/events", headers);
        let etag = header(&first, "etag").to_owned();
        let again = github.get("/events", &[headers, &[("if-none-match", etag.as_str())]].concat());
        assert_eq!((again.status.as_u16(), again.whole().unwrap().len()), (304, 0));
        for name in ["etag", "link", "x-poll-interval"] {
            assert_eq!(header(&again, name), header(&first, name), "{name}");
        }
        assert_eq!(header(&again, "x-ratelimit-used"), used_after_304);
    }
    github.0.publish(r#"{"id":"new"}"#);
    let etag = header(&github.get("/events", &[("if-none-match", "W/\"old\"")]), "etag").to_owned();
    github.0.publish(r#"{"id":"newer"}"#);
    assert_eq!(github.get("/events", &[("if-none-match", &etag)]).status.as_u16(), 200);
}

#[test]
fn a_used_up_quota_gets_403_until_it_is_reset() {
    let github =
        github(SimulateArgs { rate_limit: Some(2), rate_limit_window: 60, ..SimulateArgs::default() });
    let statuses: Vec<_> = (0..3).map(|_| github.get("/events", &[]).status.as_u16()).collect();
    assert_eq!(statuses, [200, 200, 403]);
    let answer = github.get("/events", &[]);
    assert_eq!(header(&answer, "x-ratelimit-remaining"), "0");
    assert!(String::from_utf8_lossy(answer.whole().unwrap()).contains("API rate limit exceeded"));
    assert_eq!(github.get("/rate_limit", &[]).status.as_u16(), 200, "asking costs nothing");
    assert_eq!(github.get("/events", &[("authorization", "token x")]).status.as_u16(), 200);
    let asked =
        Asked::new(Request::get("/events").header("user-agent", "test").body(()).unwrap().into_parts().0);
    let later = github.0.api.lock().answer(&asked, Utc::now() + TimeDelta::seconds(61));
    assert_eq!(later.status.as_u16(), 200);
}

#[test]
fn without_user_agent_403_and_elsewhere_404() {
    let github = github(SimulateArgs::default());
    let nameless = Request::get("/events").body(()).unwrap().into_parts().0;
    assert_eq!(github.0.answer(nameless).status.as_u16(), 403);
    for path in ["/", "/event", "/repos/a/events", "/events/1"] {
        assert_eq!(github.get(path, &[]).status.as_u16(), 404, "{path}");
    }
    let post = Request::post("/events").header("user-agent", "test").body(()).unwrap().into_parts().0;
    assert_eq!(github.0.answer(post).status.as_u16(), 404);
}

#[test]
fn feeds_of_a_repository_an_organisation_and_a_user_are_parts_of_the_whole() {
    let github = github(SimulateArgs::default());
    let all: Vec<Value> = (1..=3)
        .flat_map(|page| events(&github.get(&format!("/events?per_page=100&page={page}"), &[])))
        .collect();
    let with_org = all.iter().find(|event| event.get("org").is_some()).unwrap();
    for (path, pointer) in [
        ("/repos/{}/events", "/repo/name"),
        ("/networks/{}/events", "/repo/name"),
        ("/orgs/{}/events", "/org/login"),
        ("/users/{}/events", "/actor/login"),
    ] {
        let name = with_org.pointer(pointer).unwrap().as_str().unwrap();
        let path = path.replace("{}", &name.replace('[', "%5B").replace(']', "%5D")) + "?per_page=100";
        let wanted: Vec<_> = all
            .iter()
            .filter(|event| event.pointer(pointer).is_some_and(|it| it == name))
            .take(100)
            .cloned()
            .collect();
        assert_eq!(events(&github.get(&path, &[])), wanted, "{path}");
    }
}

#[test]
fn recorded_events_are_all_served_byte_for_byte_whatever_fails() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.json");
    let lines: Vec<_> = (0..1_000).map(|i| format!(r#"{{"id":"{i}", "n":1.0e2, "s":"\u00e9\/"}}"#)).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let faults = ["truncated:every=3", "500:every=5", "duplicates:every=4"];
    let github = github(SimulateArgs {
        events: vec![file],
        per_poll: Some(150),
        faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
        rate_limit: Some(1_000_000),
        ..SimulateArgs::default()
    });
    let mut got = std::collections::BTreeSet::new();
    for _ in 0..100 {
        for page in 1..=3 {
            let answer = github.get(&format!("/events?per_page=100&page={page}"), &[]);
            let Some(body) = answer.whole().filter(|_| answer.status == StatusCode::OK) else { break };
            let page: Vec<&serde_json::value::RawValue> = serde_json::from_slice(body).unwrap();
            got.extend(page.iter().map(|raw| raw.get().to_owned()));
        }
    }
    assert_eq!(got, lines.into_iter().collect());
    assert_eq!(github.0.served().events, crate::Tally { entered: 1_000, fetched: 1_000, missed: 0 });
}

#[test]
fn limits_come_as_403_or_429_with_retry_after_or_the_reset_only_and_other_refusals_with_neither() {
    for (fault, status, retry_after, remaining) in [
        ("secondary-limit:seconds=7", 403, "7", "60"),
        ("too-many-requests", 429, "60", "60"),
        ("rate-limit:seconds=9", 403, "", "0"),
        ("forbidden", 403, "", "60"),
    ] {
        let answer = with_faults(&[fault]).get("/events", &[]);
        assert_eq!(answer.status.as_u16(), status, "{fault}");
        assert_eq!(header(&answer, "retry-after"), retry_after, "{fault}");
        assert_eq!(header(&answer, "x-ratelimit-remaining"), remaining, "{fault}");
    }
}

#[test]
fn a_redirect_leads_to_an_answer_and_is_marked() {
    let github = with_faults(&["redirect-other"]);
    let location = header(&github.get("/events?per_page=5", &[]), "location").to_owned();
    assert_eq!(location, "http://localhost:8008/events?per_page=5&redirected=1");
    assert_eq!(events(&github.get("/events?per_page=5&redirected=1", &[])).len(), 5);
    let to = with_faults(&["redirect-other:to=http://127.0.0.1:9"]).get("/events", &[]);
    assert_eq!(header(&to, "location"), "http://127.0.0.1:9/events?redirected=1");
    let same = with_faults(&["redirect-same"]).get("/events", &[]);
    assert_eq!(header(&same, "location"), "http://127.0.0.1:8008/events?redirected=1");
    let endless = with_faults(&["redirect-loop"]).get("/events?page=2", &[]);
    assert_eq!(header(&endless, "location"), "http://127.0.0.1:8008/events?page=2");
}

#[test]
fn pages_can_be_spoiled() {
    let page = |fault: &str, path: &str| events(&with_faults(&[fault]).get(path, &[]));
    let duplicates = page("duplicates", "/events?per_page=100");
    assert_eq!((duplicates.len(), &duplicates[0]), (150, &duplicates[100]));
    let odd = page("not-an-event:json=null", "/events?per_page=10");
    assert!(odd.len() == 11 && odd[5].is_null());
    // Of one GitHub: another may have begun a second later, and so have other times.
    let github = with_faults(&["page-shift:events=4,page=2"]);
    let shifted = events(&github.get("/events?per_page=10&page=2", &[]));
    let before = events(&github.get("/events?per_page=10", &[]));
    assert_eq!(shifted[..4], before[6..]);
    let github = with_faults(&["old:events=4,after=1"]);
    let before = events(&github.get("/events?per_page=10", &[]));
    let old = events(&github.get("/events?per_page=10", &[]));
    assert_eq!((&old[..6], old.len()), (&before[4..], 10));
    assert!(page("empty-page", "/events").is_empty());
    let kinds = |fault: &str| -> Vec<_> {
        page(fault, "/events?per_page=100").iter().map(|event| event["type"].to_string()).collect()
    };
    let (all, without) = (kinds("old:events=0"), kinds("without-type:type=PushEvent"));
    assert!(all.iter().any(|kind| kind == "\"PushEvent\""));
    assert!(!without.is_empty() && without.iter().all(|kind| kind != "\"PushEvent\""));
    let github = with_faults(&["late:events=3,first=1"]);
    let before = events(&github.get("/events?per_page=100", &[]));
    assert_eq!(github.0.served().events.entered, 303);
    assert_eq!(events(&github.get("/events?per_page=100", &[])), before, "the first page stays as it was");
}

#[test]
fn answers_can_be_spoiled() {
    let get = |fault: &str| with_faults(&[fault]).get("/events", &[]);
    assert_eq!(header(&get("poll-interval:value=abc"), "x-poll-interval"), "abc");
    assert_eq!(header(&get("poll-interval:value=-1"), "x-poll-interval"), "-1");
    assert!(header(&get("foreign-link"), "link").contains("<http://localhost:8008/events?page=2>"));
    let skewed = chrono::DateTime::parse_from_rfc2822(header(&get("skewed-date"), "date")).unwrap();
    assert!((Utc::now() - skewed.to_utc() - TimeDelta::days(1)).num_seconds().abs() < 5);
    let cut = get("truncated");
    let Content::Cut(sent) = &cut.body else { panic!("{cut:?}") };
    assert!(header(&cut, "content-length").parse::<usize>().unwrap() > sent.len());
    let invalid = get("invalid-json");
    assert!(serde_json::from_slice::<Value>(invalid.whole().unwrap()).is_err());
    assert!(matches!(get("trickle").body, Content::Trickle(_)));
    assert!(matches!(get("hang").body, Content::Never));
    assert!(header(&get("html"), "content-type").starts_with("text/html"));
    for (fault, status) in [("500", 500), ("502", 502), ("503", 503), ("not-modified", 304)] {
        assert_eq!(get(fault).status.as_u16(), status);
    }
}

#[test]
fn long_bodies_are_as_long_as_asked_and_the_bomb_is_valid_gzip() {
    let Content::Long { start, filling, times } =
        with_faults(&["huge:bytes=1000000"]).get("/events", &[]).body
    else {
        panic!()
    };
    assert!((900_000..1_000_000).contains(&(start.len() as u64 + filling.len() as u64 * times)));

    let bomb = with_faults(&["gzip-bomb:bytes=20000000"]).get("/events", &[]);
    assert_eq!(header(&bomb, "content-encoding"), "gzip");
    let Content::Long { start, filling, times } = bomb.body else { panic!() };
    let sent = [start.to_vec(), filling.repeat(times as usize)].concat();
    assert!(sent.len() < 100_000, "{}", sent.len());
    let mut unpacked = Vec::new();
    // The end is missing on purpose, so what was unpacked before counts.
    let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&sent[..]), &mut unpacked);
    assert!(unpacked.len() > 20_000_000 && unpacked.starts_with(b"[   "), "{}", unpacked.len());
}

#[test]
fn what_was_served_can_be_looked_up() {
    let github = with_faults(&["500:first=1"]);
    github.get("/events", &[("authorization", "Bearer secret")]);
    github.get("/events?page=2", &[]);
    let served = github.0.served();
    assert_eq!(
        (served.requests, served.authorised, served.with_status(500), served.struck("500")),
        (2, 1, 1, 1)
    );
    assert_eq!((served.events.entered, served.events.fetched), (300, 30));
    let stats = github.get("/simulator/stats", &[]);
    let text = String::from_utf8_lossy(stats.whole().unwrap()).into_owned();
    let stats: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&stats["requests"], &stats["statuses"]["200"]), (&2.into(), &1.into()));
    assert_eq!(stats["recent"][1]["path"], "/events?page=2");
    assert!(!text.contains("secret"));
}

#[test]
fn faults_can_end_while_it_runs() {
    let github = with_faults(&["503"]);
    assert_eq!(github.get("/events", &[]).status.as_u16(), 503);
    github.0.set_faults([]);
    assert_eq!(github.get("/events", &[]).status.as_u16(), 200);
}
