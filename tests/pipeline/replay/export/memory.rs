//! Memory does not grow with an hour, nor with the number of hours.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::super::memory::peak_mib_of;
use super::{files, start};
use crate::support::corner::Corner;
use crate::support::events::event;

/// Events of 3 KB over `hours` hours, each in another hour than the one before.
fn events(ids: std::ops::Range<usize>, hours: usize) -> Vec<Vec<u8>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut one = |id: usize| {
        let (day, hour) = (id % hours / 24 + 1, id % hours % 24);
        let padding: String = (0..2800).map(|_| random.random_range('a'..='z')).collect();
        event(id)
            .at(&format!("2015-01-{day:02}T{hour:02}:00:00Z"))
            .with("x", &format!("\"{padding}\""))
            .bytes()
    };
    ids.map(&mut one).collect()
}

/// The most memory that an export of the whole archive takes, in MiB.
fn peak_mib(corner: &Corner) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let peak = peak_mib_of(start(corner, folder.path(), &[]));
    assert!(!files(folder.path()).is_empty());
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn an_hour_of_four_times_the_events_takes_the_same_memory() {
    let corner = Corner::new("export-memory");
    corner.archive(&events(0..3_000, 1));
    let of_small = peak_mib(&corner);
    corner.archive(&events(3_000..12_000, 1));
    let of_large = peak_mib(&corner);
    // The bodies of 9,000 events have 26 MB.
    assert!(
        of_small > 5.0 && of_large < of_small + 10.0,
        "{of_small} MiB, and {of_large} MiB for four times as much"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn hundreds_of_mixed_hours_take_little_more_memory_than_one() {
    let (one, many) = (Corner::new("export-one"), Corner::new("export-many"));
    one.archive(&events(0..4_000, 1));
    many.archive(&events(0..4_000, 500));
    let (of_one, of_many) = (peak_mib(&one), peak_mib(&many));
    // At most 8 MiB of lines wait; their vectors may have twice the room.
    assert!(of_one > 5.0 && of_many < of_one + 24.0, "{of_one} MiB, and {of_many} MiB for 500 hours");
}
