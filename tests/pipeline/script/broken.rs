//! A key that holds something else than ours: the script refuses the event and leaves nothing half done.

use github_event_etl::config::EventLog;
use github_event_etl::store::Verdict::Loaded;

use super::{Bench, LAYOUTS, assert_refused, in_each_layout};
use crate::support::events::event;

/// Breaks a key, loads into it, and shows that nothing changed; then repairs it, and the event loads. In each layout.
#[track_caller]
fn breaks_and_heals(words: &str, reason: &str) {
    LAYOUTS.into_iter().for_each(|layout| breaks_and_heals_in(layout, words, reason));
}

#[track_caller]
fn breaks_and_heals_in(layout: EventLog, words: &str, reason: &str) {
    let mut bench = Bench::new(layout);
    bench.load(&event(0).by("other"));
    let key = words.split(' ').nth(1).unwrap().to_owned();
    bench.run::<redis::Value>(&format!("DEL {key}"));
    bench.run::<redis::Value>(words);
    let before = bench.dump();
    // Two in one round trip: the failure of one must not hide the answer to the other, nor help it.
    let verdicts = bench.load_all(&[event(1), event(1)]);
    assert_eq!(bench.dump(), before, "{words}: something was written");
    verdicts.iter().for_each(|verdict| assert_refused(verdict, reason));
    bench.run::<u64>(&format!("DEL {key}"));
    assert_eq!(bench.load(&event(1)), Loaded, "{words}");
}

#[test]
fn a_key_of_another_type_is_refused_and_nothing_is_half_done() {
    let not_a_string = "event-log is not a string";
    breaks_and_heals_in(EventLog::PerEvent, "RPUSH ns:event-log:1 x", not_a_string);
    breaks_and_heals_in(EventLog::PerEvent, "RPUSH ns:event-log:1@2015-01-01T12:00:01Z x", not_a_string);
    breaks_and_heals_in(
        EventLog::PerSecond,
        "RPUSH ns:event-log:2015-01-01T12:00:01Z x",
        "event-log is not a set",
    );
    breaks_and_heals("SET ns:event-stream x", "event-stream is not a stream");
    breaks_and_heals("SET ns:dev-score:2015-01-01-12 x", "dev-score is not a sorted set");
    breaks_and_heals("SET ns:event-count:2015-01-01-12 x", "event-count is not a hash");
}

#[test]
fn a_count_raised_before_the_stream_was_found_broken_is_taken_back() {
    in_each_layout(|mut bench| {
        bench.run::<String>("SET ns:event-stream x");
        let empty = bench.dump();
        assert_refused(&bench.load(&event(1)), "event-stream is not a stream");
        assert_eq!(bench.dump(), empty, "the hour's first event left something");
        bench.run::<u64>("HSET ns:event-count:2015-01-01-12 WatchEvent 7 PushEvent 3");
        let counted = bench.dump();
        for kind in ["PushEvent", "WatchEvent", "ForkEvent"] {
            assert_refused(&bench.load(&event(1).kind(kind)), "event-stream is not a stream");
            assert_eq!(bench.dump(), counted, "{kind}");
        }
    });
}

#[test]
fn a_user_who_may_not_delete_fields_counts_nothing_twice_either() {
    in_each_layout(|mut bench| {
        bench.run::<String>("SET ns:event-stream x");
        bench.run::<String>("ACL SETUSER default -hdel");
        for _ in 0..2 {
            assert_refused(&bench.load(&event(1)), "event-stream is not a stream");
        }
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 0);
        bench.run::<u64>("DEL ns:event-stream");
        assert_eq!(bench.load(&event(1)), Loaded);
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 1);
    });
}

#[test]
fn a_count_that_redis_could_not_raise_is_refused_and_nothing_is_half_done() {
    for count in ["many", "-1", "1.5", "1e3", "9007199254740992", "99999999999999999999", "007", "00", "+1"] {
        let words = format!("HSET ns:event-count:2015-01-01-12 PushEvent {count}");
        breaks_and_heals(&words, "event-count holds no usable number");
    }
}

#[test]
fn a_score_that_would_not_be_exact_is_refused_and_nothing_is_half_done() {
    for score in ["inf", "-inf", "9007199254740992", "-9007199254740992", "1e300"] {
        let words = format!("ZADD ns:dev-score:2015-01-01-12 {score} octocat");
        breaks_and_heals(&words, "dev-score holds no usable number");
    }
}

#[test]
fn a_broken_score_does_not_stop_an_event_that_scores_nobody() {
    in_each_layout(|mut bench| {
        bench.run::<String>("SET ns:dev-score:2015-01-01-12 x");
        assert_refused(&bench.load(&event(1)), "dev-score is not a sorted set");
        assert_eq!(bench.load(&event(2).by_nobody()), Loaded);
    });
}

#[test]
fn one_events_failure_does_not_touch_its_neighbours() {
    in_each_layout(|mut bench| {
        let (other, reason) = match bench.event_log {
            EventLog::PerEvent => ("2015-01-01T12:00:01Z", "event-log is not a string"),
            EventLog::PerSecond => ("2015-01-01T12:00:02Z", "event-log is not a set"),
        };
        let log = bench.log_key("2", other);
        bench.run::<u64>(&format!("RPUSH ns:{log} x"));
        let verdicts = bench.load_all(&[event(1), event(2).at(other), event(3)]);
        assert_eq!((&verdicts[0], &verdicts[2]), (&Loaded, &Loaded));
        assert_refused(&verdicts[1], reason);
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 2);
    });
}
