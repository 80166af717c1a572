use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MINUTE_H: f64 = 1.0 / 60.0;

fn source(per_hour: f64) -> Demand {
    Demand { per_hour, weight: 1.0, visible: 300.0, shortest_h: MINUTE_H, silent_h: 0.0, before_h: MINUTE_H }
}

fn supply(counted: f64) -> Supply {
    Supply { counted, all: 30_000.0, not_modified_counts: 0.0, correction: 1.0 }
}

/// Plans as often as it takes for the costs to settle, and gives the intervals in minutes.
fn settle(demands: &mut [Demand], supply: &Supply) -> (Plan, Vec<f64>) {
    let mut plan = Plan::of(demands, supply);
    for _ in 0..20 {
        for demand in &mut *demands {
            demand.before_h = demand.interval_h(plan.level, supply);
        }
        plan = Plan::of(demands, supply);
    }
    (plan, demands.iter().map(|demand| demand.interval_h(plan.level, supply) * 60.0).collect())
}

#[test]
fn an_ample_budget_polls_all_at_the_shortest_interval() {
    let mut demands = [0.01, 1.0, 100.0, 10_000.0].map(source);
    let (plan, minutes) = settle(&mut demands, &supply(5000.0));
    assert!(minutes.iter().all(|minutes| (minutes - 1.0).abs() < 1e-9), "{minutes:?}");
    assert!(matches!(plan.level, Level::Fresh(_)));
}

#[test]
fn a_source_without_news_is_polled_less_and_less_often_up_to_an_hour() {
    let minutes = [0.5, 2.0, 10.0, 59.0, 600.0].map(|silent_h| {
        let mut demands = [Demand { silent_h, ..source(0.01) }];
        settle(&mut demands, &supply(5000.0)).1[0].round()
    });
    assert_eq!(minutes, [1.0, 2.0, 10.0, 59.0, 60.0]);
}

#[test]
fn completeness_comes_before_freshness() {
    // One source needs a poll every 6 minutes; hundreds of others would take the whole budget.
    let mut demands: Vec<_> = std::iter::once(1000.0).chain([1.5; 700]).map(source).collect();
    demands[0].weight = 0.01;
    let (plan, minutes) = settle(&mut demands, &supply(600.0));
    assert!(matches!(plan.level, Level::Fresh(_)), "{:?}", plan.level);
    assert!(minutes[0] <= 6.001, "its weight does not make it lose events: {}", minutes[0]);
    assert!(plan.counted <= 600.0 && plan.counted > 580.0, "{plan:?}");
    assert!(minutes[1] > 20.0 && minutes[1] <= 60.0, "{}", minutes[1]);
    assert_eq!(plan.lost_per_hour, 0.0);
}

#[test]
fn four_times_the_weight_halves_the_interval() {
    let mut demands = vec![source(20.0); 400];
    demands[0].weight = 4.0;
    let (_, minutes) = settle(&mut demands, &Supply { not_modified_counts: 1.0, ..supply(4000.0) });
    assert!((minutes[1] / minutes[0] - 2.0).abs() < 0.01, "{} {}", minutes[0], minutes[1]);
}

#[test]
fn where_304s_are_free_quiet_sources_are_polled_more_often_at_no_cost() {
    let quiet = vec![source(0.1); 1000];
    let (free, often) = settle(&mut quiet.clone(), &supply(1000.0));
    let (_, seldom) = settle(&mut quiet.clone(), &Supply { not_modified_counts: 1.0, ..supply(1000.0) });
    assert!(often[0] < 2.5 && (seldom[0] - 60.0).abs() < 0.2, "{} {}", often[0], seldom[0]);
    assert!(free.counted < 101.0 && free.all > 20_000.0, "{free:?}");
}

#[test]
fn a_budget_that_is_too_small_first_makes_quiet_sources_late_then_loses_by_weight() {
    let quiet_only = settle(&mut vec![source(1.0); 200], &supply(60.0));
    assert!(matches!(quiet_only.0.level, Level::Late(_)), "{:?}", quiet_only.0);
    assert!(quiet_only.1[0] > 190.0 && quiet_only.0.lost_per_hour == 0.0, "{:?}", quiet_only);

    let mut busy = vec![source(1000.0); 20];
    busy[0].weight = 5.0;
    let (plan, minutes) = settle(&mut busy, &supply(60.0));
    assert!(matches!(plan.level, Level::Lossy(_)), "{plan:?}");
    let lost = plan.lost_per_hour / plan.per_hour;
    assert!(lost > 0.5 && lost < 0.75, "{plan:?}");
    assert!((minutes[1] / minutes[0] - 5.0).abs() < 0.01, "{} {}", minutes[0], minutes[1]);
    assert!(plan.counted <= 60.0, "{plan:?}");
}

#[test]
fn no_source_starves() {
    let mut demands = vec![source(5.0); 3000];
    demands[0].weight = 0.01;
    demands[1].weight = 100.0;
    let (plan, minutes) = settle(&mut demands, &supply(60.0));
    assert!(matches!(plan.level, Level::Scarce(_)), "{plan:?}");
    let longest = minutes.iter().fold(0.0, |longest, minutes| f64::max(longest, *minutes));
    // Each poll reads all three pages by then.
    assert!(longest / 60.0 < 3.0 * 3000.0 / 60.0 * 1.01, "{longest}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_exceeds_its_budget_and_no_interval_is_out_of_bounds(
        sources in vec((0.0_f64..12.0, 0.01_f64..100.0, 0.0_f64..1000.0), 1..60),
        counted in 1.0_f64..6000.0, all in 100.0_f64..40_000.0, not_modified_counts in 0.0_f64..1.0,
    ) {
        let demand = |(exponent, weight, silent_h): (f64, f64, f64)| {
            Demand { weight, silent_h, ..source(0.01 * exponent.exp()) }
        };
        let mut demands: Vec<_> = sources.into_iter().map(demand).collect();
        let supply = Supply { counted, all, not_modified_counts, correction: 1.0 };
        let (plan, minutes) = settle(&mut demands, &supply);
        prop_assert!(plan.counted <= counted * 1.001 && plan.all <= all * 1.001, "{:?}", plan);
        prop_assert!(minutes.iter().all(|minutes| *minutes >= 1.0 && minutes.is_finite()), "{:?}", minutes);
        prop_assert!((0.0..=1.0).contains(&(plan.lost_per_hour / plan.per_hour)));
        if !matches!(plan.level, Level::Scarce(_)) {
            prop_assert!(minutes.iter().all(|minutes| *minutes <= 24.001 * 60.0), "{:?}", minutes);
        }
    }
}
