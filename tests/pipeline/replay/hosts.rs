//! Files that come over a network.

use super::published;
use crate::support::archive_files::{hour, write};
use crate::support::archive_host::{ArchiveHost, Mishap};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::oracle::Oracle;

#[test]
fn a_download_that_breaks_off_goes_on_where_it_broke_and_a_server_in_trouble_is_waited_for() {
    let corner = Corner::new("download");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = hour(5, 0..2000, 5);
    write(files.path(), "2015-01-01-5.json.gz", &events);
    let host = ArchiveHost::serving(
        files.path(),
        &[Mishap::Status(503), Mishap::CutAfter(5000), Mishap::CutAfter(700)],
    );
    let ended =
        corner.replay(state.path(), &["gharchive", "2015-01-01-05", "--base-url", &host.url]).succeed();
    let file = "GET /2015-01-01-5.json.gz";
    assert_eq!(
        host.asked(),
        [file.to_owned(), file.into(), format!("{file} from 5000"), format!("{file} from 5700")]
    );
    assert!(
        ended.stderr.contains("GH Archive at 127.0.0.1") && ended.stderr.contains("is back"),
        "{}",
        ended.stderr
    );
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "downloads are gone");
}

#[test]
fn several_hours_come_from_a_server_and_one_that_is_missing_or_refused_is_told() {
    let corner = Corner::new("range");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hours: Vec<_> =
        (0..6).map(|number| hour(number, number as usize * 100..number as usize * 100 + 100, 5)).collect();
    for (number, events) in hours.iter().enumerate().filter(|(number, _)| *number != 3) {
        write(files.path(), &format!("2015-01-01-{number}.json.gz"), events);
    }
    let host = ArchiveHost::serving(files.path(), &[]);
    let ended =
        corner.replay(state.path(), &["gharchive", "2015-01-01-0..5", "--base-url", &host.url]).wait();
    assert_eq!((ended.code, published(&ended.stdout)), (Some(1), 500), "{}", ended.stderr);
    assert!(ended.stderr.contains("2015-01-01-3, line 0: missing: no http://127.0.0.1"), "{}", ended.stderr);
    corner.drain();
    let there: Vec<_> = hours
        .into_iter()
        .enumerate()
        .filter(|(number, _)| *number != 3)
        .flat_map(|(_, events)| events)
        .collect();
    assert_same("Redis", &corner.dump(), &Oracle::of(&there).lines());
}

#[test]
fn a_server_that_refuses_is_not_asked_again() {
    let corner = Corner::new("refused");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let host = ArchiveHost::serving(files.path(), &[Mishap::Status(403)]);
    let ended = corner.replay(state.path(), &["gharchive", "2015-01-01-0", "--base-url", &host.url]).wait();
    assert!(ended.code == Some(1) && ended.stderr.contains("answered 403"), "{}", ended.stderr);
    assert_eq!(host.asked().len(), 1);
}

#[test]
fn a_server_that_is_not_there_is_named_and_waited_for_until_told_to_stop() {
    let corner = Corner::new("nowhere");
    let state = tempfile::tempdir().unwrap();
    let replay =
        corner.replay(state.path(), &["gharchive", "2015-01-01-0", "--base-url", "http://127.0.0.1:1"]);
    replay.wait_for("GH Archive at 127.0.0.1:1 is away");
    let ended = replay.stop();
    assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
}
