//! Functions of the library without a server: parsing, flattening, a script call, the ack tracker, splitting a page.
//!
//! `make bench ONLY=micro` runs it and keeps its table. Divan measures: criterion is better kept, but it would have serde and all
//! that needs it compiled a second time, with one more feature.

// The tracker is private to the loader and has no use for others; its file needs nothing else of the library.
#[allow(dead_code, reason = "the loader uses the rest")]
#[path = "../../src/loader/acks.rs"]
mod acks;
mod call;
mod event;
mod idle_redis;
mod page;
mod samples;
mod tracker;

use std::time::Duration;

use divan::Divan;
use divan::counter::BytesFormat;

fn main() {
    let divan = Divan::default().color(false).bytes_format(BytesFormat::Decimal);
    divan.min_time(Duration::from_millis(200)).max_time(Duration::from_secs(1)).run_benches();
}
