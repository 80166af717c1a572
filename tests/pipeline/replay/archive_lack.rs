//! Events that the fetcher could not write into the archive are named.

use super::published;
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::wait::eventually;

const RECORD: &str = r#"{"from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","events":1091}"#;
const LATER: &str = r#"{"from":"2026-01-02T01:00:00Z","to":"2026-01-02T01:00:00Z","events":2}"#;

#[test]
fn events_that_the_archive_lacks_are_named_with_the_remedy_and_the_others_are_published() {
    let corner = Corner::new("lack");
    let state = tempfile::tempdir().unwrap();
    let events = hour(12, 0..20, 5);
    corner.archive(&events[..10]);
    corner.archive_record(RECORD);
    corner.archive(&events[10..]);
    corner.archive_record("no record \x1b[2J");
    corner.archive_record(LATER);
    let run = |flags: &[&str]| corner.replay(state.path(), &[&["archive"], flags].concat()).wait();

    let ended = run(&[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for words in [
        "the archive lacks 1,091 events that were published from 2026-01-01T12:00:09Z to 2026-01-01T12:01:40Z; `replay gharchive 2026-01-01-6..2026-01-01-13 --queue load`",
        "the archive lacks 2 events that were published from 2026-01-02T01:00:00Z",
        "offset 21 of the archive is no valid record of missing events",
        "not all that was asked for is in the archive",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
    let summary =
        "the archive lacks 1,093 events published from 2026-01-01T12:00:09Z to 2026-01-02T01:00:00Z";
    assert!(published(&ended.stdout) == 20 && ended.stdout.contains(summary), "{}", ended.stdout);
    let bodies: Vec<_> = corner.take_all("load").into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, events);

    let ended = run(&["--dry-run"]);
    assert!(ended.code == Some(1) && ended.stdout.contains("would publish 20 events"), "{}", ended.stdout);
    assert!(ended.stdout.contains(summary), "{}", ended.stdout);
    // Records are no events: they count toward no limit, and no choice of types leaves them out.
    let ended = run(&["--limit", "15", "--keep-going"]);
    assert!(ended.code == Some(0) && published(&ended.stdout) == 15, "{}", ended.stderr);
    let ended = run(&["--types", "PushEvent", "--keep-going"]);
    assert!(ended.stdout.contains(summary) && published(&ended.stdout) == 20, "{}", ended.stdout);
    // Nothing is missing from what was asked for.
    assert_eq!(run(&["--until", "9"]).code, Some(0));
}

#[test]
fn what_an_interrupted_replay_knows_to_be_missing_the_next_one_still_tells() {
    let corner = Corner::new("lack-stop");
    let state = tempfile::tempdir().unwrap();
    corner.archive_record(RECORD);
    corner.archive(&hour(12, 0..3000, 5));
    let command = ["archive", "--rate", "1000"];
    let running = corner.replay(state.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 600);
    running.stop();
    let ended = corner.replay(state.path(), &command).wait();
    assert!(ended.code == Some(1) && ended.stderr.contains("continuing at offset"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("`replay gharchive"), "{}", ended.stderr);
    assert!(ended.stdout.contains("the archive lacks 1,091 events"), "{}", ended.stdout);
}
