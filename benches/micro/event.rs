//! An event's bytes to its fields.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use github_event_etl::event::Event;

use crate::samples::{Sample, samples};

#[divan::bench(args = samples())]
fn parse(bencher: Bencher<'_, '_>, sample: &Sample) {
    let bencher = bencher.counter(BytesCount::of_slice(&sample.body));
    bencher.bench_local(|| Event::parse(black_box(&sample.body)).is_ok());
}

#[divan::bench(args = samples())]
fn flatten(bencher: Bencher<'_, '_>, sample: &Sample) {
    let Ok(event) = Event::parse(&sample.body) else { return };
    bencher.bench_local(|| {
        black_box(&event).flattened().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    });
}
