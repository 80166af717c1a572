//! Row 50: every event many times, to several loaders at once.

use rand::seq::SliceRandom as _;

use crate::support::run::Run;

#[test]
fn fifty_copies_of_each_event_over_four_loaders_count_once() {
    let mut run = Run::new("storm");
    let mut storm = run.events(200);
    storm = storm.iter().flat_map(|body| vec![body.clone(); 50]).collect();
    storm.shuffle(&mut run.random);
    run.corner.publish(&storm);
    run.expect(storm);
    for _ in 0..4 {
        run.loader(&["--prefetch", "100", "--batch-size", "16"]);
    }
    let totals = run.finish();
    assert_eq!(
        (totals.loaded, totals.duplicates),
        (run.distinct(), run.copies()),
        "each counted as what it was"
    );
}
