//! A mirror that is away costs its part only, and a rerun fetches that.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::published;
use crate::support::archive_files::{hour, write};
use crate::support::archive_host::{ArchiveHost, Mishap};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::oracle::Oracle;
use crate::support::program::Ended;
use crate::support::stranger;
use crate::support::wait::eventually;

const HOURS: std::ops::Range<u32> = 0..6;

/// The events of some hours, of which the first mirror has the first 150 of 200, and the second the last 150.
fn mirrors(one: &Path, two: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for number in HOURS {
        let first = number as usize * 200;
        let events = hour(number, first..first + 200, 5);
        let name = format!("2015-01-01-{number}.json.gz");
        write(one, &name, &events[..150]);
        write(two, &name, &events[50..]);
        all.extend(events);
    }
    all
}

fn replay(corner: &Corner, state: &Path, bases: [&str; 2], patience: &str, flags: &[&str]) -> Ended {
    let mirrors = ["--base-url", bases[0], "--base-url", bases[1], "--mirror-patience", patience];
    corner.replay(state, &[&["gharchive", "2015-01-01-0..5"], &mirrors[..], flags].concat()).wait()
}

#[test]
fn what_a_mirror_that_was_away_has_comes_with_the_same_command_when_it_is_back() {
    let corner = Corner::new("away");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = mirrors(one.path(), two.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let (host, url) = (ArchiveHost::serving(one.path(), &[]), format!("http://{address}"));
    // The second run finds the same, and publishes nothing again.
    for said in ["without", "fetching the parts of mirrors that were away when an earlier run"] {
        let ended = replay(&corner, state.path(), [&url, &host.url], "1s", &[]);
        assert_eq!((ended.code, published(&ended.stdout)), (Some(1), 900), "{}", ended.stderr);
        let told = format!(
            "without {url}, which was away: 2015-01-01-0, 2015-01-01-1, 2015-01-01-2, 2015-01-01-3, 2015-01-01-4, 2015-01-01-5\n"
        );
        assert!(ended.stdout.contains(&told), "{}", ended.stdout);
        assert!(ended.stderr.contains("6 hours lack the part of a mirror that was away"), "{}", ended.stderr);
        assert!(ended.stdout.contains(said) || ended.stderr.contains(said), "{said}: {}", ended.stderr);
        corner.wait_until_ready("load", 900);
    }
    assert_eq!(host.asked().len(), 6, "the mirror that was there is not asked again");

    let back = ArchiveHost::serving_at(TcpListener::bind(address).unwrap(), two.path(), &[]);
    let ended = replay(&corner, state.path(), [&url, &host.url], "1s", &[]);
    assert_eq!((ended.code, published(&ended.stdout)), (Some(0), 1200), "{}", ended.stderr);
    let line = format!(
        "2015-01-01-5: 200 events, 50 more than before; {url} alone had 50; {} alone had 50\n",
        host.url
    );
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    assert!(ended.stdout.contains(&format!("         300  {url} alone\n")), "{}", ended.stdout);
    assert_eq!(back.asked().len(), 6);
    // Each event once in the queue, over all runs.
    corner.wait_until_ready("load", 1200);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "nothing is left to do");
}

#[test]
fn a_mirror_that_hangs_holds_up_no_hour_for_long() {
    let corner = Corner::new("hangs");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    mirrors(one.path(), two.path());
    let silent = format!("http://127.0.0.1:{}", stranger::mute());
    let started = Instant::now();
    let ended =
        replay(&corner, state.path(), [one.path().to_str().unwrap(), &silent], "1s", &["--keep-going"]);
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    assert_eq!((ended.code, published(&ended.stdout)), (Some(0), 900), "{}", ended.stderr);
    let line = format!("2015-01-01-0: 150 events; all from {}; {silent} is away\n", one.path().display());
    assert!(ended.stdout.contains(&line), "{}", ended.stdout);
    assert_eq!(corner.ready("load"), 900);
}

#[test]
fn a_mirror_in_trouble_for_a_moment_is_waited_for_and_one_that_refuses_is_told() {
    let corner = Corner::new("moment");
    let [one, two, state] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let events = mirrors(one.path(), two.path());
    let troubled = ArchiveHost::serving(two.path(), &[Mishap::Status(503), Mishap::CutAfter(500)]);
    let bases = [one.path().to_str().unwrap(), &troubled.url];
    let ended = replay(&corner, state.path(), bases, "30s", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(published(&ended.stdout), 1200, "{}", ended.stdout);
    corner.wait_until_ready("load", 1200);
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());

    let refusing = ArchiveHost::serving(two.path(), &[Mishap::Status(403)]);
    let ended = replay(&corner, state.path(), [bases[0], &refusing.url], "30s", &["--dry-run"]);
    assert_eq!(
        (ended.code, published(&ended.stdout.replace("would publish", "published"))),
        (Some(1), 1150),
        "{}",
        ended.stdout
    );
    assert!(ended.stderr.contains(&format!("of {}, line 0: refused: ", refusing.url)), "{}", ended.stderr);
}

#[test]
fn if_no_mirror_answers_they_are_waited_for_as_one_alone_is() {
    let corner = Corner::new("all-away");
    let state = tempfile::tempdir().unwrap();
    let asked: [Arc<AtomicUsize>; 2] = Default::default();
    let [one, two] = asked.clone().map(|asked| {
        let port = stranger::answering(move |_| {
            asked.fetch_add(1, Ordering::Relaxed);
            b"HTTP/1.1 503 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
        });
        format!("http://127.0.0.1:{port}")
    });
    let command =
        ["gharchive", "2015-01-01-0", "--mirror-patience", "1s", "--base-url", &one, "--base-url", &two];
    let replay = corner.replay(state.path(), &command);
    // The waits between four requests are longer than the patience.
    eventually("each is asked again and again", || {
        asked.iter().all(|asked| asked.load(Ordering::Relaxed) >= 5)
    });
    let ended = replay.stop();
    assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
}
