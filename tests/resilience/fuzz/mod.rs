//! Arbitrary bytes at every door, a bounded number of them. `ETL_TEST_SEED` repeats a run.

mod configuration;
mod doors;
mod loading;
mod messages;
mod sent;
mod starting;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Draws arbitrary values.
pub struct Random(TestRunner);

impl Random {
    /// Says how the run is repeated, which shows when the test fails.
    pub fn new() -> Self {
        let seed = std::env::var("ETL_TEST_SEED")
            .map_or_else(|_| rand::random(), |seed| seed.parse::<u64>().unwrap());
        eprintln!("to repeat the same values: ETL_TEST_SEED={seed}");
        let seed = [seed.to_be_bytes(); 4].concat();
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self(TestRunner::new_with_rng(Config::default(), random))
    }

    pub fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        strategy.new_tree(&mut self.0).unwrap().current()
    }
}
