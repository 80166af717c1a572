//! Files and tests that documents name exist.

use std::collections::BTreeSet;

use super::{documents, quoted, read, root};
use crate::sources::{files_below, text_below};

/// True for a path of the project as documents write it: from the project's folder, or from `src`.
fn exists(path: &str) -> bool {
    [root(), root().join("src"), root().join("src/dashboard"), root().join("src/dashboard/assets")]
        .iter()
        .any(|folder| folder.join(path).exists())
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    let is_path = |word: &&String| {
        let ends = [".rs", ".lua", ".md", ".yml", ".js", ".html", ".json", ".css", ".sh", "/"];
        ends.iter().any(|end| word.ends_with(end))
            && !word.contains([' ', '…', '<', '*'])
            && !word.starts_with('.')
    };
    let words = quoted(&text);
    let paths: Vec<_> = words.iter().filter(is_path).collect();
    assert!(paths.len() > 20, "{paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:?}");
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
