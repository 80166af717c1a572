//! Whatever GitHub says of its limits: no wait is longer than its hour and a moment, and none overflows.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::github::{Hints, Page};

/// What the header reading lets through.
const ASKED_MAX: Duration = Duration::from_secs(3600);

fn a_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![0_u64..5, 0..=ASKED_MAX.as_secs()].prop_map(Duration::from_secs)
}

fn an_answer() -> impl Strategy<Value = Answer> {
    let outcome = prop_oneof![
        Just(()).prop_map(|()| Outcome::NotModified),
        Just(()).prop_map(|()| Outcome::Page(Page::default())),
        Just(()).prop_map(|()| Outcome::Denied),
        Just(()).prop_map(|()| Outcome::Missing { status: 404 }),
        Just(()).prop_map(|()| Outcome::Refused { status: 403 }),
        Just(()).prop_map(|()| Outcome::Failed { reason: String::new() }),
        prop::option::of(a_duration().prop_map(|wait| wait.max(Duration::from_secs(1))))
            .prop_map(|wait| Outcome::Limited { status: 403, wait }),
    ];
    let remaining = prop_oneof![Just(0), 0_u64..10, any::<u64>()];
    let quota = prop::option::of((remaining, a_duration()).prop_map(|(remaining, resets_in)| Quota {
        remaining,
        limit: None,
        resets_in,
    }));
    (outcome, quota)
        .prop_map(|(outcome, quota)| Answer { outcome, hints: Hints { quota, ..Hints::default() } })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_answers_closes_us_out_for_longer_than_githubs_hour(
        steps in vec((an_answer(), 0_u8..5, 0_u64..5_000, any::<u32>()), 1..60),
    ) {
        let mut now = Instant::now();
        let mut budget = Budget::default();
        for (answer, organisation, later_s, round_requests) in &steps {
            now += Duration::from_secs(*later_s);
            budget.learn(&format!("orgs/{organisation}").parse().unwrap(), answer, now);
            let longest = ASKED_MAX + RESET_MARGIN;
            prop_assert!(budget.pace(*round_requests, now) <= longest);
            prop_assert!(budget.closed_for(now).is_none_or(|wait| !wait.is_zero() && wait <= longest));
            let limited = matches!(answer.outcome, Outcome::Limited { .. });
            let least = Duration::from_secs(1);
            prop_assert!(!limited || budget.closed_for(now).is_some_and(|wait| wait >= least));
        }
    }
}
