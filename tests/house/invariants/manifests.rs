//! The manifests: the image is built with their targets, and their dependencies are used.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Source, sources};
use crate::sources::text_below;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The names of the dependencies below a heading of a manifest such as `[dependencies]`, as code writes them.
fn dependencies(manifest: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.lines().skip_while(|line| *line != heading).skip(1);
    let section = section.take_while(|line| !line.starts_with('['));
    let names: Vec<String> = section
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_")))
        .collect();
    assert!(!names.is_empty(), "{manifest} has nothing below {heading}");
    names
}

/// True when `code` has a path that begins with `name`, such as `name::` or `use name;`.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        begins && (after.starts_with("::") || before.ends_with("use ") && after.starts_with([';', ' ']))
    })
}

/// Production code below a folder.
fn production(folder: &str) -> String {
    let of_folder = |source: &Source| source.file.starts_with(folder);
    let lines = sources().into_iter().filter(of_folder).flat_map(|source| source.code);
    lines.map(|(_, line)| line + "\n").collect()
}

#[test]
fn every_dependency_of_a_manifest_is_used() {
    let everything = ["src", "tests"];
    for (manifest, heading, code) in [
        ("Cargo.toml", "[dependencies]", production("src/")),
        ("Cargo.toml", "[dev-dependencies]", text_below(&everything)),
        ("benches/Cargo.toml", "[dependencies]", text_below(&["benches", "tests/support"])),
        ("simulator/Cargo.toml", "[dependencies]", production("simulator/src/")),
        ("simulator/Cargo.toml", "[dev-dependencies]", text_below(&["simulator"])),
    ] {
        let unused: Vec<_> =
            dependencies(manifest, heading).into_iter().filter(|name| !names_crate(&code, name)).collect();
        assert!(unused.is_empty(), "{manifest} {heading}: nothing names {unused:?}: remove them");
    }
}

#[test]
fn every_package_comes_from_crates_io_or_is_ours() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources: Vec<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert!(sources.len() > 100, "{}", sources.len());
    let crates_io = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(
        sources.iter().all(|source| *source == crates_io),
        "Cargo.lock has another source than {crates_io}"
    );
}

#[test]
fn a_dependency_is_told_from_other_words() {
    for (code, name) in
        [("url::Url", "url"), ("use url;", "url"), ("&url::Url", "url"), ("use rand as r;", "rand")]
    {
        assert!(names_crate(code, name), "{code}");
    }
    for (code, name) in
        [("curl::Url", "url"), ("let url: Url", "url"), ("crate::url::Url", "url"), ("url_of::X", "url")]
    {
        assert!(!names_crate(code, name), "{code}");
    }
}

#[test]
fn the_image_is_built_with_every_target_that_the_manifest_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let dockerfile = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let mut named = 0;
    for (kind, folder) in [("[[test]]", "tests"), ("[[bench]]", "benches")] {
        for section in manifest.split(kind).skip(1) {
            let name = section.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            named += 1;
            // Cargo refuses a manifest whose targets have no file.
            let files = [format!(" {folder}/{name}.rs"), format!(" {folder}/{name}/main.rs")];
            assert!(files.iter().any(|file| dockerfile.contains(file)), "Dockerfile does not make {files:?}");
        }
    }
    assert!(named >= 2, "{named}");
    // Cargo reads the manifest of every member, whether it builds it or not.
    let members = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let copy = format!("\nCOPY {member}/Cargo.toml {member}/\n");
        assert!(dockerfile.contains(&copy), "Dockerfile does not have{copy}");
    }
}
