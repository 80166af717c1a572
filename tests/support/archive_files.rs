//! Files as GH Archive has them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::events::event;

/// Pushes and stars of one hour of 2015, the numbers being their ids; a second passes every `per_second` events.
pub fn hour(hour: u32, ids: std::ops::Range<usize>, per_second: usize) -> Vec<Vec<u8>> {
    let first = ids.start;
    ids.map(|id| {
        let second = (id - first) / per_second;
        let time = format!("2015-01-01T{hour:02}:{:02}:{:02}Z", second / 60, second % 60);
        let kind = if id % 3 == 0 { "WatchEvent" } else { "PushEvent" };
        event(id).kind(kind).at(&time).by(&format!("dev-{}", id % 7)).bytes()
    })
    .collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes events as the lines of a gzipped file, and gives its path.
pub fn write(folder: &Path, name: &str, events: &[Vec<u8>]) -> PathBuf {
    let path = folder.join(name);
    let mut lines = events.join(&b'\n');
    lines.push(b'\n');
    std::fs::write(&path, gzip(&lines)).unwrap();
    path
}
