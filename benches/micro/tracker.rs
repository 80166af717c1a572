//! The loader's ack tracker, over as many deliveries as one ack covers. The rate is that of deliveries.

use divan::Bencher;
use divan::counter::ItemsCount;

use crate::acks::AckTracker;

/// Deliveries that one ack covers.
const RUN: u64 = 256;
/// Deliveries of a batch.
const BATCH: usize = 64;

#[divan::bench]
fn settled_in_order(bencher: Bencher<'_, '_>) {
    run(bencher, &(1..=RUN).collect::<Vec<_>>());
}

#[divan::bench]
fn last_batch_settled_first(bencher: Bencher<'_, '_>) {
    let in_order: Vec<u64> = (1..=RUN).collect();
    run(bencher, &in_order.chunks(BATCH).rev().flatten().copied().collect::<Vec<_>>());
}

fn run(bencher: Bencher<'_, '_>, settled: &[u64]) {
    bencher.counter(ItemsCount::new(RUN)).with_inputs(AckTracker::default).bench_local_values(
        |mut tracker| {
            (1..=RUN).for_each(|tag| tracker.delivered(tag));
            settled.iter().for_each(|tag| tracker.settle(*tag));
            tracker.take_run()
        },
    );
}
