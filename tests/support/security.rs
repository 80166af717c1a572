//! Lines of docs/SECURITY.md, which tests run as they stand there.

use std::path::Path;

/// The commands of docs/SECURITY.md that begin with `begin`, each in one line.
pub fn documented(begin: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md");
    let text = std::fs::read_to_string(path).unwrap().replace(" \\\n", " ");
    let lines: Vec<String> =
        text.lines().map(str::trim).filter(|line| line.starts_with(begin)).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "docs/SECURITY.md has no {begin}");
    lines
}

/// `words` without the one at `place`.
pub fn without(words: &[String], place: usize) -> Vec<String> {
    let mut words = words.to_vec();
    words.remove(place);
    words
}
