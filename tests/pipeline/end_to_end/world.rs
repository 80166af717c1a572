//! Many repositories, each with a feed of its own: all that happened in them is published, and nothing else.

use std::collections::BTreeSet;

use chrono::SecondsFormat;
use github_event_etl_simulator::{Entered, State, Tally};
use serde_json::Value;

use crate::support::corner::Corner;
use crate::support::github::{GitHub, open_feeds};
use crate::support::wait::eventually;

/// Twenty repositories: two of them renamed, one each gone, blocked and refused.
const WORLD: [&str; 12] = [
    "--repositories",
    "20",
    "--rate",
    "30",
    "--renamed",
    "0.1",
    "--gone",
    "0.05",
    "--blocked",
    "0.05",
    "--refused",
    "0.05",
];

#[test]
fn what_happened_in_twenty_repositories_is_published_once_whoever_was_renamed_or_is_gone() {
    let corner = Corner::new("world");
    let started = chrono::Utc::now();
    let github = GitHub::generated(&WORLD);
    let repositories: Vec<_> =
        github.sources().into_iter().filter(|seen| seen.source.starts_with("repos/")).collect();
    let flags: Vec<_> = repositories.iter().flat_map(|seen| ["--source", seen.source.as_str()]).collect();
    let fetcher = corner.fetcher(&github.url, &flags);
    let (_, at_first) = open_feeds(&github.until("all are asked", |served| open_feeds(served).0));
    github.until("200 more enter", |served| open_feeds(served).1.entered >= at_first.entered + 200);
    github.rest();
    // New events may have pushed history out of a window before the first poll came to its last page.
    let is_done = |tally: Tally| tally.fetched + tally.missed == tally.entered;
    let (_, tally) = open_feeds(&github.until("all are fetched", |served| is_done(open_feeds(served).1)));

    eventually("all are published", || u64::from(corner.ready("load")) >= tally.fetched);
    fetcher.stop();
    let published: Vec<_> = corner.take_all("load").iter().map(|message| identity(&message.body)).collect();
    assert_eq!(published.len() as u64, tally.fetched);
    let published: BTreeSet<_> = published.into_iter().collect();
    assert_eq!(published.len() as u64, tally.fetched, "each once");
    let open = repositories.iter().filter(|seen| matches!(seen.state, State::Served | State::Renamed));
    let open: BTreeSet<_> = open.map(|seen| &seen.source["repos/".len()..]).collect();
    let entered: Vec<_> =
        github.entered().into_iter().filter(|one| open.contains(one.repository.as_str())).collect();
    let since: BTreeSet<_> = entered.iter().filter(|one| one.created_at > started).map(in_words).collect();
    assert!(since.len() >= 200 && since.is_subset(&published), "some that entered are missing");
    assert!(published.is_subset(&entered.iter().map(in_words).collect()), "some never entered");
    assert_eq!(corner.ready("gaps"), 0);
}

/// What makes an event that one and no other: its id and its time.
fn identity(body: &[u8]) -> (String, String) {
    let event: Value = serde_json::from_slice(body).unwrap();
    let text = |key: &str| event[key].as_str().unwrap().to_owned();
    (text("id"), text("created_at"))
}

fn in_words(one: &Entered) -> (String, String) {
    (one.id.clone(), one.created_at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
