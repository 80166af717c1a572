//! Memory does not grow with the file.

use std::io::Write as _;
use std::path::Path;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::archive_files::{gzip, hour};
use crate::support::corner::Corner;
use crate::support::process::{is_zombie, peak_memory_mib};
use crate::support::program::Program;

/// A gzipped file with 6 MB of events `times` over, as that many members: what is held back of it would be seen.
fn repeated(path: &Path, times: usize) {
    // What compresses too well is taken for a gzip bomb.
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut text = Vec::new();
    for event in hour(12, 0..3_000, 10) {
        text.extend_from_slice(event.strip_suffix(b"}").unwrap());
        text.extend_from_slice(b",\"padding\":\"");
        text.extend((0..2000).map(|_| random.random_range(b'a'..=b'z')));
        text.extend_from_slice(b"\"}\n");
    }
    let member = gzip(&text);
    let mut file = std::fs::File::create(path).unwrap();
    (0..times).for_each(|_| file.write_all(&member).unwrap());
}

/// The most memory that a replay of `path` takes, in MiB.
fn peak_mib(corner: &Corner, path: &Path, flags: &[&str]) -> f64 {
    let state = tempfile::tempdir().unwrap();
    let command = [&["gharchive", path.to_str().unwrap()], flags].concat();
    peak_mib_of(corner.replay(state.path(), &command))
}

/// The most memory that a replay takes until it ends well, in MiB.
pub(super) fn peak_mib_of(replay: Program) -> f64 {
    let mut peak = 0.0_f64;
    // The kernel's mark only rises, so the last look before the end is as good as any.
    while !is_zombie(replay.pid()) {
        peak = peak.max(peak_memory_mib(replay.pid()));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    replay.succeed();
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_of_ten_times_the_size_takes_the_same_memory() {
    let corner = Corner::new("memory");
    let dir = tempfile::tempdir().unwrap();
    let (small, large) = (dir.path().join("small.json.gz"), dir.path().join("large.json.gz"));
    // The smaller one is larger than all that waits on the way, so that neither run ends before that is full.
    repeated(&small, 6);
    repeated(&large, 60);
    let of_small = peak_mib(&corner, &small, &["--dry-run"]);
    let of_large = peak_mib(&corner, &large, &["--dry-run"]);
    assert!(
        of_small > 5.0 && of_large < of_small + 10.0,
        "{of_small} MiB, and {of_large} MiB for ten times as much"
    );
    // Code that reads the queue's length and publishes the status is loaded within the first seconds.
    repeated(&small, 15);
    let of_small = peak_mib(&corner, &small, &["--max-queue", "0", "--queue", "load"]);
    repeated(&large, 45);
    let of_large = peak_mib(&corner, &large, &["--max-queue", "0", "--queue", "load"]);
    assert!(
        of_large < of_small + 10.0,
        "{of_small} MiB, and {of_large} MiB for three times as much, published"
    );
}
