//! Gaps of which GH Archive's files hold no event: which mirrors were read, when they are read again, and when the records go.

use std::path::Path;

use lapin::types::AMQPValue;
use serde_json::{Value, json};

use super::gaps::{files, record};
use super::gaps_of_sources::{gaps, of_repository, queued_ids};
use crate::support::archive_files::{hour, write};
use crate::support::archive_host::ArchiveHost;
use crate::support::corner::{Corner, properties};
use crate::support::program::Program;
use crate::support::wait::eventually;

/// The records, each with the state of its gap.
fn listed(corner: &Corner, bases: &[&str]) -> Value {
    serde_json::from_str(&gaps(corner, bases, &["--list", "--format", "json"]).stdout).unwrap()
}

/// Requests for the files themselves.
fn downloads(host: &ArchiveHost) -> usize {
    host.asked().iter().filter(|request| request.starts_with("GET")).count()
}

/// Publishes a record of a quiet repository's gap, with more fields.
fn record_with(corner: &Corner, name: &str, to: &str, more: &str) {
    let body = format!(
        r#"{{"source":"repos/{name}","from":"2015-01-01T12:00:00Z","to":"{to}","seconds":1,"detected_at":"2015-01-01T13:00:00Z","events_in_poll":300{more}}}"#
    );
    corner.amqp().publish("", &corner.queue("gaps"), &properties(name), &[body.into_bytes()]);
}

#[test]
fn a_mirror_whose_files_come_later_is_read_though_another_one_lacks_the_gap() {
    let corner = Corner::new("gap-later-mirror");
    let (all, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(all.path(), &(0..20).map(|id| of_repository(id, 1, "a/busy")).collect::<Vec<_>>());
    record(&corner, "repos/a/quiet", "12:00:00", "12:00:19");
    let (archive, mirror) = (ArchiveHost::serving(all.path(), &[]), ArchiveHost::serving(own.path(), &[]));
    let bases = [archive.url.as_str(), mirror.url.as_str()];
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let list = listed(&corner, &bases);
    assert_eq!(list[0]["lacked_by"], json!([archive.url]), "only what was read lacks it");
    let state = format!("GH Archive lacks it so far: not all files of {} were read", mirror.url);
    assert!(list[0]["state"].as_str().unwrap().starts_with(&state), "{list}");

    // What is known already is no failure of this run, and costs no download.
    let before = (downloads(&archive), downloads(&mirror));
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(&state), "{}", ended.stderr);
    assert_eq!((downloads(&archive), downloads(&mirror)), before);
    corner.wait_until_ready("gaps", 1);

    // A part of its files is enough to look again.
    write(own.path(), "2015-01-01-12.json.gz", &[of_repository(7, 2, "a/quiet")]);
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 1 events"), "{}", ended.stdout);
    assert_eq!(queued_ids(&corner), [7]);
    assert_eq!(downloads(&archive), before.0, "its files are known to hold nothing");
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn a_file_that_was_missing_is_read_when_it_comes_though_the_others_hold_nothing_of_a_gap() {
    let corner = Corner::new("gap-later-file");
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &[of_repository(1, 1, "a/busy")]);
    std::fs::remove_file(folder.path().join("2015-01-01-17.json.gz")).unwrap();
    record(&corner, "repos/a/quiet", "12:00:00", "12:00:19");
    let host = ArchiveHost::serving(folder.path(), &[]);
    let bases = [host.url.as_str()];
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("GH Archive lacks 1 gaps too"), "{}", ended.stdout);
    let list = listed(&corner, &bases);
    assert_eq!(list[0]["lacked_by"], Value::Null, "a file of it was not read: {list}");
    assert_eq!(list[0]["files_read"], json!({ (host.url.as_str()): 6 }));

    let before = downloads(&host);
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!((ended.code, downloads(&host)), (Some(0), before), "{}", ended.stderr);

    write(folder.path(), "2015-01-01-17.json.gz", &[of_repository(7, 2, "a/quiet")]);
    let ended = gaps(&corner, &bases, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 1 events"), "{}", ended.stdout);
    assert_eq!(queued_ids(&corner), [7]);
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn the_record_of_a_gap_stays_if_a_damaged_file_gave_nothing_of_it() {
    let corner = Corner::new("gap-damaged-none");
    let folder = tempfile::tempdir().unwrap();
    files(folder.path(), &hour(12, 0..3000, 5));
    let file = folder.path().join("2015-01-01-12.json.gz");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    record(&corner, "events", "12:09:50", "12:09:59");
    let bases = [folder.path().to_str().unwrap()];
    // However often: the file may be repaired by hand.
    for _ in 0..2 {
        let ended = gaps(&corner, &bases, &[]);
        let told = "2015-01-01-12.json.gz is damaged, and the files that could be read hold no event of it; the record stays";
        assert!(ended.code == Some(1) && ended.stderr.contains(told), "{}", ended.stderr);
        assert!(ended.stdout.starts_with("filled 0 gaps (0 of them in part)"), "{}", ended.stdout);
        corner.wait_until_ready("gaps", 1);
        assert_eq!(corner.ready("load"), 0);
    }
    assert_eq!(listed(&corner, &bases)[0]["lacked_by"], Value::Null);

    std::fs::write(&file, whole).unwrap();
    let ended = gaps(&corner, &bases, &[]);
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 50 events"), "{}", ended.stdout);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    corner.wait_until_ready("load", 50);
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn a_mirror_that_is_away_for_longer_than_the_patience_is_read_when_it_is_back() {
    let corner = Corner::new("gap-lacked-away");
    let (all, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(all.path(), &[of_repository(1, 1, "a/busy")]);
    files(own.path(), &[of_repository(7, 2, "a/quiet")]);
    record(&corner, "repos/a/quiet", "12:00:00", "12:00:19");
    let all = all.path().to_str().unwrap();
    // A free port, until a web server comes there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let away = format!("http://{address}");
    let flags = ["--mirror-patience", "1s"];
    let told = format!("{away} is away, which may have 2015-01-01-12.json.gz");
    let ended = gaps(&corner, &[all, &away], &flags);
    assert!(ended.code == Some(1) && ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(listed(&corner, &[all, &away])[0]["lacked_by"], json!([all]));
    // It is still away, and does not hold up the run.
    let ended = gaps(&corner, &[all, &away], &flags);
    assert!(ended.code == Some(0) && !ended.stderr.contains(&told), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 1);

    let back = std::net::TcpListener::bind(address).unwrap();
    let host = ArchiveHost::serving_at(back, own.path(), &[]);
    let ended = gaps(&corner, &[all, &host.url], &flags);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(queued_ids(&corner), [7]);
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn the_record_of_a_gap_that_gh_archive_lacks_goes_90_days_after_the_last_search() {
    let corner = Corner::new("gap-lacked-old");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_str().unwrap();
    let days_ago = |days| (chrono::Utc::now() - chrono::TimeDelta::days(days)).to_rfc3339();
    for (name, days) in [("a/older", 91), ("a/old", 90), ("a/new", 89)] {
        let more = format!(r#","lacked_by":["{base}"],"searched_at":"{}""#, days_ago(days));
        record_with(&corner, name, "2015-01-01T12:00:09Z", &more);
    }
    let told = "removing 2 records of gaps";
    for keeps in [&["--dry-run"][..], &["--queue", "load"]] {
        let ended = gaps(&corner, &[base], keeps);
        assert!(ended.code == Some(0) && !ended.stderr.contains(told), "{}", ended.stderr);
        corner.wait_until_ready("gaps", 3);
    }
    let ended = gaps(&corner, &[base], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("repos/a/old"), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 1);
    assert_eq!(listed(&corner, &[base])[0]["source"], "repos/a/new");
}

/// Starts `replay gaps --watch` with its debug log.
fn watch(corner: &Corner, state: &Path, base: &str) -> Program {
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("ETL_NAMESPACE", &corner.namespace),
        ("REPLAY_STATE_DIR", state.to_str().unwrap()),
        ("RUST_LOG", "github_event_etl=debug"),
    ];
    let command = ["gaps", "--watch", "--every", "2s", "--patience", "100years", "--base-url", base];
    Program::start("replay", &variables, &command)
}

#[test]
fn a_round_that_changes_nothing_publishes_no_record_again() {
    let corner = Corner::new("gap-unmoved");
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(&corner, "events", "12:00:00", "12:00:01");
    let watch = watch(&corner, state.path(), folder.path().to_str().unwrap());
    // The end of a round: then it sleeps.
    eventually("two rounds", || watch.stderr().matches("no gap can be filled now").count() >= 2);
    watch.stop();
    let record = corner.amqp().take(&corner.queue("gaps"), 1).pop().unwrap();
    assert!(record.redelivered, "it is the message that was published at first");
}

#[test]
fn a_record_that_was_delivered_often_is_published_anew_before_a_limit_drops_it() {
    let corner = Corner::new("gap-counted");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_str().unwrap();
    record(&corner, "events", "12:00:00", "12:00:01");
    for _ in 0..11 {
        gaps(&corner, &[base], &["--list"]);
    }
    assert_eq!(gaps(&corner, &[base], &["--patience", "100years"]).code, Some(0));
    let record = corner.amqp().take(&corner.queue("gaps"), 1).pop().unwrap();
    let headers = record.properties.headers().clone().unwrap_or_default();
    // RabbitMQ 4.3 does not count looks, and some versions tell a count of none.
    let counted = headers.inner().get("x-delivery-count").cloned().unwrap_or(AMQPValue::LongLongInt(0));
    assert_eq!(counted, AMQPValue::LongLongInt(0));
}

#[test]
fn a_record_that_no_replay_can_fill_is_told_once_and_goes() {
    let corner = Corner::new("gap-too-long");
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_str().unwrap();
    record_with(&corner, "a/b", "2016-06-01T00:00:00Z", "");
    let id = "gap repos/a/b 2015-01-01T12:00:00Z 2016-06-01T00:00:00Z";
    for (flags, code) in [(&["--list"][..], 0), (&["--dry-run"], 1)] {
        let ended = gaps(&corner, &[base], flags);
        assert!(ended.code == Some(code) && ended.stderr.contains(id), "{flags:?}: {}", ended.stderr);
        corner.wait_until_ready("gaps", 1);
    }
    let ended = gaps(&corner, &[base], &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(id) && ended.stderr.contains("its record is removed"), "{}", ended.stderr);
    corner.wait_until_ready("gaps", 0);
    let ended = gaps(&corner, &[base], &[]);
    assert!(ended.code == Some(0) && !ended.stderr.contains(id), "{}", ended.stderr);
}
