//! Dead letters that can never load leave their queue: into a file, or for good.

use std::path::Path;

use serde_json::Value;

use crate::support::corner::{Corner, properties};
use crate::support::events::event;
use crate::support::letters::failed;
use crate::support::program::Ended;
use crate::support::terminal::{self, replay_on_a_terminal};
use crate::support::wait::eventually;

fn dead(corner: &Corner, flags: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    corner.replay(state.path(), &[&["dead"], flags].concat()).wait()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn letters_are_saved_whole_chosen_by_reason_and_behind_what_the_file_holds() {
    let corner = Corner::new("saved");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl");
    let save = ["--save", file.to_str().unwrap()];
    let without_time = br#"{"id":"52","type":"PushEvent","payload":{"x":1.50}}"#;
    corner.publish_to("load.dead", &failed("missing-field: created_at"), &[without_time.to_vec()]);
    corner.publish_to("load.dead", &failed("not-json: at 1"), &[b"\xff\0".to_vec()]);
    corner.publish_to("load.dead", &failed("event-count is not a hash"), &[event(7).bytes()]);

    let would = dead(&corner, &[&save[..], &["--dry-run"]].concat());
    assert!(would.stdout.starts_with("would save to ") && !file.exists(), "{}", would.stdout);
    let ended = dead(&corner, &[&save[..], &["--match", "missing-field"]].concat());
    assert!(ended.stdout.contains("saved 1 dead letters to "), "{}", ended.stdout);
    corner.wait_until_ready("load.dead", 2);
    let saved = &lines(&file)[0];
    assert_eq!(saved["body"], std::str::from_utf8(without_time).unwrap());
    for (name, value) in [
        ("id", Value::from("52")),
        ("reason", "missing-field: created_at".into()),
        ("routing_key", "PushEvent".into()),
        ("attempts", 5.into()),
        ("first_failed_at", "2026-01-01T00:00:00Z".into()),
    ] {
        assert_eq!(saved[name], value, "{name} of {saved}");
    }
    assert_eq!(saved["headers"]["x-etl-attempts"], 5);

    assert_eq!(dead(&corner, &[&save[..], &["--limit", "1"]].concat()).code, Some(0));
    let saved = lines(&file);
    assert_eq!((saved.len(), &saved[1]["body_base64"], &saved[1]["body"]), (2, &"/wA=".into(), &Value::Null));
    corner.wait_until_ready("load.dead", 1);
}

#[test]
fn a_kill_in_the_middle_of_saving_leaves_each_letter_in_the_queue_or_in_the_file() {
    let corner = Corner::new("saved-kill");
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = folder.path().join("letters.jsonl");
    let padding = format!(r#""{}""#, "x".repeat(20_000));
    let bodies: Vec<_> = (0..3000).map(|id| event(id).with("padding", &padding).bytes()).collect();
    corner.publish_to("load.dead", &failed("bad"), &bodies);
    let saving = corner.replay(state.path(), &["dead", "--save", file.to_str().unwrap()]);
    eventually("some are in the file", || file.metadata().is_ok_and(|file| file.len() > 0));
    saving.kill();
    let text = std::fs::read_to_string(&file).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
    assert!(whole < 3000, "it was over before it was killed");
    eventually("what it had in hand is back", || corner.ready("load.dead") as usize + whole >= 3000);
    let ended = dead(&corner, &["--save", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut ids: Vec<u32> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| line["id"].as_str().unwrap().parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids, (0..3000).collect::<Vec<_>>());
    corner.wait_until_ready("load.dead", 0);
}

#[test]
fn a_file_that_cannot_be_written_takes_no_letter() {
    let corner = Corner::new("saved-full");
    corner.publish_to("load.dead", &failed("bad"), &[event(1).bytes()]);
    for file in ["/no/such/folder/letters.jsonl", "/dev/full"] {
        let ended = dead(&corner, &["--save", file]);
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains(file) && ended.stderr.contains("--save"), "{}", ended.stderr);
        corner.wait_until_ready("load.dead", 1);
    }
}

#[test]
fn letters_are_discarded_only_by_who_says_so() {
    let corner = Corner::new("discard");
    for (reason, id) in [("not-json", 1), ("missing-field", 2), ("missing-field", 3), ("wrong", 4)] {
        corner.publish_to("load.dead", &failed(reason), &[event(id).bytes()]);
    }
    let ended = dead(&corner, &["--discard"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("--discard --yes"), "{}", ended.stderr);
    let would = dead(&corner, &["--discard", "--dry-run"]);
    assert!(would.code == Some(0) && would.stdout.starts_with("would discard:\n"), "{}", would.stdout);
    corner.wait_until_ready("load.dead", 4);
    let ended = dead(&corner, &["--discard", "--yes", "--match", "missing-field", "--limit", "1"]);
    assert!(ended.stdout.contains("discarded 1 dead letters"), "{}", ended.stdout);
    corner.wait_until_ready("load.dead", 3);
    assert_eq!(dead(&corner, &["--discard", "--yes"]).code, Some(0));
    corner.wait_until_ready("load.dead", 0);
    assert_eq!(corner.ready("load"), 0);
}

#[test]
fn on_a_terminal_it_shows_what_is_discarded_and_asks() {
    if !terminal::can_be_made() {
        return;
    }
    let corner = Corner::new("discard-ask");
    let state = tempfile::tempdir().unwrap();
    corner.publish_to("load.dead", &failed("not-json"), &[event(1).bytes(), event(2).bytes()]);
    let said = replay_on_a_terminal(&corner, state.path(), &["dead", "--discard"], "n");
    assert!(said.contains("not-json") && said.contains("delete 2 messages of"), "{said}");
    assert!(said.contains("nothing is deleted"), "{said}");
    corner.wait_until_ready("load.dead", 2);
    let said = replay_on_a_terminal(&corner, state.path(), &["dead", "--discard"], "y");
    assert!(said.contains("discarded 2 dead letters"), "{said}");
    corner.wait_until_ready("load.dead", 0);
}

#[test]
fn a_letter_shows_its_events_id_and_never_one_that_was_made_up() {
    let corner = Corner::new("letter-id");
    let nameless = lapin::BasicProperties::default().with_delivery_mode(2);
    corner.publish_with(&nameless, &[br#"{"id":"4711","type":"PushEvent"}"#.to_vec(), b"no event".to_vec()]);
    corner.loader(&["--drain"]).succeed();
    corner.wait_until_ready("load.dead", 2);
    let list = dead(&corner, &["--list", "--format", "json"]).stdout;
    assert!(list.contains(r#""4711""#) && !list.contains("no-id"), "{list}");
    // Older versions stored the number.
    corner.publish_to("load.dead", &properties("no-id-3"), &[br#"{"id":"4712"}"#.to_vec()]);
    let list = dead(&corner, &["--list", "--format", "json"]).stdout;
    assert!(list.contains(r#""4712""#) && !list.contains("no-id"), "{list}");
}
