//! The parts of hours that are still to come, because a mirror was away. Pure.

use serde::{Deserialize, Serialize};

/// Which inputs lack the parts of which mirrors. Successive inputs that lack the same are one entry, so that a mirror that is away for
/// a year of hours takes no more room than for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owed(Vec<Run>);

/// The inputs from `first` to `last`, and a bit for each mirror whose part they lack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: usize,
    last: usize,
    mirrors: u8,
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets what `input` lacks; 0 for nothing.
    pub(super) fn set(&mut self, input: usize, mirrors: u8) {
        let mut runs = Vec::with_capacity(self.0.len() + 2);
        for run in self.0.drain(..) {
            if input < run.first || input > run.last {
                runs.push(run);
                continue;
            }
            let halves = [(run.first, input.checked_sub(1)), (input + 1, Some(run.last))];
            let halves = halves.into_iter().filter_map(|(first, last)| Some((first, last?)));
            runs.extend(halves.filter(|(first, last)| first <= last).map(|(first, last)| Run {
                first,
                last,
                mirrors: run.mirrors,
            }));
        }
        if mirrors != 0 {
            let at = runs.partition_point(|run| run.last < input);
            runs.insert(at, Run { first: input, last: input, mirrors });
        }
        for run in runs {
            match self.0.last_mut() {
                Some(before) if before.mirrors == run.mirrors && before.last + 1 == run.first => {
                    before.last = run.last;
                }
                _ => self.0.push(run),
            }
        }
    }

    /// What this input lacks.
    pub(super) fn of(&self, input: usize) -> u8 {
        self.0.iter().find(|run| (run.first..=run.last).contains(&input)).map_or(0, |run| run.mirrors)
    }

    /// The inputs that lack something, in order.
    pub(super) fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().flat_map(|run| run.first..=run.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mirror_that_is_away_for_a_year_is_one_entry() {
        let mut owed = Owed::default();
        (0..8760).for_each(|input| owed.set(input, 2));
        assert_eq!(owed, Owed(vec![Run { first: 0, last: 8759, mirrors: 2 }]));
        owed.set(100, 0);
        owed.set(0, 3);
        assert_eq!((owed.of(99), owed.of(100), owed.of(101), owed.of(0), owed.of(8760)), (2, 0, 2, 3, 0));
        assert_eq!((owed.0.len(), owed.inputs().count()), (3, 8759));
    }

    proptest! {
        #[test]
        fn each_input_lacks_what_was_set_last(sets in prop::collection::vec((0..20_usize, 0..3_u8), 0..60)) {
            let (mut owed, mut expected) = (Owed::default(), [0_u8; 20]);
            for (input, mirrors) in sets {
                owed.set(input, mirrors);
                expected[input] = mirrors;
            }
            let of: Vec<u8> = (0..20).map(|input| owed.of(input)).collect();
            prop_assert_eq!(&of[..], &expected[..]);
            let inputs: Vec<usize> = (0..20).filter(|input| expected[*input] != 0).collect();
            prop_assert_eq!(owed.inputs().collect::<Vec<_>>(), inputs);
        }
    }
}
