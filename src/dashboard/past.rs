//! The totals of programs that are silent for long, by instance, so that an instance that comes back counts once. Pure.

use std::collections::VecDeque;

use crate::status::Totals;

/// Instances that are known by name. Of more, the one that fell silent first is only kept in the sum.
const INSTANCES_MAX: usize = 1000;

/// The last totals of programs that are not listed any more.
#[derive(Default)]
pub(super) struct Past {
    /// In the order in which they were forgotten.
    silent: VecDeque<(String, Totals)>,
    /// Of those beyond [`INSTANCES_MAX`].
    gone: Totals,
}

impl Past {
    /// Keeps the totals of an instance that is forgotten.
    pub(super) fn keep(&mut self, instance: &str, totals: Totals) {
        self.take_back(instance);
        self.silent.push_back((instance.to_owned(), totals));
        if self.silent.len() > INSTANCES_MAX
            && let Some((_, oldest)) = self.silent.pop_front()
        {
            self.gone += oldest;
        }
    }

    /// Removes the totals of an instance that publishes again: its status has the sums since its start.
    pub(super) fn take_back(&mut self, instance: &str) {
        self.silent.retain(|(known, _)| known != instance);
    }

    /// The sum over all of them.
    pub(super) fn totals(&self) -> Totals {
        let mut sum = self.gone;
        self.silent.iter().for_each(|(_, totals)| sum += *totals);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(loaded: u64) -> Totals {
        Totals { loaded, ..Totals::default() }
    }

    #[test]
    fn an_instance_counts_once_however_often_it_comes_and_goes() {
        let mut past = Past::default();
        past.keep("a", loaded(10));
        past.keep("b", loaded(5));
        past.keep("a", loaded(12));
        assert_eq!(past.totals().loaded, 17);
        past.take_back("a");
        assert_eq!(past.totals().loaded, 5);
    }

    #[test]
    fn memory_is_bounded_and_the_sum_stays() {
        let mut past = Past::default();
        (0..3000).for_each(|n| past.keep(&n.to_string(), loaded(1)));
        assert_eq!((past.silent.len(), past.totals().loaded), (INSTANCES_MAX, 3000));
    }
}
