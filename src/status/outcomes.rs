//! The outcomes of a delivery, in one table. Metrics, status and log lines are derived from the table.

use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Makes the enum of outcomes, and all that has one part per outcome. A row: name, label in metrics, word in status and log.
macro_rules! outcomes {
    ($($(#[$doc:meta])+ $outcome:ident, $label:literal, $word:ident;)+) => {
        /// The outcome of a delivery that the loader has settled.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LoadOutcome {
            $($(#[$doc])+ $outcome,)+
        }

        impl LoadOutcome {
            /// All outcomes, in the order of the log line.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$outcome),+];

            /// The value of the label `outcome` in metrics.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$outcome => $label,)+
                }
            }

            /// The word before the number in the log line; also the name of the field in the status.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$outcome => stringify!($word),)+
                }
            }
        }

        /// The number of deliveries with each outcome.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Totals {
            $($(#[$doc])+ pub $word: u64,)+
        }

        impl Totals {
            /// The number of deliveries with this outcome.
            pub fn of(&self, outcome: LoadOutcome) -> u64 {
                match outcome {
                    $(LoadOutcome::$outcome => self.$word,)+
                }
            }

            /// The same number, to change it.
            pub fn of_mut(&mut self, outcome: LoadOutcome) -> &mut u64 {
                match outcome {
                    $(LoadOutcome::$outcome => &mut self.$word,)+
                }
            }

            /// Logs `sentence` as the loader's, with a field per outcome.
            pub fn log(&self, sentence: &str, lag_ms: i64) {
                tracing::info!(
                    target: "github_event_etl::loader", $($word = self.$word,)+ lag_ms, "{sentence}"
                );
            }
        }
    };
}

outcomes! {
    /// The script stored its effects in Redis.
    Loaded, "loaded", loaded;
    /// The event had been loaded before.
    Duplicate, "duplicate", duplicates;
    /// Its type is not among `--types`.
    Unwanted, "unwanted", unwanted;
    /// Its loading failed, and its copy is in a retry queue.
    Retried, "retried", retried;
    /// Its copy is among the dead letters.
    Dead, "dead", dead;
}

impl Totals {
    /// The number of deliveries with any outcome.
    pub fn settled(&self) -> u64 {
        LoadOutcome::ALL.iter().map(|outcome| self.of(*outcome)).sum()
    }
}

/// Each word with its number: `loaded 7, duplicates 0, …`.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, outcome) in LoadOutcome::ALL.into_iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", outcome.word(), self.of(outcome))?;
        }
        Ok(())
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        for outcome in LoadOutcome::ALL {
            // A status message may hold any number.
            let sum = self.of(outcome).saturating_add(other.of(outcome));
            *self.of_mut(outcome) = sum;
        }
    }
}

/// Totals that many tasks add to. A reader may see a part of a sum: exactness across outcomes does not matter.
#[derive(Default)]
pub struct Counters([AtomicU64; LoadOutcome::ALL.len()]);

impl Counters {
    /// Adds `more`.
    pub fn add(&self, more: &Totals) {
        for (counter, outcome) in self.0.iter().zip(LoadOutcome::ALL) {
            counter.fetch_add(more.of(outcome), Ordering::Relaxed);
        }
    }

    /// The totals now.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (counter, outcome) in self.0.iter().zip(LoadOutcome::ALL) {
            *totals.of_mut(outcome) = counter.load(Ordering::Relaxed);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_label_its_word_and_its_own_number() {
        let labels = LoadOutcome::ALL.map(LoadOutcome::label);
        assert_eq!(labels, ["loaded", "duplicate", "unwanted", "retried", "dead"]);
        let counters = Counters::default();
        for (number, outcome) in (1..).zip(LoadOutcome::ALL) {
            let mut more = Totals::default();
            *more.of_mut(outcome) = number;
            counters.add(&more);
            counters.add(&more);
        }
        let totals = counters.totals();
        assert_eq!(totals.to_string(), "loaded 2, duplicates 4, unwanted 6, retried 8, dead 10");
        assert_eq!(totals.settled(), 30);
        let json = r#"{"loaded":2,"duplicates":4,"unwanted":6,"retried":8,"dead":10}"#;
        assert_eq!(serde_json::to_string(&totals).unwrap(), json);
    }

    #[test]
    fn totals_of_a_version_with_other_outcomes_can_be_read() {
        let older: Totals = serde_json::from_str(r#"{"loaded":2,"later":7}"#).unwrap();
        assert_eq!(older, Totals { loaded: 2, ..Totals::default() });
    }

    #[test]
    fn numbers_without_limit_add_up_without_a_panic() {
        let mut sum = Totals { dead: u64::MAX, ..Totals::default() };
        sum += Totals { loaded: 1, dead: 1, ..Totals::default() };
        assert_eq!(sum, Totals { loaded: 1, dead: u64::MAX, ..Totals::default() });
    }
}
