//! The archive stream becomes hourly files, in which each event is once.

mod follow;
mod killed;
mod memory;
mod refused;
mod stream;
mod whole;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::support::corner::Corner;
use crate::support::program::{Ended, Program};

/// Starts an export into `folder`.
fn start(corner: &Corner, folder: &Path, flags: &[&str]) -> Program {
    corner.replay(folder, &[&["export", "--to", folder.to_str().unwrap()], flags].concat())
}

#[track_caller]
fn export(corner: &Corner, folder: &Path, flags: &[&str]) -> Ended {
    start(corner, folder, flags).succeed()
}

/// The lines of each file that others see, in their order.
fn files(folder: &Path) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut files = BTreeMap::new();
    for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".json.gz") {
            let mut text = Vec::new();
            MultiGzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_end(&mut text).unwrap();
            assert_eq!(text.pop(), Some(b'\n'), "{name}");
            files.insert(name, text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect());
        }
    }
    files
}

/// Panics unless the files are these, by the hour of the day of 2015-01-01, with these lines in any order.
#[track_caller]
fn assert_files(folder: &Path, expected: &[(u32, &[Vec<u8>])]) {
    let sorted = |lines: &[Vec<u8>]| {
        let mut lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        lines.sort();
        lines
    };
    let is: BTreeMap<_, _> =
        files(folder).iter().map(|(name, lines)| (name.clone(), sorted(lines))).collect();
    let should_be: BTreeMap<_, _> =
        expected.iter().map(|(hour, lines)| (format!("2015-01-01-{hour}.json.gz"), sorted(lines))).collect();
    assert_eq!(is.keys().collect::<Vec<_>>(), should_be.keys().collect::<Vec<_>>());
    for (name, lines) in is {
        assert!(
            lines == should_be[&name],
            "{name}: {} lines, should be {}",
            lines.len(),
            should_be[&name].len()
        );
    }
}

/// How many temporary files an export has at the moment.
fn temporary(folder: &Path) -> usize {
    let Ok(entries) = folder.join(".export").read_dir() else { return 0 };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "part")).count()
}
