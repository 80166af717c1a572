use super::plan::Level;
use super::*;

fn quota(remaining: u64, resets_in_s: u64) -> QuotaLeft {
    QuotaLeft {
        remaining: Some(remaining),
        limit: Some(5000),
        resets_in: Some(Duration::from_secs(resets_in_s)),
    }
}

#[test]
fn the_rest_of_the_quota_is_spread_over_the_rest_of_its_hour() {
    for (remaining, resets_in_s, per_hour) in
        [(5000, 3600, 4850.0), (1000, 1800, 1940.0), (0, 1800, 0.0), (7, 0, 4850.0), (100, 1, 11_640.0)]
    {
        assert!((counted_per_hour(quota(remaining, resets_in_s)) - per_hour).abs() < 1.0, "{remaining}");
    }
    assert!(counted_per_hour(QuotaLeft::default()).is_infinite());
}

#[test]
fn a_few_new_sources_are_polled_at_once_and_thousands_are_spread() {
    let now = Instant::now();
    let pause = |undiscovered, quota| {
        let mut schedule = Schedule::default();
        schedule.discovered(undiscovered, quota, now);
        (schedule.discover_at().unwrap() - now).as_millis()
    };
    assert_eq!((pause(99, quota(10, 3600)), pause(1000, quota(5000, 3600))), (0, 0));
    assert_eq!(pause(5000, QuotaLeft::default()), 0);
    assert!((1400..1550).contains(&pause(3000, quota(5000, 3600))), "{}", pause(3000, quota(5000, 3600)));
}

#[test]
fn first_polls_read_all_pages_and_sweeps_keep_their_pace_while_sources_are_few() {
    assert!(may_read_all_pages(1, quota(60, 3600)) && may_read_all_pages(800, quota(5000, 3600)));
    assert!(!may_read_all_pages(2000, quota(5000, 3600)) && !may_read_all_pages(101, QuotaLeft::default()));
    assert_eq!(sweep_pause(1, Some(60)), Duration::ZERO);
    assert_eq!(sweep_pause(126, Some(5000)), Duration::from_secs(3600));
    assert_eq!(sweep_pause(5000, None), Duration::ZERO);
}

#[test]
fn a_plan_is_made_again_after_a_while_and_intervals_follow_it() {
    let now = Instant::now();
    let demand = Demand {
        per_hour: 600.0,
        weight: 1.0,
        visible: 300.0,
        shortest_h: 1.0 / 60.0,
        silent_h: 0.0,
        before_h: 1.0 / 60.0,
    };
    let mut schedule = Schedule::default();
    assert!(schedule.is_old(now) && schedule.interval(&demand).is_none());
    schedule.plan(&[demand; 200], 0, quota(5000, 3600), 1, now);
    assert!(!schedule.is_old(now) && schedule.is_old(now + PLAN_EVERY));
    assert!(matches!(schedule.current().unwrap().level, Level::Fresh(_)));
    let interval = schedule.interval(&demand).unwrap().as_secs();
    assert!((120..=600).contains(&interval), "{interval}");
}
