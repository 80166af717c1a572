//! An hour and its marks live and die together.

use std::time::Duration;

use github_event_etl::config::{EventLog, Retention};
use github_event_etl::store::LoadPolicy;
use github_event_etl::store::Verdict::{Duplicate, Loaded};

use super::{Bench, in_each_layout};
use crate::support::events::event;
use crate::support::wait::eventually;

fn expiry(bench: &mut Bench, key: &str) -> i64 {
    bench.run(&format!("PEXPIRETIME ns:{key}"))
}

fn now_ms(bench: &mut Bench) -> i64 {
    let (seconds, micros): (i64, i64) = bench.run("TIME");
    seconds * 1000 + micros / 1000
}

#[test]
fn an_hours_keys_and_all_its_marks_expire_at_the_same_millisecond() {
    in_each_layout(|mut bench| {
        let before = now_ms(&mut bench);
        bench.load(&event(1).by_nobody());
        let hour = expiry(&mut bench, "event-count:2015-01-01-12");
        let after = now_ms(&mut bench);
        assert!((before + 3_600_000..=after + 3_600_000).contains(&hour), "{before} {hour} {after}");
        // Later loads, of whatever retention, do not move it; a score and a reused id's mark that come later join it.
        eventually("time goes on", || now_ms(&mut bench) > after + 5);
        bench.policy.retention = Retention::For(Duration::from_secs(9));
        bench.load_all(&[event(2), event(3), event(3).at("2015-01-01T12:59:59Z")]);
        let logs: &[&str] = match bench.event_log {
            EventLog::PerEvent => {
                &["event-log:1", "event-log:2", "event-log:3", "event-log:3@2015-01-01T12:59:59Z"]
            }
            EventLog::PerSecond => &["event-log:2015-01-01T12:00:01Z", "event-log:2015-01-01T12:59:59Z"],
        };
        for key in logs.iter().chain(&["event-count:2015-01-01-12", "dev-score:2015-01-01-12"]) {
            assert_eq!(expiry(&mut bench, key), hour, "{key}");
        }
        // Another hour has its own time.
        bench.load(&event(4).at("2015-01-01T13:00:00Z"));
        let next = expiry(&mut bench, "event-count:2015-01-01-13");
        assert!(next < hour && next > after, "{next}");
        let log = bench.log_key("4", "2015-01-01T13:00:00Z");
        assert_eq!(expiry(&mut bench, &log), next);
        // The stream and the first load's time stay.
        assert_eq!(expiry(&mut bench, "event-stream"), -1);
        assert_eq!(expiry(&mut bench, "first-inserted-at"), -1);
    });
}

#[test]
fn forever_gives_nothing_an_expiry() {
    in_each_layout(|mut bench| {
        bench.policy = LoadPolicy { stream_maxlen: 0, retention: Retention::Forever };
        bench.load_all(&[event(1).by_nobody(), event(2), event(2).at("2015-01-01T12:30:00Z")]);
        assert!(bench.dump().iter().all(|line| !line.contains("(expires)")), "{:#?}", bench.dump());
        // An hour that was opened for ever stays so, whoever loads into it.
        bench.policy.retention = Retention::For(Duration::from_secs(9));
        bench.load_all(&[event(3), event(4).by("other")]);
        assert!(bench.dump().iter().all(|line| !line.contains("(expires)")), "{:#?}", bench.dump());
    });
}

#[test]
fn an_hour_opened_with_an_expiry_keeps_it_under_a_loader_that_keeps_for_ever() {
    in_each_layout(|mut bench| {
        bench.load(&event(1).by_nobody());
        let hour = expiry(&mut bench, "event-count:2015-01-01-12");
        bench.policy.retention = Retention::Forever;
        bench.load(&event(2));
        let log = bench.log_key("2", "2015-01-01T12:00:01Z");
        for key in [&log, "dev-score:2015-01-01-12", "event-count:2015-01-01-12"] {
            assert_eq!(expiry(&mut bench, key), hour, "{key}");
        }
    });
}

#[test]
fn an_expired_hour_is_gone_whole_and_a_replay_builds_it_afresh() {
    in_each_layout(|mut bench| {
        bench.policy.retention = Retention::For(Duration::from_secs(1));
        let hour: Vec<_> = (0..20).map(event).collect();
        assert_eq!(bench.load_all(&hour), vec![Loaded; 20]);
        // At no moment may a replay find the counts but not the marks, so that it counts something twice. (A read may come just
        // after the hour has gone, and a round trip may be cut in two by its end.)
        let mut loaded_again = 0;
        eventually("the hour is built afresh", || {
            let verdicts = bench.load_all(&hour);
            loaded_again += verdicts.iter().filter(|verdict| **verdict == Loaded).count();
            let counted: Option<u64> = bench.run("HGET ns:event-count:2015-01-01-12 PushEvent");
            let scored: Option<u64> = bench.run("ZSCORE ns:dev-score:2015-01-01-12 octocat");
            assert!(counted.is_none_or(|counted| counted <= 20) && scored.is_none_or(|scored| scored <= 20));
            loaded_again >= 20 && counted == Some(20) && verdicts == vec![Duplicate; 20]
        });
        let length: usize = bench.run("XLEN ns:event-stream");
        assert_eq!(length, 20 + loaded_again, "the stream has its own cap and keeps both");
    });
}
