//! An event has its effects once.

use github_event_etl::config::EventLog;
use github_event_etl::store::Verdict::{Duplicate, Loaded};

use super::{Bench, in_each_layout};
use crate::support::events::event;

#[test]
fn the_same_event_twice_changes_nothing_the_second_time() {
    in_each_layout(|mut bench| {
        assert_eq!(bench.load(&event(1)), Loaded);
        let before = bench.dump();
        assert_eq!(bench.load(&event(1)), Duplicate);
        assert_eq!(bench.dump(), before);
        assert_eq!(bench.run::<u64>("XLEN ns:event-stream"), 1);
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 1);
        assert_eq!(bench.run::<u64>("ZSCORE ns:dev-score:2015-01-01-12 octocat"), 1);
    });
}

#[test]
fn the_same_event_twice_in_one_round_trip_counts_once() {
    in_each_layout(|mut bench| {
        assert_eq!(bench.load_all(&[event(1), event(1), event(2)]), [Loaded, Duplicate, Loaded]);
        assert_eq!(bench.run::<u64>("XLEN ns:event-stream"), 2);
    });
}

#[test]
fn an_id_reused_at_another_time_is_another_event_with_a_mark_of_its_own() {
    in_each_layout(|mut bench| {
        let (old, new, newer) =
            (event(1), event(1).at("2025-06-01T08:00:00Z"), event(1).at("2025-06-01T08:00:01Z"));
        let all = [old, new, newer];
        assert_eq!(bench.load_all(&all), [Loaded, Loaded, Loaded]);
        let before = bench.dump();
        assert_eq!(bench.load_all(&all), [Duplicate, Duplicate, Duplicate]);
        assert_eq!(bench.dump(), before);
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 1);
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2025-06-01-08 PushEvent"), 2);
    });
}

#[test]
fn of_two_events_with_one_id_each_is_still_known_when_the_other_ones_mark_is_gone() {
    for gone in ["ns:event-log:1", "ns:event-log:1@2025-06-01T08:00:00Z"] {
        let mut bench = Bench::new(EventLog::PerEvent);
        let (old, new) = (event(1), event(1).at("2025-06-01T08:00:00Z"));
        assert_eq!(bench.load_all(&[old.clone(), new.clone()]), [Loaded, Loaded]);
        bench.run::<u64>(&format!("DEL {gone}"));
        let (kept, lost) = if gone == "ns:event-log:1" { (new, old) } else { (old, new) };
        assert_eq!(bench.load(&kept), Duplicate, "{gone}");
        assert_eq!(bench.load(&lost), Loaded, "{gone}");
        assert_eq!(bench.load_all(&[kept, lost]), [Duplicate, Duplicate], "{gone}");
    }
}

#[test]
fn two_spellings_of_one_instant_are_one_event() {
    in_each_layout(|bench| {
        assert_eq!(bench.load(&event(1)), Loaded);
        assert_eq!(bench.load(&event(1).at("2015-01-01T13:00:01+01:00")), Duplicate);
    });
}

#[test]
fn nobody_scores_without_a_login_or_without_points() {
    in_each_layout(|mut bench| {
        assert_eq!(bench.load(&event(1).by_nobody()), Loaded);
        bench.weight = 0;
        assert_eq!(bench.load(&event(2)), Loaded);
        assert_eq!(bench.run::<u64>("EXISTS ns:dev-score:2015-01-01-12"), 0);
        bench.weight = 3;
        assert_eq!(bench.load_all(&[event(3), event(4), event(4)]), [Loaded, Loaded, Duplicate]);
        assert_eq!(bench.run::<u64>("ZSCORE ns:dev-score:2015-01-01-12 octocat"), 6);
    });
}

#[test]
fn the_first_load_leaves_its_time_and_later_ones_keep_it() {
    in_each_layout(|mut bench| {
        bench.load(&event(1));
        let first: String = bench.run("GET ns:first-inserted-at");
        assert!(first.len() == 20 && first.ends_with('Z') && first.as_str() > "2026", "{first}");
        bench.run::<String>("SET ns:first-inserted-at 2020-01-01T00:00:00Z");
        bench.load(&event(2));
        assert_eq!(bench.run::<String>("GET ns:first-inserted-at"), "2020-01-01T00:00:00Z");
    });
}
