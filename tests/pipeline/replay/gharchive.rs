//! Files become events in Redis.

use std::fs::File;

use super::published;
use crate::support::archive_files::{hour, write};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::oracle::Oracle;
use crate::support::wait::eventually;

#[test]
fn a_file_is_loaded_whole_and_once_more_changes_nothing() {
    let corner = Corner::new("gharchive");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..500, 5);
    // Archives hold duplicates.
    let path = write(dir.path(), "2015-01-01-12.json.gz", &[&events[..], &events[..20]].concat());
    for _ in 0..2 {
        let ended = corner.replay(dir.path(), &["gharchive", path.to_str().unwrap()]).succeed();
        assert_eq!(published(&ended.stdout), 520, "{}", ended.stdout);
        corner.drain();
        assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the file is left");
}

#[test]
fn hours_of_a_folder_are_published_in_order_with_the_properties_of_events() {
    let corner = Corner::new("hours");
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (hour(1, 0..5, 1), hour(2, 5..10, 1));
    write(dir.path(), "2015-01-01-1.json.gz", &one);
    write(dir.path(), "2015-01-01-02.json.gz", &two);
    let base = dir.path().to_str().unwrap();
    corner.replay(dir.path(), &["gharchive", "2015-01-01-1..2", "--base-url", base]).succeed();
    let messages = corner.take_all("load");
    let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
    assert_eq!(bodies, [one, two].concat());
    let (first, properties) = (&messages[1], &messages[1].properties);
    assert_eq!(
        (first.routing_key.as_str(), properties.kind().as_ref().unwrap().as_str()),
        ("PushEvent", "PushEvent")
    );
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "1");
    assert_eq!((*properties.delivery_mode(), *properties.timestamp()), (Some(2), Some(1_420_074_001)));
    assert_eq!(properties.app_id().as_ref().unwrap().as_str(), "replay");
}

#[test]
fn without_a_queue_every_queue_gets_it_and_with_one_it_alone() {
    let corner = Corner::with_queues("queues", &["load", "eu"]);
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.json.gz", &hour(12, 0..6, 1));
    corner.replay(dir.path(), &["gharchive", path.to_str().unwrap()]).succeed();
    corner.wait_until_ready("load", 6);
    corner.wait_until_ready("eu", 6);
    corner.replay(dir.path(), &["gharchive", path.to_str().unwrap(), "--queue", "eu"]).succeed();
    corner.wait_until_ready("eu", 12);
    assert_eq!(corner.ready("load"), 6);
    assert!(corner.take_all("eu").iter().all(|message| message.routing_key.ends_with("Event")));
}

#[test]
fn a_replay_that_is_killed_goes_on_where_the_last_confirm_was() {
    let corner = Corner::new("resume");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..6000, 10);
    let path = write(dir.path(), "x.json.gz", &events);
    // Fast enough for several batches, slow enough to be caught.
    let command = ["gharchive", path.to_str().unwrap(), "--rate", "3000"];
    let killed = corner.replay(dir.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 2500);
    killed.kill();
    let before = corner.ready("load");
    assert!(before < 6000, "it was over before it was killed");
    let ended = corner.replay(dir.path(), &command).succeed();
    let line = ended.stderr.split("continuing after line ").nth(1).and_then(|rest| rest.split(' ').next());
    let line: u32 = line.unwrap_or_else(|| panic!("{}", ended.stderr)).parse().unwrap();
    // The tally is of both runs, and only what stands behind that line was published twice: with it what was on its way when
    // it was killed, a tenth of a second's worth and no more.
    assert_eq!(published(&ended.stdout), 6000);
    let twice = corner.ready("load") - 6000;
    assert!(
        line >= 1000 && twice <= before + 300 - line,
        "line {line}: {twice} of {before} were published again"
    );
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
    let ended =
        corner.replay(dir.path(), &["gharchive", path.to_str().unwrap(), "--rate", "100000"]).succeed();
    assert!(!ended.stderr.contains("continuing"), "what is done is forgotten: {}", ended.stderr);
}

#[test]
fn a_replay_that_is_asked_to_stop_says_how_to_go_on_and_a_changed_file_is_read_anew() {
    let corner = Corner::new("stop");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..4000, 10);
    let path = write(dir.path(), "x.json.gz", &events);
    let command = ["gharchive", path.to_str().unwrap(), "--rate", "2000"];
    let running = corner.replay(dir.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 1100);
    let ended = running.stop();
    assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
    let before = corner.ready("load") as usize;
    let others = hour(12, 10_000..14_100, 10);
    write(dir.path(), "x.json.gz", &others);
    corner.replay(dir.path(), &command).succeed();
    corner.drain();
    let all = [&events[..before], &others[..]].concat();
    assert_same("Redis", &corner.dump(), &Oracle::of(&all).lines());
}

/// Events whose bytes are as many as those of the next thousand.
fn thousands(first: usize) -> Vec<Vec<u8>> {
    hour(12, first..first + 4000, 10)
}

#[test]
fn a_file_replaced_by_one_of_the_same_size_is_read_from_its_beginning() {
    let corner = Corner::new("same-size");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.json");
    let (old, new) = (thousands(20_000), thousands(70_000));
    let command = ["gharchive", path.to_str().unwrap(), "--rate", "2000"];
    std::fs::write(&path, old.join(&b'\n')).unwrap();
    let running = corner.replay(dir.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 1100);
    running.stop();
    let before = corner.ready("load") as usize;
    assert!(before < old.len(), "it was over before it was stopped");
    let size = path.metadata().unwrap().len();
    std::fs::write(&path, new.join(&b'\n')).unwrap();
    assert_eq!(path.metadata().unwrap().len(), size);
    let ended = corner.replay(dir.path(), &command).succeed();
    let told = "x.json does not begin as the file whose first";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(published(&ended.stdout), 4000, "{}", ended.stdout);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&[&old[..before], &new[..]].concat()).lines());
}

#[test]
fn a_file_that_has_grown_goes_on_where_it_stopped() {
    let corner = Corner::new("grown");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.json");
    let events = thousands(20_000);
    let command = ["gharchive", path.to_str().unwrap(), "--rate", "2000"];
    std::fs::write(&path, events[..3000].join(&b'\n')).unwrap();
    let running = corner.replay(dir.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 1100);
    running.stop();
    let before = corner.ready("load");
    assert!(before < 3000, "it was over before it was stopped");
    std::fs::write(&path, events.join(&b'\n')).unwrap();
    let ended = corner.replay(dir.path(), &command).succeed();
    assert!(ended.stderr.contains("continuing after line"), "{}", ended.stderr);
    assert_eq!(published(&ended.stdout), 4000, "{}", ended.stdout);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn standard_input_is_read_like_a_file() {
    let corner = Corner::new("stdin");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..50, 5);
    let path = write(dir.path(), "x.json.gz", &events);
    corner.replay_fed(dir.path(), &["gharchive", "-"], File::open(path).unwrap().into()).succeed();
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn a_dry_run_counts_types_and_publishes_nothing_and_needs_no_rabbitmq() {
    let corner = Corner::new("dry");
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.json.gz", &hour(12, 0..30, 5));
    let nowhere = ["--amqp-url", "amqp://127.0.0.1:1/%2f"];
    let ended = corner
        .replay(dir.path(), &[&["gharchive", path.to_str().unwrap(), "--dry-run"], &nowhere[..]].concat())
        .succeed();
    assert!(ended.stdout.contains("would publish 30 events"), "{}", ended.stdout);
    assert!(ended.stdout.contains("20  PushEvent\n          10  WatchEvent"), "{}", ended.stdout);
    assert_eq!(corner.ready("load"), 0);
}

#[test]
fn types_and_a_limit_choose_what_is_published() {
    let corner = Corner::new("types");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..3000, 5);
    let path = write(dir.path(), "x.json.gz", &events);
    let ended = corner
        .replay(
            dir.path(),
            &["gharchive", path.to_str().unwrap(), "--types", "WatchEvent,ForkEvent", "--limit", "400"],
        )
        .succeed();
    assert_eq!(published(&ended.stdout), 400);
    let bodies: Vec<_> = corner.take_all("load").into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, events.iter().step_by(3).take(400).cloned().collect::<Vec<_>>());
}

#[test]
fn a_queue_that_grows_too_long_is_waited_for() {
    let corner = Corner::new("gate");
    let dir = tempfile::tempdir().unwrap();
    let events = hour(12, 0..3000, 5);
    let path = write(dir.path(), "x.json.gz", &events);
    let replay = corner
        .replay(dir.path(), &["gharchive", path.to_str().unwrap(), "--rate", "1500", "--max-queue", "500"]);
    let line = replay.wait_for("waiting:");
    assert!(line.contains("nobody consumes it: start loaders"), "{line}");
    assert!(corner.ready("load") < 3000);
    let loader = corner.loader(&["--stream-maxlen", "0"]);
    replay.succeed();
    eventually("all is loaded", || corner.loaded() == 3000);
    loader.stop();
}

#[test]
fn a_rate_is_kept() {
    let corner = Corner::new("rate");
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "x.json.gz", &hour(12, 0..300, 5));
    let ended = corner.replay(dir.path(), &["gharchive", path.to_str().unwrap(), "--rate", "150"]).succeed();
    // Its own time, not that of starting it. The last ones leave a tenth of a second before the end of the second second.
    let rate = ended.stdout.split("/s)").next().and_then(|begin| begin.rsplit('(').next());
    let rate: u32 = rate.and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("{}", ended.stdout));
    assert!(rate <= 160, "{}", ended.stdout);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_published() {
    let corner = Corner::undeclared("usage", &["load"]);
    let dir = tempfile::tempdir().unwrap();
    for (what, words) in [
        (vec!["2015-01-01-25"], "hours must look like"),
        (vec!["2015-01-02..2015-01-01"], "ends before it begins"),
        (vec!["no-such-file.json"], "no-such-file.json: No such file"),
        (vec!["."], "it is a folder without files of events"),
        (vec!["2015-01-01-1", "--base-url", "ftp://x/"], "--base-url"),
        (vec!["2015-01-01-1", "--rate", "0"], "--rate"),
        (vec![], "WHAT"),
    ] {
        let ended = corner.replay(dir.path(), &[&["gharchive"], &what[..]].concat()).wait();
        assert_eq!(ended.code, Some(2), "{what:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{what:?}: {}", ended.stderr);
    }
}
