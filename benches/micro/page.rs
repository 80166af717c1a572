//! A page of GitHub's API to its events.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use github_event_etl::event::split_page;

use crate::samples::page;

#[divan::bench(args = [30, 100])]
fn split(bencher: Bencher<'_, '_>, events: usize) {
    let page = page(events);
    let bencher = bencher.counter(BytesCount::of_slice(&page));
    bencher.bench_local(|| split_page(black_box(&page)).map(|elements| elements.len()));
}
