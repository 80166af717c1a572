//! The text of a sources file. Pure.
//!
//! One source a line, and its weight behind it if that is not 1: `repos/rust-lang/rust 2.5`. `#` begins a comment. A line that
//! is wrong is left out, and the others count.

use std::collections::HashSet;

use crate::config::Source;

/// More sources than this are left out: the fetcher's memory of all of them must fit into one message.
pub(super) const SOURCES_MAX: usize = 20_000;
/// The bounds of a weight.
const WEIGHT_MIN: f64 = 0.01;
const WEIGHT_MAX: f64 = 100.0;
/// So many characters of a wrong line are shown.
const SHOWN_MAX: usize = 80;

/// A source to be polled.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fetcher) struct Listed {
    pub source: Source,
    /// How much its events matter, beside those of other sources.
    pub weight: f64,
}

/// A line that is left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub number: usize,
    /// Its beginning. It may hold anything.
    pub text: String,
    pub reason: String,
}

/// The sources of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct List {
    pub sources: Vec<Listed>,
    pub bad: Vec<BadLine>,
}

impl List {
    /// Reads the text of a file, line by line.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut list = Self::default();
        let mut known = HashSet::new();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            match parse_line(line) {
                Ok(None) => {}
                Ok(Some(listed)) if known.contains(&same(&listed.source)) => {}
                Ok(Some(_)) if list.sources.len() == SOURCES_MAX => {
                    list.leave_out(
                        number,
                        line,
                        format!("there are {SOURCES_MAX} sources already, which is the most"),
                    );
                }
                Ok(Some(listed)) => {
                    known.insert(same(&listed.source));
                    list.sources.push(listed);
                }
                Err(reason) => list.leave_out(number, line, reason),
            }
        }
        list
    }

    fn leave_out(&mut self, number: usize, line: &[u8], reason: String) {
        let text = String::from_utf8_lossy(line).trim().chars().take(SHOWN_MAX).collect();
        self.bad.push(BadLine { number, text, reason });
    }
}

/// A source's name in lower case. GitHub does not distinguish upper and lower case.
pub(super) fn same(source: &Source) -> String {
    source.to_string().to_ascii_lowercase()
}

/// The source of a line. None if there is none on it.
fn parse_line(line: &[u8]) -> Result<Option<Listed>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "must be UTF-8 text".to_owned())?;
    let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
    let Some(source) = words.next() else { return Ok(None) };
    let source = source.parse()?;
    let weight = words.next().map_or(Ok(1.0), parse_weight)?;
    match words.next() {
        None => Ok(Some(Listed { source, weight })),
        Some(_) => Err("must be one source and its weight: a comment begins with #".into()),
    }
}

fn parse_weight(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|weight| (WEIGHT_MIN..=WEIGHT_MAX).contains(weight));
    weight.ok_or_else(|| format!("its weight must be a number from {WEIGHT_MIN} to {WEIGHT_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> (Vec<String>, Vec<(usize, String)>) {
        let list = List::parse(text);
        let sources =
            list.sources.iter().map(|listed| format!("{} {}", listed.source, listed.weight)).collect();
        (sources, list.bad.into_iter().map(|bad| (bad.number, bad.reason)).collect())
    }

    #[test]
    fn a_file_has_a_source_a_line_with_comments_weights_and_blank_lines() {
        let text = b"\xef\xbb\xbf# ours\r\nrepos/rust-lang/rust 2.5\r\n\r\n  orgs/github\t10 # all of it\r\nevents\nusers/me#x";
        let sources = ["repos/rust-lang/rust 2.5", "orgs/github 10", "events 1", "users/me 1"];
        assert_eq!(parsed(text), (sources.map(str::to_owned).into(), vec![]));
        for nothing in [&b""[..], b"\n\n", b"# only\r\n", b"\xef\xbb\xbf"] {
            assert_eq!(parsed(nothing), (vec![], vec![]));
        }
    }

    #[test]
    fn a_wrong_line_is_left_out_and_told_by_its_number_with_what_is_right() {
        let text = b"repos/a/b\nrepos/a\nrepos/a/c 0\nrepos/a/d NaN\nrepos/a/e 1 2\n\xff\xfe\nrepos/a/f 101\nrepos/a/g inf\norgs/z";
        let (sources, bad) = parsed(text);
        assert_eq!(sources, ["repos/a/b 1", "orgs/z 1"]);
        let reasons = [
            "repos/OWNER/REPO",
            "0.01 to 100",
            "0.01 to 100",
            "comment",
            "UTF-8",
            "0.01 to 100",
            "0.01 to 100",
        ];
        assert_eq!(bad.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8]);
        for ((_, reason), part) in bad.iter().zip(reasons) {
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn a_source_listed_twice_counts_once_whatever_the_case() {
        assert_eq!(parsed(b"repos/A/b 2\nrepos/a/B 3\nrepos/a/b").0, ["repos/A/b 2"]);
    }

    #[test]
    fn no_file_makes_the_list_grow_without_bound() {
        let text: String = (0..SOURCES_MAX + 3).map(|n| format!("users/u{n}\n")).collect();
        let (sources, bad) = parsed(text.as_bytes());
        assert_eq!((sources.len(), bad.len(), bad[0].0), (SOURCES_MAX, 3, SOURCES_MAX + 1));
        assert_eq!(List::parse(&[b'x'; 5000]).bad[0].text.len(), SHOWN_MAX);
    }
}
