//! Files, tests and fields of the status that documents name exist.

use std::collections::BTreeSet;
use std::path::Path;

use github_event_etl::status::{FetcherStatus, LoaderStatus, SourceState, SourceStatus, Status};
use serde_json::json;

use super::{documents, is_code, quoted, read, root};
use crate::sources::{files_below, text_below};

/// The folders that documents may leave out of a path, besides their own.
const FOLDERS: [&str; 4] = ["", "src", "src/dashboard", "src/dashboard/assets"];

/// The files and folders of the project that a text names, in backticks or not, code blocks left out. Paths that begin with a dot or
/// a slash are none of the project.
fn paths(text: &str) -> Vec<String> {
    let ends = [".rs", ".lua", ".md", ".yml", ".js", ".html", ".json", ".css", ".sh", ".toml", ".txt", "/"];
    let is_in_path = |c: char| c.is_alphanumeric() || "._-/*…".contains(c);
    let prose = text.lines().filter(|line| !is_code(line)).collect::<Vec<_>>().join("\n");
    let words = prose.split(|c| !is_in_path(c)).map(|word| word.trim_end_matches('.'));
    let is_path = |word: &&str| {
        ends.iter().any(|end| word.len() > end.len() && word.ends_with(end))
            && !word.contains(['*', '…'])
            // Ports at the end of addresses, paths elsewhere.
            && !word.starts_with(|c: char| c.is_ascii_digit() || "./".contains(c))
    };
    words.filter(is_path).map(str::to_owned).collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let (mut missing, mut named) = (Vec::new(), 0);
    for document in documents() {
        let own = Path::new(&document).parent().unwrap().to_str().unwrap();
        for path in paths(&read(&document)) {
            named += 1;
            if ![&FOLDERS[..], &[own]].concat().iter().any(|folder| root().join(folder).join(&path).exists())
            {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(named > 100, "{named}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn the_api_document_names_every_field_of_the_status() {
    let bare = json!({
        "program": "", "instance": "", "host": "", "pid": 0, "version": "", "ready": true, "problems": [],
        "started_at": "2026-01-01T00:00:00Z", "sent_at": "2026-01-01T00:00:00Z",
    });
    // A field that is not in this JSON must have a default, so that statuses of older versions can be read.
    let mut status: Status = serde_json::from_value(bare).unwrap();
    status.loader = Some(LoaderStatus::default());
    status.fetcher = Some(FetcherStatus::default());
    let status = serde_json::to_value(status).unwrap();
    let fields = [&status, &status["loader"], &status["fetcher"]].map(|object| object.as_object().unwrap());
    let text = read("docs/API.md");
    let section = text.split("## `GET /api/workers`").nth(1).unwrap().split("\n## ").next().unwrap();
    for field in fields.into_iter().flat_map(|object| object.keys()) {
        assert!(section.contains(&format!("\"{field}\":")), "{field} is not in docs/API.md, /api/workers");
    }
}

#[test]
fn the_api_document_names_every_field_and_state_of_a_source() {
    let some = || Some("2026-01-01T00:00:00Z".parse().unwrap());
    let whole = SourceStatus {
        events_per_hour: Some(1.0),
        last_poll_at: some(),
        next_poll_at: some(),
        newest_event_at: some(),
        coverage: Some(1.0),
        blind: true,
        trouble: Some(String::new()),
        moved_to: Some(String::new()),
        token: Some(1),
        ..SourceStatus::default()
    };
    let whole = serde_json::to_value(whole).unwrap();
    let text = read("docs/API.md");
    let section = text.split("## `GET /api/sources").nth(1).unwrap().split("\n## ").next().unwrap();
    let words = quoted(&format!("`{section}"));
    let fields = whole.as_object().unwrap().keys().cloned();
    for word in fields.chain(SourceState::KNOWN.iter().map(|state| state.label().to_owned())) {
        assert!(words.contains(&word), "`{word}` is not in docs/API.md, /api/sources");
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources = text_below(&["src", "simulator", "tests"]);
    let (mut missing, mut named) = (Vec::new(), 0);
    for document in documents() {
        for word in quoted(&read(&document)) {
            let name = word.rsplit("::").next().unwrap();
            let (name, is_whole) = name.split_once('…').map_or((name, true), |(begins, _)| (begins, false));
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            // Names of tests are sentences; those of metrics begin with the prefix.
            if !is_name || name.matches('_').count() < 4 || name.starts_with("github_etl") {
                continue;
            }
            named += 1;
            let function = format!("fn {name}{}", if is_whole { "(" } else { "" });
            if !sources.contains(&function) {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(named > 80, "{named}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_module_of_tests_that_a_document_names_exists() {
    let modules: BTreeSet<String> = files_below(&["src", "simulator", "tests"])
        .iter()
        .flat_map(|path| {
            path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>()
        })
        .collect();
    let (mut missing, mut named) = (Vec::new(), 0);
    for document in ["ARCHITECTURE.md", "docs/GUARANTEES.md", "docs/FAULTS.md", "docs/SECURITY.md"] {
        for word in quoted(&read(document)) {
            let is_path = word.contains("::")
                && word.chars().all(|c| c.is_ascii_lowercase() || "_:…".contains(c) || c.is_ascii_digit());
            let segments: Vec<&str> =
                word.split("::").filter(|segment| !segment.is_empty() && !segment.contains('…')).collect();
            // Those with many words are tests, which have a check of their own.
            for module in segments.iter().filter(|segment| is_path && segment.matches('_').count() < 4) {
                named += 1;
                if !modules.contains(*module) {
                    missing.push(format!("{document}: {module} of `{word}`"));
                }
            }
        }
    }
    assert!(named > 80, "{named}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
