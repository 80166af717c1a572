//! Whatever GitHub says of its limits: no wait is longer than its hour and a moment, and none overflows.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::github::{Hints, Page, Quota};

/// What the header reading lets through.
const ASKED_MAX: Duration = Duration::from_secs(3600);
/// The margin of the budget after a reset.
const MARGIN: Duration = Duration::from_secs(1);

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
        tokens in 1_usize..4,
        steps in vec((an_answer(), 0_u8..5, 0_u64..5_000, any::<u32>()), 1..60),
    ) {
        let mut now = Instant::now();
        let mut pool = TokenPool::new(tokens);
        for (answer, organisation, later_s, round_requests) in &steps {
            now += Duration::from_secs(*later_s);
            let source = format!("orgs/{organisation}").parse().unwrap();
            let token = pool.choose(&source, None, now);
            pool.learn(&source, token, answer, now);
            let longest = ASKED_MAX + MARGIN;
            prop_assert!(pool.pace(&source, *round_requests, now) <= longest);
            prop_assert!(pool.closed_for(&source, now).is_none_or(|wait| !wait.is_zero() && wait <= longest));
            prop_assert!(pool.all_closed_for(now) <= pool.closed_for(&source, now));
            prop_assert_eq!(pool.reports(now).map(|token| token.sources).sum::<usize>(), seated(&pool));
            let limited = matches!(answer.outcome, Outcome::Limited { .. }) && tokens == 1;
            let least = Duration::from_secs(1);
            prop_assert!(!limited || pool.closed_for(&source, now).is_some_and(|wait| wait >= least));
        }
    }
}

fn seated(pool: &TokenPool) -> usize {
    (0..5).filter(|n| pool.token_of(&format!("orgs/{n}").parse().unwrap()).is_some()).count()
}
