//! What polling missed comes from GH Archive.

use std::path::Path;

use crate::support::archive_files::{hour, write};
use crate::support::archive_host::{ArchiveHost, Mishap};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::program::Ended;

/// Publishes a record of a gap of 2015-01-01, as the fetcher does.
pub(super) fn record(corner: &Corner, source: &str, from: &str, to: &str) {
    let body = format!(
        r#"{{"source":"{source}","from":"2015-01-01T{from}Z","to":"2015-01-01T{to}Z","seconds":1,"detected_at":"2015-01-01T13:00:00Z","events_in_poll":300}}"#
    );
    let properties = crate::support::corner::properties(&format!("gap {source} {from} {to}"));
    corner.amqp().publish("", &corner.queue("gaps"), &properties, &[body.into_bytes()]);
}

/// The files of the hours 12 to 18, the first with `events`, the others empty.
pub(super) fn files(folder: &Path, events: &[Vec<u8>]) {
    write(folder, "2015-01-01-12.json.gz", events);
    (13..19).for_each(|hour| drop(write(folder, &format!("2015-01-01-{hour}.json.gz"), &[])));
}

fn gaps(corner: &Corner, folder: &Path, flags: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    corner.replay(state.path(), &[&["gaps", "--base-url", folder.to_str().unwrap()], flags].concat()).wait()
}

#[test]
fn a_feed_faster_than_polling_leaves_gaps_and_filled_they_leave_redis_complete() {
    let corner = Corner::new("gaps");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..20_000, 10);
    // A poll sees 300 at most, and ten polls a second are all that the fetcher makes.
    let github = GitHub::recorded(&events, &["--rate", "5000"]);
    let fetcher = corner.fetcher(&github.url, &[]);
    let entered = github.until("all events have entered and some were missed", |served| {
        served.events.entered == 20_000 && served.events.missed > 0
    });
    github.until("it has polled twice more", |served| served.requests >= entered.requests + 8);
    fetcher.stop();
    assert!(corner.ready("gaps") > 0);
    corner.drain();
    let seen = corner.loaded();

    files(folder.path(), &events);
    let ended = gaps(&corner, folder.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("filled ") && !ended.stdout.contains(" 0 events"), "{}", ended.stdout);
    corner.wait_until_ready("gaps", 0);
    assert!((corner.ready("load") as usize) < 20_000, "only what falls into the gaps is published");
    corner.drain();
    // What came before the first poll nobody was there to miss.
    let first = events.len() - corner.loaded();
    assert!(seen < corner.loaded() && first < 10_000, "{seen} seen, {first} before the first");
    assert_same("Redis", &corner.dump(), &Oracle::of(&events[first..]).lines());
}

#[test]
fn only_what_falls_into_a_gap_of_its_feed_is_published() {
    let corner = Corner::new("gap-inside");
    let folder = tempfile::tempdir().unwrap();
    // Five events a second; an event of the gap sits in a later file, too.
    let events = hour(12, 0..500, 5);
    files(folder.path(), &events[1..]);
    write(folder.path(), "2015-01-01-17.json.gz", &events[100..101]);
    record(&corner, "events", "12:00:20", "12:00:24");
    record(&corner, "users/dev-0", "12:01:00", "12:01:10");
    let ended = gaps(&corner, folder.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut bodies: Vec<_> = corner.take_all("load").into_iter().map(|message| message.body).collect();
    assert_eq!(bodies.pop().as_ref(), Some(&events[100]));
    let of_user = (300..355).filter(|id| id % 7 == 0).map(|id| events[id].clone());
    assert_eq!(bodies, events[100..125].iter().cloned().chain(of_user).collect::<Vec<_>>());
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn a_gap_waits_for_its_files_and_is_listed_with_what_it_waits_for() {
    let corner = Corner::new("gap-waits");
    let folder = tempfile::tempdir().unwrap();
    record(&corner, "events", "12:00:00", "12:00:01");
    record(&corner, "events", "12:00:00", "12:00:01");
    let patient = ["--patience", "100years"];
    let list = |flags: &[&str]| gaps(&corner, folder.path(), &[&["--list"], flags].concat()).stdout;
    assert!(list(&patient).contains("waits for 2015-01-01-12.json.gz"), "{}", list(&patient));
    let ended = gaps(&corner, folder.path(), &patient);
    assert!(ended.code == Some(0) && ended.stdout.contains("1 wait for files to come"), "{}", ended.stdout);
    corner.wait_until_ready("gaps", 2);

    assert!(
        list(&[]).contains("cannot be filled: GH Archive has no file for 2015-01-01-12"),
        "{}",
        list(&[])
    );
    let ended = gaps(&corner, folder.path(), &[]);
    assert!(ended.code == Some(1) && ended.stderr.contains("1 not at all"), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 2);

    write(folder.path(), "2015-01-01-12.json.gz", &hour(12, 0..10, 5));
    let json: serde_json::Value = serde_json::from_str(&list(&["--format", "json"])).unwrap();
    assert!(json[0]["state"].as_str().unwrap().starts_with("can be filled in part: "), "{json}");
    assert_eq!((json.as_array().unwrap().len(), &json[0]["source"]), (1, &"events".into()));
    let would = gaps(&corner, folder.path(), &["--dry-run"]);
    assert!(
        would.stdout.starts_with("would fill 1 gaps (1 of them in part) with 10 events"),
        "{}",
        would.stdout
    );
    assert_eq!(corner.ready("load"), 0);
    let ended = gaps(&corner, folder.path(), &[]);
    assert!(ended.code == Some(1) && ended.stderr.contains("1 in part"), "{}", ended.stderr);
    corner.wait_until_ready("load", 10);
    corner.wait_until_ready("gaps", 0);
    assert_eq!(list(&[]), "no gaps\n");
}

#[test]
fn watching_fills_gaps_as_their_files_come() {
    let corner = Corner::new("gap-watch");
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let command = [
        "gaps",
        "--watch",
        "--every",
        "1s",
        "--patience",
        "100years",
        "--base-url",
        folder.path().to_str().unwrap(),
    ];
    let watch = corner.replay(state.path(), &command);
    record(&corner, "events", "12:00:00", "12:00:01");
    let events = hour(12, 0..30, 5);
    files(folder.path(), &events);
    corner.wait_until_ready("load", 10);
    corner.wait_until_ready("gaps", 0);
    // Not in its first round, which is over.
    record(&corner, "events", "12:00:02", "12:00:03");
    corner.wait_until_ready("load", 20);
    corner.wait_until_ready("gaps", 0);
    let ended = watch.stop();
    // The second round may be stopped before it has told of itself.
    assert!(ended.stdout.contains("filled 1 gaps"), "{}", ended.stdout);
}

#[test]
fn what_is_no_record_of_a_gap_is_left_where_it_is() {
    let corner = Corner::new("gap-garbage");
    let folder = tempfile::tempdir().unwrap();
    let properties = crate::support::corner::properties("x");
    corner.amqp().publish("", &corner.queue("gaps"), &properties, &[b"nonsense \x1b[2J".to_vec()]);
    let ended = gaps(&corner, folder.path(), &[]);
    assert!(
        ended.code == Some(0) && ended.stderr.contains("are no records of gaps, and stay there"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 1);
}

#[test]
fn the_record_of_a_gap_stays_while_a_file_is_damaged_and_may_come_again() {
    let corner = Corner::new("gap-damaged");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..3000, 5);
    files(folder.path(), &events);
    let file = folder.path().join("2015-01-01-12.json.gz");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    record(&corner, "events", "12:00:00", "12:09:59");
    let ended = gaps(&corner, folder.path(), &["--patience", "100years"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("is not filled yet, and stays on record"), "{}", ended.stderr);
    assert!((1..3000).contains(&corner.take_all("load").len()), "what can be read is published");
    corner.wait_until_ready("gaps", 1);

    // Nobody will repair it any more.
    let ended = gaps(&corner, folder.path(), &["--dry-run"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("is filled in part"), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 1);

    std::fs::write(&file, whole).unwrap();
    // What one queue has then, others still miss.
    for (queue, left) in [(Some("load"), 1), (None, 0)] {
        let flags: Vec<&str> = queue.iter().flat_map(|queue| ["--queue", queue]).collect();
        assert_eq!(gaps(&corner, folder.path(), &flags).code, Some(0));
        corner.wait_until_ready("load", 3000);
        assert_eq!(corner.take_all("load").len(), 3000);
        corner.wait_until_ready("gaps", left);
    }
}

#[test]
fn ten_thousand_gaps_that_cannot_be_filled_hold_up_no_later_one() {
    let corner = Corner::new("gap-starve");
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &hour(12, 0..30, 5));
    // Hours of which no file will ever come.
    let hopeless: Vec<Vec<u8>> = (0..10_050)
        .map(|n| {
            let to = format!("2015-01-02T0{}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60);
            format!(r#"{{"source":"events","from":"2015-01-02T00:00:00Z","to":"{to}","seconds":1,"detected_at":"2015-01-02T13:00:00Z","events_in_poll":300}}"#).into_bytes()
        })
        .collect();
    corner.publish_to("gaps", &crate::support::corner::properties("hopeless"), &hopeless);
    record(&corner, "events", "12:00:00", "12:00:01");
    let ended = gaps(&corner, folder.path(), &[]);
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 10 events"), "{}", ended.stdout);
    assert!(ended.stdout.contains("10050 cannot be filled"), "{}", ended.stdout);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.lines().count() < 200, "the log does not name each of them");
    corner.wait_until_ready("load", 10);
    corner.wait_until_ready("gaps", 10_050);
    let left = corner.amqp().take(&corner.queue("gaps"), 10_050);
    let mut left: Vec<_> = left.into_iter().map(|record| record.body).collect();
    left.sort();
    let mut expected = hopeless;
    expected.sort();
    assert!(left == expected, "no record is lost or changed");
}

#[test]
fn gaps_are_listed_within_seconds_though_gh_archive_is_not_reachable_and_nothing_can_be_written() {
    let corner = Corner::new("gap-list-away");
    record(&corner, "events", "12:00:00", "12:00:01");
    for url in [format!("http://127.0.0.1:{}", crate::support::stranger::mute()), "http://127.0.0.1:1".into()]
    {
        let started = std::time::Instant::now();
        let list = ["gaps", "--list", "--base-url", &url];
        let ended = corner.replay(Path::new("/proc/no/such/folder"), &list).succeed();
        assert!(ended.stdout.contains("unknown: GH Archive not reachable"), "{}", ended.stdout);
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
    }
    corner.wait_until_ready("gaps", 1);
}

#[test]
fn a_server_that_knows_no_head_is_asked_in_another_way() {
    let corner = Corner::new("gap-head");
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(folder.path(), &hour(12, 0..30, 5));
    record(&corner, "events", "12:00:00", "12:00:01");
    let host = ArchiveHost::serving(folder.path(), &[Mishap::Head(405)]);
    let ended = corner.replay(state.path(), &["gaps", "--base-url", &host.url]).succeed();
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 10 events"), "{}", ended.stdout);
    assert_eq!(host.asked()[..2], ["HEAD /2015-01-01-12.json.gz", "GET /2015-01-01-12.json.gz"]);
}
