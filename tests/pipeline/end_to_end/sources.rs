//! Many sources from a file, polled as their schedule says, while the file and GitHub change.

use std::collections::{BTreeMap, BTreeSet};

use chrono::SecondsFormat;
use github_event_etl_simulator::State;
use serde_json::Value;

use crate::support::corner::Corner;
use crate::support::github::GitHub;
use crate::support::wait::eventually;

/// Twenty repositories with 20 events a second in sum: from 6 a second to a few an hour.
const WORLD: [&str; 6] = ["--repositories", "20", "--rate", "20", "--poll-interval", "1"];

/// An event: repository, id and time.
type Happened = (String, String, String);

#[test]
fn twenty_repositories_of_a_file_are_seen_completely_while_the_file_and_github_change() {
    let corner = Corner::new("sources-file");
    let github = GitHub::generated(&WORLD);
    let all: Vec<_> = repositories(&github);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sources");
    let path = file.to_str().unwrap();
    std::fs::write(&file, lines(&all[..16])).unwrap();
    let fetcher = corner.scheduled_fetcher(&github.url, &["--sources-file", path]);
    until_polled(&github, &all[..16]);

    // An editor writes a new file and renames it. One line is wrong, three sources are gone, four are new.
    let text = format!("# changed\nrepos/no-slash\r\n{}", lines(&all[3..]).replace('\n', "\r\n"));
    std::fs::write(folder.path().join("new"), text).unwrap();
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    fetcher.wait_for("line 2: \"repos/no-slash\" is left out: must be one of events, repos/OWNER/REPO");
    fetcher.wait_for("4 sources are new, 3 are not polled any more, 13 stay");
    until_polled(&github, &all[3..]);
    github.set_state(&all[4], State::Gone);
    fetcher.wait_for("gives no events: GitHub has no such feed (404)");

    std::fs::remove_file(&file).unwrap();
    fetcher.wait_for("the sources stay as they are");
    let stay: Vec<_> = all[5..].to_vec();
    until_polled(&github, &stay);
    let expected = since_first_seen(&github, &stay);
    until_polled(&github, &stay);
    let log = fetcher.stop().stderr;

    let published: Vec<_> = corner.take_all("load").iter().map(|message| happened(&message.body)).collect();
    let published: BTreeSet<_> = published.into_iter().map(|(_, id, time)| (id, time)).collect();
    assert!(expected.len() > 50, "{}", expected.len());
    let missing: Vec<_> =
        expected.iter().filter(|(_, id, time)| !published.contains(&(id.clone(), time.clone()))).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}\n{log}", missing.len(), expected.len());
    assert_eq!(corner.ready("gaps"), 0, "{log}");
    assert_eq!(log.matches("(404)").count(), 1, "told once: {log}");
}

#[test]
fn a_sources_file_that_is_emptied_stops_no_poll_and_one_that_is_shortened_costs_no_memory() {
    let corner = Corner::new("sources-emptied");
    let github = GitHub::generated(&WORLD);
    let all: Vec<_> = repositories(&github);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sources");
    std::fs::write(&file, lines(&all)).unwrap();
    let fetcher = corner.scheduled_fetcher(&github.url, &["--sources-file", file.to_str().unwrap()]);
    until_polled(&github, &all);

    // A program that writes the list has begun.
    std::fs::write(&file, "").unwrap();
    fetcher.wait_for("names no source any more: the sources stay as they are");
    until_polled(&github, &all);
    // It writes the first lines, upper and lower case are others now, and then the rest.
    let begun: Vec<_> = all[..5].iter().map(|name| name.to_uppercase()).collect();
    std::fs::write(&file, lines(&begun)).unwrap();
    fetcher.wait_for("0 sources are new, 15 are not polled any more, 5 stay");
    std::fs::write(&file, lines(&all)).unwrap();
    fetcher.wait_for("15 sources are new, 0 are not polled any more, 5 stay");
    let expected = since_first_seen(&github, &all);
    until_polled(&github, &all);
    let log = fetcher.stop().stderr;

    let published: Vec<_> = corner.take_all("load").iter().map(|message| happened(&message.body)).collect();
    let ids: BTreeSet<_> = published.iter().cloned().collect();
    assert_eq!(ids.len(), published.len(), "those that left and came back are known: each event once");
    let missing: Vec<_> = expected.difference(&ids).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}\n{log}", missing.len(), expected.len());
    let saved = corner.memory();
    let names: Vec<_> = saved["sources"].as_object().unwrap().keys().cloned().collect();
    let listed: BTreeSet<_> = all.iter().map(|name| format!("repos/{name}")).collect();
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), listed, "{log}");
}

#[test]
fn a_sources_file_that_is_missing_at_the_start_ends_the_program_with_its_name() {
    let corner = Corner::new("sources-missing");
    let ended = corner.fetcher("http://127.0.0.1:1", &["--sources-file", "/no/such/file"]).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    for part in ["--sources-file (SOURCES_FILE)", "/no/such/file", "No such file"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn once_polls_the_sources_of_flags_and_file_each_once() {
    let corner = Corner::new("sources-once");
    let github = GitHub::generated(&["--repositories", "20", "--rate", "1"]);
    let all = repositories(&github);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sources");
    std::fs::write(&file, lines(&all[1..])).unwrap();
    let flags = [&all[0], &all[1]].map(|name| format!("repos/{name}"));
    let flags =
        ["--once", "--source", &flags[0], "--source", &flags[1], "--sources-file", file.to_str().unwrap()];
    let log = corner.scheduled_fetcher(&github.url, &flags).succeed().stderr;
    for name in &all {
        let polls = log.matches(&format!(" repos/{name}: ")).count();
        assert_eq!(polls, 1, "{name}: {log}");
    }
}

/// The names of all repositories.
fn repositories(github: &GitHub) -> Vec<String> {
    let sources = github.sources().into_iter();
    sources.filter_map(|seen| Some(seen.source.strip_prefix("repos/")?.to_owned())).collect()
}

fn lines(names: &[String]) -> String {
    names.iter().map(|name| format!("repos/{name}\n")).collect()
}

/// How often the feed of each repository was answered.
fn answers(github: &GitHub) -> BTreeMap<String, u64> {
    let sources = github.sources().into_iter();
    sources.filter_map(|seen| Some((seen.source.strip_prefix("repos/")?.to_owned(), seen.answers))).collect()
}

/// Waits until each of these has been answered once more. The quietest are polled every 20 s or so.
#[track_caller]
fn until_polled(github: &GitHub, names: &[String]) {
    let before = answers(github);
    eventually("all are polled again", || {
        let now = answers(github);
        names.iter().all(|name| now[name] > before[name])
    });
}

/// The events of these repositories that have entered since the program ran, until now.
fn since_first_seen(github: &GitHub, names: &[String]) -> BTreeSet<Happened> {
    let names: BTreeSet<_> = names.iter().collect();
    let begins = chrono::Utc::now() - chrono::TimeDelta::seconds(15);
    let entered = github.entered().into_iter();
    entered
        .filter(|one| names.contains(&one.repository) && one.created_at > begins)
        .map(|one| (one.repository, one.id, one.created_at.to_rfc3339_opts(SecondsFormat::Secs, true)))
        .collect()
}

fn happened(body: &[u8]) -> Happened {
    let event: Value = serde_json::from_slice(body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&event["repo"]["name"]), text(&event["id"]), text(&event["created_at"]))
}
