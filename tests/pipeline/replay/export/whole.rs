//! What is in the stream is in the files, and nothing else is.

use super::{assert_files, export, files, start};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;

/// Takes from each in turn.
fn mixed(hours: &[&[Vec<u8>]]) -> Vec<Vec<u8>> {
    let longest = hours.iter().map(|hour| hour.len()).max().unwrap();
    (0..longest).flat_map(|place| hours.iter().filter_map(move |hour| hour.get(place)).cloned()).collect()
}

#[test]
fn each_event_is_once_in_the_file_of_its_hour_with_its_bytes() {
    let corner = Corner::new("export");
    let folder = tempfile::tempdir().unwrap();
    let [three, four, twelve] = [(3, 700), (4, 500), (12, 300)].map(|(at, count)| hour(at, 0..count, 5));
    let all = mixed(&[&three, &four, &twelve]);
    corner.archive(&all);
    // Again as it was, and again with another body: the first one counts, as in Redis.
    corner.archive(&three[100..120]);
    corner.archive(&[event(7).at("2015-01-01T12:00:01Z").by("another").bytes()]);
    corner.archive(&[b"no event".to_vec(), b"{}".to_vec(), b"\x1b[2J".to_vec()]);
    let pretty = b"{\n  \"id\": \"9000\",\r\n  \"type\": \"PushEvent\",\n\t\"created_at\": \"2015-01-01T12:00:00Z\"\n}\n";
    corner.archive(&[pretty.to_vec()]);
    let ended = export(&corner, folder.path(), &[]);
    let one_line = pretty.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }).collect();
    let twelve = [&twelve[..], &[one_line]].concat();
    assert_files(folder.path(), &[(3, &three), (4, &four), (12, &twelve)]);
    // In the order of the stream.
    assert!(files(folder.path())["2015-01-01-3.json.gz"] == three);
    for words in [
        "read 1,522 events",
        "wrote 1,501 events: 3 new files, 0 files with events added",
        "left out 21 duplicates",
        "left out 3 messages that are no events",
        "1 events had line breaks",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
    let told: Vec<_> = ended.stderr.lines().filter(|line| line.contains("is no event")).collect();
    assert!(told.len() == 1 && told[0].contains("offset 1521 of the archive"), "{}", ended.stderr);
}

#[test]
fn files_loaded_from_their_folder_make_the_same_redis() {
    let (original, copy) = (Corner::new("export-from"), Corner::new("export-into"));
    let folder = tempfile::tempdir().unwrap();
    let state = tempfile::tempdir().unwrap();
    let events = mixed(&[&hour(3, 0..400, 5), &hour(12, 0..300, 5), &hour(22, 900..1000, 5)]);
    let twice = [&events[..], &events[..50]].concat();
    original.publish(&twice);
    original.archive(&twice);
    original.drain();
    export(&original, folder.path(), &[]);
    let ended = copy.replay(state.path(), &["gharchive", folder.path().to_str().unwrap()]).succeed();
    assert_eq!(super::super::published(&ended.stdout), 800, "{}", ended.stdout);
    copy.drain();
    assert_same("the copy", &copy.dump(), &original.dump());
    assert_same("the copy", &copy.dump(), &Oracle::of(&events).lines());
    // As a mirror of GH Archive, too.
    let base = ["--base-url", folder.path().to_str().unwrap()];
    let ended = copy.replay(state.path(), &[&["gharchive", "2015-01-01-12"], &base[..]].concat()).succeed();
    assert_eq!(super::super::published(&ended.stdout), 300, "{}", ended.stdout);
}

#[test]
fn late_events_are_added_behind_what_is_there_and_a_second_export_adds_nothing() {
    let corner = Corner::new("export-late");
    let folder = tempfile::tempdir().unwrap();
    let (early, late, other) = (hour(12, 0..500, 5), hour(12, 500..600, 5), hour(13, 0..100, 5));
    corner.archive(&early);
    export(&corner, folder.path(), &[]);
    let file = folder.path().join("2015-01-01-12.json.gz");
    let before = std::fs::read(&file).unwrap();
    let ended = export(&corner, folder.path(), &[]);
    assert!(ended.stdout.contains("wrote 0 events"), "{}", ended.stdout);
    assert!(ended.stderr.contains("continuing at offset 500"), "{}", ended.stderr);
    corner.archive(&mixed(&[&late, &early[..40], &other]));
    let ended = export(&corner, folder.path(), &[]);
    let words = "wrote 200 events: 1 new files, 1 files with events added\nleft out 40 duplicates";
    assert!(ended.stdout.contains(words), "{}", ended.stdout);
    assert_files(folder.path(), &[(12, &[&early[..], &late].concat()), (13, &other)]);
    // A reader that has a part of the file can go on reading behind it.
    assert!(std::fs::read(&file).unwrap().starts_with(&before));
    // Whoever lost the position loses nothing, and nothing comes twice.
    let before = files(folder.path());
    let ended = export(&corner, folder.path(), &["--anew"]);
    assert!(ended.stdout.contains("wrote 0 events") && ended.stdout.contains("read 740 events"), "{ended:?}");
    assert!(files(folder.path()) == before);
}

#[test]
fn a_range_or_some_types_can_be_chosen_and_the_rest_comes_later() {
    let corner = Corner::new("export-range");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..90, 5);
    corner.archive(&events[..60]);
    export(&corner, folder.path(), &["--since", "10", "--until", "19"]);
    assert_files(folder.path(), &[(12, &events[10..20])]);
    export(&corner, folder.path(), &["--types", "WatchEvent"]);
    let is_star = |event: &Vec<u8>| String::from_utf8_lossy(event).contains("WatchEvent");
    let chosen = |upto: usize| -> Vec<Vec<u8>> {
        let wanted = |(place, event): &(usize, &Vec<u8>)| (10..20).contains(place) || is_star(event);
        events[..upto].iter().enumerate().filter(wanted).map(|(_, event)| event.clone()).collect()
    };
    assert_files(folder.path(), &[(12, &chosen(60))]);
    corner.archive(&events[60..]);
    let ended = export(&corner, folder.path(), &["--types", "WatchEvent"]);
    assert!(ended.stderr.contains("continuing at offset 60"), "{}", ended.stderr);
    assert_files(folder.path(), &[(12, &chosen(90))]);
    // Neither a range nor a choice of types moves the position of an export of everything.
    export(&corner, folder.path(), &[]);
    assert_files(folder.path(), &[(12, &events)]);
    for (flags, words) in [
        (&["--since", "9", "--until", "8"][..], "--until is before --since"),
        (&["--since", "last"], "--since last"),
        (&["--follow", "--since", "9"], "--follow"),
        (&["--grace", "2days"], "--grace"),
    ] {
        let ended = start(&corner, folder.path(), flags).wait();
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn events_that_the_archive_lacks_are_named_and_noted_beside_the_files() {
    let corner = Corner::new("export-lack");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..20, 5);
    let record = r#"{"from":"2026-01-01T12:00:09Z","to":"2026-01-01T12:01:40Z","events":1091}"#;
    corner.archive(&events[..10]);
    corner.archive_record(record);
    corner.archive(&events[10..]);
    for _ in 0..2 {
        let ended = start(&corner, folder.path(), &["--anew"]).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let words = "the archive lacks 1,091 events that were published from 2026-01-01T12:00:09Z";
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert!(ended.stdout.contains("the archive lacks 1,091 events"), "{}", ended.stdout);
    }
    assert_files(folder.path(), &[(12, &events)]);
    let notes = std::fs::read_to_string(folder.path().join("lacks.jsonl")).unwrap();
    assert_eq!(notes, format!("{record}\n"));
    export(&corner, folder.path(), &["--anew", "--keep-going"]);
}
