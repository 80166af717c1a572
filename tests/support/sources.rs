//! The source files of the project, for tests that read them. It stands alone, so that tests/house uses it too.

use std::fs;
use std::path::{Path, PathBuf};

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            walk(&entry, paths);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            paths.push(entry);
        }
    }
}

/// The paths of every source file below these folders.
pub fn files_below(folders: &[&str]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut paths);
    }
    paths
}

/// The text of every source file below these folders.
pub fn text_below(folders: &[&str]) -> String {
    files_below(folders).iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}
