//! Several mirrors: the queue gets every event that one of them has, once.

use std::path::Path;

use super::published;
use crate::support::archive_files::{hour, write};
use crate::support::archive_host::ArchiveHost;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::oracle::Oracle;
use crate::support::wait::eventually;

/// The bodies in the load queue, which must be so many.
fn queued(corner: &Corner, count: u64) -> Vec<Vec<u8>> {
    let taken = corner.amqp().take(&corner.queue("load"), count.try_into().unwrap());
    assert_eq!(corner.ready("load"), 0, "more than {count}");
    taken.into_iter().map(|message| message.body).collect()
}

fn base(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

#[test]
fn the_queue_gets_the_union_of_two_mirrors_each_event_once_and_redis_too() {
    let corner = Corner::new("union");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (noon, later) = (hour(12, 0..500, 5), hour(13, 1000..1100, 5));
    // Archives hold duplicates.
    write(one.path(), "2015-01-01-12.json.gz", &[&noon[..300], &noon[..20]].concat());
    write(two.path(), "2015-01-01-12.json.gz", &[&noon[480..], &noon[200..]].concat());
    write(one.path(), "2015-01-01-13.json.gz", &later);
    write(two.path(), "2015-01-01-13.json.gz", &later);
    let host = ArchiveHost::serving(two.path(), &[]);
    let both = format!("{},{}/", base(one.path()), host.url);
    let command = ["gharchive", "2015-01-01-12..13", "--base-url", &both];
    let ended = corner.replay(state.path(), &command).succeed();
    assert_eq!(published(&ended.stdout), 600, "{}", ended.stdout);
    let (a, b) = (base(one.path()), &host.url);
    for line in [
        format!("2015-01-01-12: 500 events; {a} alone had 200; {b} alone had 200\n"),
        format!("2015-01-01-13: 100 events; {a} alone had 0; {b} alone had 0\n"),
        format!("         200  {a} alone\n         200  {b} alone\n"),
        "inputs done: 2 of 2".into(),
    ] {
        assert!(ended.stdout.contains(&line), "{line}: {}", ended.stdout);
    }
    corner.wait_until_ready("load", 600);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&[noon, later].concat()).lines());
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "downloads are gone");
}

#[test]
fn types_a_limit_and_a_dry_run_choose_from_the_union() {
    let corner = Corner::new("union-types");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = hour(12, 0..3000, 5);
    write(one.path(), "2015-01-01-12.json.gz", &events[..2000]);
    write(two.path(), "2015-01-01-12.json.gz", &events[1000..]);
    let command = |flags: &[&str]| {
        let bases = ["--base-url", base(one.path()), "--base-url", base(two.path())];
        let command = [&["gharchive", "2015-01-01-12", "--types", "WatchEvent"], &bases[..], flags].concat();
        corner.replay(state.path(), &command).succeed().stdout
    };
    let would = command(&["--dry-run"]);
    assert!(would.contains("would publish 1,000 events") && would.contains(" alone had 334; "), "{would}");
    assert_eq!(corner.ready("load"), 0);
    assert_eq!(published(&command(&["--limit", "900"])), 900);
    assert_eq!(queued(&corner, 900), events.iter().step_by(3).take(900).cloned().collect::<Vec<_>>());
}

#[test]
fn a_mirror_that_lacks_an_hour_costs_nothing_and_an_hour_that_all_lack_is_rejected() {
    let corner = Corner::new("union-lack");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = hour(12, 0..20, 5);
    write(one.path(), "2015-01-01-12.json.gz", &events);
    let host = ArchiveHost::serving(two.path(), &[]);
    let bases = ["--base-url", base(one.path()), "--base-url", &host.url];
    let ended =
        corner.replay(state.path(), &[&["gharchive", "2015-01-01-12"], &bases[..]].concat()).succeed();
    let line = format!("2015-01-01-12: 20 events; all from {}; {} has no file\n", base(one.path()), host.url);
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    let ended =
        corner.replay(state.path(), &[&["gharchive", "2015-01-01-12..13"], &bases[..]].concat()).wait();
    assert_eq!((ended.code, published(&ended.stdout)), (Some(1), 20), "{}", ended.stderr);
    let told =
        format!("2015-01-01-13, line 0: missing: no {}/2015-01-01-13.json.gz, no http://", base(one.path()));
    assert!(ended.stderr.contains(&told) && ended.stderr.contains("1 were rejected"), "{}", ended.stderr);
}

#[test]
fn a_damaged_file_of_one_mirror_costs_its_part_only_and_is_told_with_its_mirror() {
    let corner = Corner::new("union-damaged");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = hour(12, 0..4000, 5);
    write(one.path(), "2015-01-01-12.json.gz", &events[..3000]);
    let file = write(two.path(), "2015-01-01-12.json.gz", &events[2000..]);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() * 3 / 4]).unwrap();
    let bases = ["--base-url", base(two.path()), "--base-url", base(one.path())];
    let ended = corner.replay(state.path(), &[&["gharchive", "2015-01-01-12"], &bases[..]].concat()).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let told = format!("rejected: 2015-01-01-12 of {}, line ", base(two.path()));
    assert!(ended.stderr.contains(&told) && ended.stderr.contains(": truncated"), "{}", ended.stderr);
    let mut queued = queued(&corner, published(&ended.stdout));
    assert!((3001..4000).contains(&queued.len()), "{}", queued.len());
    queued.sort();
    queued.dedup();
    assert_eq!(queued.len() as u64, published(&ended.stdout), "each once");
    assert!(events[..3000].iter().all(|event| queued.binary_search(event).is_ok()));
}

#[test]
fn a_replay_of_several_mirrors_that_is_killed_goes_on_where_the_last_confirm_was() {
    let corner = Corner::new("union-resume");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = hour(12, 0..8000, 10);
    write(one.path(), "2015-01-01-12.json.gz", &events[..4500]);
    write(two.path(), "2015-01-01-12.json.gz", &events[2000..]);
    let command = [
        "gharchive",
        "2015-01-01-12",
        "--rate",
        "3000",
        "--base-url",
        base(one.path()),
        "--base-url",
        base(two.path()),
    ];
    let killed = corner.replay(state.path(), &command);
    // In the second file, where all of the first must be known again.
    eventually("some of it is published", || corner.ready("load") >= 6000);
    killed.kill();
    let before = corner.ready("load");
    assert!(before < 8000, "it was over before it was killed");
    let ended = corner.replay(state.path(), &command).succeed();
    let taken = ended.stderr.split("continuing after ").nth(1).and_then(|rest| rest.split(' ').next());
    let taken: u32 = taken.unwrap_or_else(|| panic!("{}", ended.stderr)).replace(',', "").parse().unwrap();
    assert_eq!(published(&ended.stdout), 8000, "{}", ended.stdout);
    let line = format!("2015-01-01-12: 8,000 events; {} alone had 2,000; ", base(one.path()));
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    let twice = corner.ready("load") - 8000;
    assert!(
        taken >= 4500 && twice <= before + 300 - taken,
        "{taken} taken: {twice} of {before} were published again"
    );
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}

#[test]
fn an_hour_whose_files_have_changed_since_it_was_begun_is_published_again() {
    let corner = Corner::new("union-changed");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = hour(12, 0..5000, 10);
    write(one.path(), "2015-01-01-12.json.gz", &events[1000..]);
    write(two.path(), "2015-01-01-12.json.gz", &events[4000..]);
    let command = [
        "gharchive",
        "2015-01-01-12",
        "--rate",
        "2000",
        "--base-url",
        base(one.path()),
        "--base-url",
        base(two.path()),
    ];
    let running = corner.replay(state.path(), &command);
    eventually("some of it is published", || corner.ready("load") >= 1100);
    let ended = running.stop();
    assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
    let before = corner.ready("load") as usize;
    assert!(before < 4000, "it was over before it was stopped");
    write(one.path(), "2015-01-01-12.json.gz", &events[..4500]);
    let ended = corner.replay(state.path(), &command).succeed();
    assert!(ended.stderr.contains("the hour is published again"), "{}", ended.stderr);
    assert_eq!(published(&ended.stdout), 5000, "{}", ended.stdout);
    corner.wait_until_ready("load", u32::try_from(before + 5000).unwrap());
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}
