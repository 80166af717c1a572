//! The walls of the house, held by reading the sources. ARCHITECTURE.md states them.

mod licences;
mod manifests;
mod rooms;

use std::fs;
use std::path::Path;

use crate::sources::files_below;

/// A source file: its path below `src` (or `simulator/…` for the simulator's), and its lines without tests and comments.
struct Source {
    path: String,
    /// Its path in the project's folder.
    file: String,
    /// Production code: each line with its number.
    code: Vec<(usize, String)>,
    /// Lines up to the tests, comments included.
    lines: usize,
}

/// The sources of both packages.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = files_below(&["src", "simulator/src"]);
    assert!(paths.len() > 20, "{paths:?}");
    paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            // By convention a file's tests stand at its end, or in a file `tests.rs` or `…_tests.rs`.
            let is_tests = path.to_str().unwrap().ends_with("tests.rs");
            let production: Vec<_> =
                text.lines().take_while(|line| !is_tests && line.trim() != "#[cfg(test)]").collect();
            let lines = production.len();
            let numbered = (1..).zip(production.into_iter().map(str::to_owned));
            let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            Source {
                path: file.strip_prefix("src/").map_or_else(|| file.replacen("/src/", "/", 1), str::to_owned),
                file,
                code: numbered.filter(|(_, line)| !line.trim_start().starts_with("//")).collect(),
                lines,
            }
        })
        .collect()
}

/// Asserts that `words` stand only in files whose path begins with one of `homes`.
#[track_caller]
fn only_in(homes: &[&str], words: &[&str]) {
    absent(words, |path| !homes.iter().any(|home| path.starts_with(home)));
}

/// Asserts that none of `words` stands in the files that `concerns` picks.
#[track_caller]
fn absent(words: &[&str], concerns: impl Fn(&str) -> bool) {
    let sources = sources();
    let found: Vec<String> = sources
        .iter()
        .filter(|source| concerns(&source.path))
        .flat_map(|source| source.code.iter().map(move |(number, line)| (source, number, line)))
        .filter(|(_, _, line)| words.iter().any(|word| line.contains(word)))
        .map(|(source, number, line)| format!("{}:{number}: {}", source.file, line.trim()))
        .collect();
    assert!(found.is_empty(), "{words:?} must not stand in\n{}", found.join("\n"));
}

#[test]
fn only_the_broker_module_names_lapin() {
    only_in(&["broker/"], &["lapin::", "use lapin"]);
}

#[test]
fn only_the_store_names_redis() {
    only_in(&["store/"], &["redis::", "use redis;", "use redis "]);
}

#[test]
fn only_the_github_and_gh_archive_modules_name_reqwest() {
    only_in(&["github", "gharchive"], &["reqwest"]);
}

#[test]
fn only_the_telemetry_module_names_opentelemetry() {
    only_in(&["telemetry/"], &["opentelemetry"]);
}

#[test]
fn only_the_retry_module_names_backoff() {
    only_in(&["retry.rs"], &["use backoff", " backoff::backoff"]);
}

#[test]
fn the_module_that_knows_githubs_json_does_no_io() {
    absent(&["tokio", "std::fs", "std::net", "std::io", "std::env", "async "], |path| {
        path.starts_with("event/")
    });
}

#[test]
fn the_fetcher_and_replay_do_not_know_the_store() {
    let publishers = ["fetcher", "replay", "github", "gharchive", "bin/fetcher", "bin/replay"];
    absent(&["store"], |path| publishers.iter().any(|start| path.starts_with(start)));
}

#[test]
fn nothing_panics_outside_tests_on_purpose() {
    absent(&[".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("], |_| true);
}

#[test]
fn everything_that_waits_is_bounded() {
    absent(&["unbounded"], |_| true);
}

#[test]
fn one_type_of_lock_serves_all() {
    // `parking_lot` has no poison to ignore. Locks that are held across an await are tokio's.
    for name in ["Mutex", "RwLock", "Condvar"] {
        let sources = sources();
        let lines =
            sources.iter().flat_map(|source| source.code.iter().map(move |line| (&source.file, line)));
        let found: Vec<_> =
            lines.filter(|(_, (_, line))| line.contains("std::sync") && line.contains(name)).collect();
        assert!(found.is_empty(), "use parking_lot::{name}: {found:?}");
    }
}

#[test]
fn no_body_is_serialised_again() {
    // Reading is `serde_json::from_`; writing is for what we make ourselves: the dashboard, the simulator, our records.
    absent(&["serde_json::to_"], |path| {
        ["event/", "loader/", "store/"].iter().any(|start| path.starts_with(start))
    });
}

#[test]
fn files_are_short_and_binaries_shorter() {
    // Tests do not count: a module's tests may stand in its file, or in a file `tests.rs` below it.
    for Source { path, file, lines, .. } in sources() {
        let is_binary = path.starts_with("bin/") || path == "simulator/main.rs";
        let most = if is_binary { 40 } else { 400 };
        assert!(lines <= most, "{file} has {lines} lines of production code, at most {most} are good");
    }
}

#[test]
fn files_of_the_benchmark_are_short() {
    for path in files_below(&["benches"]) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 250, "{} has {lines} lines, at most 250 are good", path.display());
    }
}

#[test]
fn every_module_is_in_the_file_that_its_name_says() {
    for path in files_below(&["src", "simulator/src"]) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("#[path"),
            "{} has #[path = …]: give the file the module's name",
            path.display()
        );
    }
}
