//! Live events: they are filtered, they resume after the last one, and a client that missed some gets their number.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::corner::Corner;
use crate::support::dashboard::{Dashboard, Stream};
use crate::support::events::event;
use crate::support::program::Program;
use crate::support::wait::{DEADLINE, eventually};

const PATH: &str = "/api/events/stream";

fn scene(story: &str) -> (Corner, Program, Dashboard) {
    let corner = Corner::new(story);
    let (dashboard, loader) = (Dashboard::ready(&corner), corner.loader(&[]));
    (corner, loader, dashboard)
}

fn load(corner: &Corner, ids: std::ops::Range<u32>) {
    corner.load_in_order(&ids.map(|id| event(id).bytes()).collect::<Vec<_>>());
}

fn ids(stream: &mut Stream, count: usize) -> Vec<u32> {
    (0..count).map(|_| stream.event().json()["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn events_come_as_they_load_with_their_stream_ids_and_nothing_of_before() {
    let (corner, _loader, dashboard) = scene("ssecome");
    load(&corner, 1..5);
    let mut stream = dashboard.watch(PATH, &[]);
    assert_eq!((stream.status, stream.headers["content-type"].as_str()), (200, "text/event-stream"));
    assert_eq!(stream.headers["cache-control"], "no-store");
    assert_eq!(stream.say().unwrap().retry, "5000");
    load(&corner, 5..8);
    let first = stream.event();
    assert_eq!(first.json()["id"], "5");
    assert!(first.id.contains('-'));
    assert_eq!(ids(&mut stream, 2), [6, 7]);
}

#[test]
fn a_quiet_stream_has_a_heartbeat() {
    let dashboard = Dashboard::ready(&Corner::new("ssequiet"));
    let mut stream = dashboard.watch(PATH, &[]);
    stream.say().unwrap();
    assert_eq!(stream.say().unwrap().comment, "still here");
}

#[test]
fn hostile_text_stays_in_its_line() {
    let (corner, _loader, dashboard) = scene("ssehostile");
    let mut stream = dashboard.watch(PATH, &[]);
    let login = "a\n\nevent: evil\ndata: x\r\n\r\u{2028}</script>";
    let spread = "{\r\n\"a\"\n:\r1}";
    corner.publish(&[event(1).by(login).kind("x\n\ny").with("spread", spread).bytes()]);
    let said = stream.event();
    assert_eq!(said.json()["actor"]["login"], login);
    assert_eq!((&said.json()["type"], &said.json()["spread"]["a"]), (&json!("x\n\ny"), &json!(1)));
}

#[test]
fn filters_choose_and_several_clients_each_get_their_own() {
    let (corner, _loader, dashboard) = scene("ssefilter");
    let mut ada = dashboard.watch("/api/events/stream?actor=ada", &[]);
    let mut watches = dashboard.watch("/api/events/stream?type=WatchEvent", &[]);
    let mut repo = dashboard.watch("/api/events/stream?repo=o/*&type=PushEvent", &[]);
    let with_repo = |id: u32| event(id).with("repo", r#"{"name":"O/r"}"#);
    corner.load_in_order(&[
        event(1).by("ada").bytes(),
        event(2).kind("WatchEvent").bytes(),
        with_repo(3).kind("WatchEvent").by("ada").bytes(),
        with_repo(4).bytes(),
    ]);
    assert_eq!(ids(&mut ada, 2), [1, 3]);
    assert_eq!(ids(&mut watches, 2), [2, 3]);
    assert_eq!(ids(&mut repo, 1), [4]);
}

#[test]
fn a_client_that_comes_back_gets_what_it_missed() {
    let (corner, _loader, dashboard) = scene("sseresume");
    let mut stream = dashboard.watch(PATH, &[]);
    load(&corner, 1..4);
    let last = stream.event().id;
    drop(stream);
    load(&corner, 4..7);
    let mut stream = dashboard.watch(PATH, &[("Last-Event-ID", &last)]);
    assert_eq!(stream.say().unwrap().retry, "5000");
    // Nothing is said to be missed before.
    let said = stream.say().unwrap();
    assert_eq!((said.event.as_str(), said.json()["id"].as_str()), ("github-event", Some("2")));
    assert_eq!(ids(&mut stream, 4), [3, 4, 5, 6]);
    load(&corner, 7..8);
    assert_eq!(ids(&mut stream, 1), [7]);
    let filtered = "/api/events/stream?type=WatchEvent";
    let mut other = dashboard.watch(filtered, &[("Last-Event-ID", &last)]);
    corner.publish(&[event(9).kind("WatchEvent").bytes()]);
    assert_eq!(ids(&mut other, 1), [9]);
}

#[test]
fn a_client_whose_last_event_was_trimmed_away_is_told() {
    let (corner, _loader, dashboard) = scene("ssetrimmed");
    load(&corner, 1..4);
    let mut stream = dashboard.watch(PATH, &[("Last-Event-ID", "1-0")]);
    stream.say().unwrap();
    let said = stream.say().unwrap();
    assert_eq!((said.event.as_str(), said.json()), ("missed", json!({"missed": null})));
    assert_eq!(ids(&mut stream, 3), [1, 2, 3], "what is there comes all the same");
}

/// Reads until the flood's end is shown and `count` events are accounted for, and adds up what was shown and what was said to be
/// missed. What the stream in Redis lost before the dashboard saw it is told a moment later.
fn shown_and_missed(stream: &mut Stream, count: u64) -> (u64, u64) {
    let (mut shown, mut missed, mut has_ended) = (0, 0, false);
    while !has_ended || shown + missed < count {
        let said = stream.say().unwrap();
        match said.event.as_str() {
            "missed" => missed += said.json()["missed"].as_u64().unwrap(),
            "github-event" if said.json()["type"] == LAST => has_ended = true,
            "github-event" => shown += 1,
            _ => {}
        }
    }
    (shown, missed)
}

/// The type of the events that end a flood.
const LAST: &str = "LastEvent";

/// Publishes `bodies` while the client does not read, then lets it read until it is shown an event of the end, of which some
/// come until one is not left out. All that was published must have been shown or said to be missed.
fn flood(corner: &Corner, dashboard: &Dashboard, stream: &mut Stream, bodies: &[Vec<u8>]) -> (u64, u64) {
    corner.publish(bodies);
    // The stream in Redis is trimmed: its length does not tell.
    eventually("all is loaded", || dashboard.json("/api/overview")["loaded"]["total"] == bodies.len());
    let (is_over, count) = (AtomicBool::new(false), bodies.len() as u64);
    let (shown, missed, ends) = std::thread::scope(|scope| {
        let ending = scope.spawn(|| {
            // If reading panics, this ends all the same.
            let (begun, mut ends) = (Instant::now(), 0);
            while !is_over.load(Ordering::Relaxed) && begun.elapsed() < DEADLINE {
                corner.publish(&[event(format!("last-{ends}")).kind(LAST).bytes()]);
                ends += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            ends
        });
        let (shown, missed) = shown_and_missed(stream, count);
        is_over.store(true, Ordering::Relaxed);
        (shown, missed, ending.join().unwrap())
    });
    assert!(
        (count..count + ends).contains(&(shown + missed)),
        "shown {shown}, missed {missed} of {count} and {ends}"
    );
    (shown, missed)
}

#[test]
fn a_flood_is_not_shown_whole_and_a_client_can_tell_how_much_it_missed() {
    let (corner, _loader, dashboard) = scene("sseflood");
    let mut stream = dashboard.watch(PATH, &[]);
    let bodies: Vec<_> = (0..15_000).map(|id| event(id).bytes()).collect();
    let (shown, missed) = flood(&corner, &dashboard, &mut stream, &bodies);
    assert!(missed > 0 && shown > 100, "shown {shown}, missed {missed}");
}

#[test]
fn a_client_that_reads_slowly_is_told_what_it_missed() {
    let (corner, _loader, dashboard) = scene("sseslow");
    let mut stream = dashboard.watch(PATH, &[]);
    // Together more than sockets and channel hold, and no more events than are shown of a burst.
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
    let bodies: Vec<_> = (0..4000).map(|id| event(id).with("large", &large).bytes()).collect();
    let (shown, missed) = flood(&corner, &dashboard, &mut stream, &bodies);
    assert!(missed > 0, "shown {shown}");
}
