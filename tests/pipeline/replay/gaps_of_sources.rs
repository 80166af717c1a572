//! Gaps of repositories, organisations and users come from GH Archive, as far as it has them.

use std::path::Path;

use super::gaps::{files, record};
use crate::support::archive_host::ArchiveHost;
use crate::support::corner::{Corner, properties};
use crate::support::events::event;
use crate::support::program::Ended;

/// An event of a repository with this number and name, a second after the one before.
pub(super) fn of_repository(id: usize, number: u64, name: &str) -> Vec<u8> {
    let repo = format!(r#"{{"id":{number},"name":"{name}"}}"#);
    let org = format!(r#"{{"login":"{}"}}"#, name.split('/').next().unwrap());
    let time = format!("2015-01-01T12:{:02}:{:02}Z", id / 60, id % 60);
    event(id).at(&time).by(&format!("dev-{}", id % 5)).with("repo", &repo).with("org", &org).bytes()
}

pub(super) fn gaps(corner: &Corner, bases: &[&str], flags: &[&str]) -> Ended {
    let state = tempfile::tempdir().unwrap();
    let bases = bases.iter().flat_map(|base| ["--base-url", base]);
    let command: Vec<&str> = ["gaps"].into_iter().chain(bases).chain(flags.iter().copied()).collect();
    corner.replay(state.path(), &command).wait()
}

pub(super) fn queued_ids(corner: &Corner) -> Vec<u64> {
    let id = |message: crate::support::amqp::Message| {
        message.properties.message_id().as_ref().unwrap().as_str().parse().unwrap()
    };
    let mut ids: Vec<u64> = corner.take_all("load").into_iter().map(id).collect();
    ids.sort_unstable();
    ids
}

fn path(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// The same as the fetcher records for a repository.
fn record_with_number(corner: &Corner, name: &str, number: u64) {
    let body = format!(
        r#"{{"source":"repos/{name}","from":"2015-01-01T12:00:00Z","to":"2015-01-01T12:01:39Z","seconds":99,"detected_at":"2015-01-01T12:11:39Z","events_in_poll":300,"repo_id":{number}}}"#
    );
    corner.amqp().publish("", &corner.queue("gaps"), &properties(name), &[body.into_bytes()]);
}

#[test]
fn gaps_of_every_kind_of_source_are_filled_from_files_that_are_read_once() {
    let corner = Corner::new("gap-sources");
    let folder = tempfile::tempdir().unwrap();
    let names = ["rust-lang/rust", "rust-lang/cargo", "me/mine", "me/renamed"];
    let events: Vec<Vec<u8>> = (0..100).map(|id| of_repository(id, id as u64 % 4, names[id % 4])).collect();
    files(folder.path(), &events);
    record(&corner, "repos/Rust-Lang/RUST", "12:00:00", "12:00:19");
    record(&corner, "orgs/rust-lang", "12:01:00", "12:01:09");
    record(&corner, "users/dev-3", "12:00:50", "12:00:59");
    record_with_number(&corner, "me/old-name", 3);
    let host = ArchiveHost::serving(folder.path(), &[]);
    let ended = gaps(&corner, &[&host.url], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    eprintln!("{}", ended.stdout);
    let is_wanted = |id: &u64| {
        (*id < 20 && id.is_multiple_of(4))
            || ((60..70).contains(id) && id % 4 < 2)
            || ((50..60).contains(id) && id % 5 == 3)
            || id % 4 == 3
    };
    assert_eq!(queued_ids(&corner), (0..100).filter(is_wanted).collect::<Vec<_>>());
    let fetched = host.asked().iter().filter(|request| request.starts_with("GET")).count();
    assert_eq!(fetched, 7, "{:?}", host.asked());
    for line in [
        // 300 events in the ten minutes after the gap, which lasted 99 s.
        "gap repos/me/old-name 2015-01-01T12:00:00Z 2015-01-01T12:01:39Z: 25 events found of about 49",
        "gap users/dev-3 2015-01-01T12:00:50Z 2015-01-01T12:00:59Z: 2 events found of about 2",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    for line in [
        "4 gaps of single sources: 38 events found; 38 of about 55 in the 4 whose polls tell how busy",
        "GH Archive misses events of single sources, stars most of all: such a gap may stay incomplete\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn a_gap_that_gh_archive_lacks_too_is_told_stays_on_record_and_is_not_looked_for_again() {
    let corner = Corner::new("gap-lacked");
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events: Vec<Vec<u8>> = (0..20).map(|id| of_repository(id, 1, "a/busy")).collect();
    files(folder.path(), &events);
    record(&corner, "repos/a/quiet", "12:00:00", "12:00:19");
    record(&corner, "repos/a/busy", "12:00:00", "12:00:09");
    let host = ArchiveHost::serving(folder.path(), &[]);
    let lacked = "gap repos/a/quiet 2015-01-01T12:00:00Z 2015-01-01T12:00:19Z GH Archive lacks it too";
    // A dry run finds the same and changes nothing.
    for (flags, left) in [(&["--dry-run"][..], 2), (&[], 1)] {
        let ended = gaps(&corner, &[&host.url], flags);
        assert!(ended.stderr.contains(lacked), "{}", ended.stderr);
        assert!(
            ended
                .stdout
                .contains("GH Archive lacks 1 gaps too: it has no event of them, and they stay on record\n"),
            "{}",
            ended.stdout
        );
        assert!(ended.stdout.contains("1 gaps (0 of them in part) with 10 events"), "{}", ended.stdout);
        let exit = "0 in part, 0 not at all, 1 that GH Archive lacks too";
        assert!(ended.code == Some(1) && ended.stderr.contains(exit), "{}", ended.stderr);
        corner.wait_until_ready("gaps", left);
    }
    assert_eq!(queued_ids(&corner), (0..10).collect::<Vec<_>>());

    let asked = host.asked().len();
    let ended = gaps(&corner, &[&host.url], &[]);
    assert!(ended.code == Some(0) && ended.stderr.contains(lacked), "{}", ended.stderr);
    let list = gaps(&corner, &[&host.url], &["--list"]).stdout;
    assert!(list.contains("GH Archive lacks it too: its files hold no event of it\n"), "{list}");
    assert_eq!(host.asked().len(), asked, "nothing is looked for again");
    corner.wait_until_ready("gaps", 1);

    // Another mirror may have it.
    files(other.path(), &[of_repository(7, 2, "a/quiet")]);
    let ended = gaps(&corner, &[&host.url, path(&other)], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("filled 1 gaps (0 of them in part) with 1 events"), "{}", ended.stdout);
    assert_eq!(queued_ids(&corner), [7]);
    corner.wait_until_ready("gaps", 0);
}

#[test]
fn a_gap_gets_the_union_of_several_mirrors_and_waits_for_one_that_is_away() {
    let corner = Corner::new("gap-mirrors");
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let events: Vec<Vec<u8>> = (0..60).map(|id| of_repository(id, 1, "a/b")).collect();
    files(one.path(), &events[..40]);
    files(two.path(), &events[20..]);
    record(&corner, "repos/a/b", "12:00:00", "12:00:59");
    let away = "http://127.0.0.1:1";
    let patience = ["--mirror-patience", "1s", "--patience", "100years"];
    let ended = gaps(&corner, &[path(&one), away], &patience);
    let told =
        "is not filled yet, and stays on record: http://127.0.0.1:1 is away, which may have 2015-01-01-1";
    assert!(ended.code == Some(1) && ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(queued_ids(&corner), (0..40).collect::<Vec<_>>());
    let list = gaps(&corner, &[path(&one), away], &["--list", "--mirror-patience", "1s"]).stdout;
    assert!(list.contains("can be filled\n"), "{list}");
    corner.wait_until_ready("gaps", 1);

    // Of the hours that the other has nobody can say whether they exist.
    std::fs::remove_file(Path::new(path(&one)).join("2015-01-01-17.json.gz")).unwrap();
    let ended = gaps(&corner, &[path(&one), away], &["--mirror-patience", "1s"]);
    assert!(ended.stdout.contains("1 wait for files to come"), "{}", ended.stdout);
    corner.wait_until_ready("gaps", 1);

    let ended = gaps(&corner, &[path(&one), path(&two)], &patience);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(queued_ids(&corner), (0..60).collect::<Vec<_>>());
    corner.wait_until_ready("gaps", 0);
}

/// The record of a gap of a repository, with the hours of the day that it covers in part.
fn long_gap(number: usize) -> (std::ops::RangeInclusive<usize>, Vec<u8>) {
    // Half of them are one outage of the fetcher, which all sources share.
    let (first, last) = if number.is_multiple_of(2) { (12, 13) } else { (number % 24, number % 24) };
    let body = format!(
        r#"{{"source":"repos/o/r{number}","from":"2015-01-01T{first:02}:00:00Z","to":"2015-01-01T{last:02}:29:59Z","seconds":1,"detected_at":"2015-01-02T00:00:00Z","events_in_poll":300}}"#
    );
    (first..=last, body.into_bytes())
}

#[test]
fn five_thousand_gaps_over_a_day_read_each_file_once_and_miss_nothing() {
    const EVENTS_PER_HOUR: usize = 600;
    let corner = Corner::new("gap-thousands");
    let folder = tempfile::tempdir().unwrap();
    let gaps_of: Vec<_> = (0..5_000).map(long_gap).collect();
    let mut expected = Vec::new();
    for hour in 0..30_usize {
        let mut events = Vec::new();
        for id in hour * EVENTS_PER_HOUR..(hour + 1) * EVENTS_PER_HOUR {
            // Some repositories have no gap, and every other event comes after half past.
            let (number, half) = (id * 7 % 6_000, id / 3 % 2);
            let time =
                format!("2015-01-{:02}T{:02}:{:02}:00Z", 1 + hour / 24, hour % 24, half * 30 + id % 30);
            let repo = format!(r#"{{"id":{number},"name":"o/r{number}"}}"#);
            events.push(event(id).at(&time).with("repo", &repo).bytes());
            let is_inside = |hours: &std::ops::RangeInclusive<usize>| {
                hours.contains(&hour) && (half == 0 || hour < *hours.end())
            };
            if gaps_of.get(number).is_some_and(|(hours, _)| is_inside(hours)) {
                expected.push(id as u64);
            }
        }
        let name = format!("2015-01-{:02}-{}.json.gz", 1 + hour / 24, hour % 24);
        crate::support::archive_files::write(folder.path(), &name, &events);
    }
    let bodies: Vec<Vec<u8>> = gaps_of.into_iter().map(|(_, body)| body).collect();
    corner.publish_to("gaps", &properties("thousands"), &bodies);
    let host = ArchiveHost::serving(folder.path(), &[]);
    let started = std::time::Instant::now();
    let ended = gaps(&corner, &[&host.url], &[]);
    eprintln!("5,000 gaps, {} events: {:?}\n{}", 30 * EVENTS_PER_HOUR, started.elapsed(), ended.stdout);
    let mut fetched: Vec<String> =
        host.asked().into_iter().filter(|request| request.starts_with("GET")).collect();
    fetched.sort();
    fetched.dedup();
    assert_eq!((fetched.len(), host.asked().len()), (29, 58), "one HEAD and one GET each");
    assert!(expected.len() > 200, "{}", expected.len());
    assert_eq!(queued_ids(&corner), expected, "{}", ended.stderr);
    // Most of these repositories have no event in their gap.
    assert!(ended.stderr.lines().count() < 400, "the log does not name each of them");
}
