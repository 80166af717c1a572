//! As many events as ninety repositories have in a day, in half a minute: the schedule misses hardly any.
//!
//! The world is faster than life, and so is its quota; the schedule's own times are as always. The simulation in
//! `src/fetcher/feeds/simulation.rs` has a real day, without HTTP.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::support::corner::Corner;
use crate::support::github::{GitHub, open_feeds};
use crate::support::program::Program;

/// Some are renamed: their polls cost one request more.
const WORLD: [&str; 12] = [
    "--repositories",
    "90",
    "--rate",
    "60",
    "--renamed",
    "0.05",
    "--poll-interval",
    "1",
    "--rate-limit",
    "1000",
    "--rate-limit-window",
    "60",
];

#[test]
fn a_days_events_of_ninety_repositories_are_seen_but_for_one_in_a_hundred() {
    let corner = Corner::new("day");
    let github = GitHub::generated(&WORLD);
    let mut file = NamedTempFile::new().unwrap();
    for seen in github.sources().iter().filter(|seen| seen.source.starts_with("repos/")) {
        writeln!(file, "{}", seen.source).unwrap();
    }
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("ETL_NAMESPACE", &corner.namespace),
        ("GITHUB_API_URL", &github.url),
        ("GITHUB_TOKEN", "ours"),
        ("SOURCES_FILE", file.path().to_str().unwrap()),
    ];
    let fetcher = Program::start("fetcher", &variables, &[]);
    let (_, at_first) = open_feeds(&github.until("all are asked", |served| open_feeds(served).0));
    let (_, after) =
        open_feeds(&github.until("a day's events enter", |served| {
            open_feeds(served).1.entered >= at_first.entered + 1_500
        }));
    fetcher.stop();
    let (entered, missed) = (after.entered - at_first.entered, after.missed - at_first.missed);
    let pending = after.entered - after.fetched - after.missed;
    println!("entered {entered}, missed {missed}, not yet polled {pending}, {:?}", github.served().statuses);
    assert!(missed * 100 <= entered, "{missed} of {entered} were missed");
    assert!(pending * 2 <= entered, "{pending} of {entered} were not seen in time");
    // The poll that was under way when the fetcher stopped may be lost: at most a window.
    let published = u64::from(corner.ready("load"));
    assert!((after.fetched - 300..=github.served().events.fetched).contains(&published), "{published}");
}
