//! A position in a file, with a hash of the lines before it.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::lines::Line;

/// The number of lines that were read, and a hash of them. A file that begins with other lines has another mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub line: u64,
    digest: u64,
}

/// The lines read so far.
#[derive(Default)]
pub(super) struct Marker {
    line: u64,
    hasher: Box<Xxh3>,
}

impl Marker {
    /// Takes the next line. Of one that is too long for any event, its beginning and its length count.
    pub(super) fn add(&mut self, line: &Line<'_>) {
        self.line = line.number;
        self.hasher.update(line.text);
        self.hasher.update(&line.bytes.to_le_bytes());
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { line: self.line, digest: self.hasher.digest() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::*;

    fn marks(text: &str) -> Vec<Mark> {
        let (mut lines, mut marker, mut marks) = (Lines::new(text.as_bytes()), Marker::default(), Vec::new());
        while let Some(line) = lines.next().unwrap() {
            marker.add(&line);
            marks.push(marker.mark());
        }
        marks
    }

    #[test]
    fn files_that_begin_alike_have_the_same_marks_up_to_where_they_differ() {
        let (one, longer, other) = (marks("a\nb\nc"), marks("a\nb\nc\nd\n"), marks("a\nx\nc\n"));
        assert_eq!(one, longer[..3]);
        assert_eq!(one[0], other[0]);
        assert!(one[1] != other[1] && one[2] != other[2]);
        assert_ne!(marks("ab\nc")[1], marks("a\nbc")[1]);
    }
}
