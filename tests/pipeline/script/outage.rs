//! Redis forgets the script, is full, or goes away: none of it is the event's fault.

use std::sync::atomic::{AtomicBool, Ordering};

use github_event_etl::config::EventLog;
use github_event_etl::store::Verdict::{Duplicate, Loaded};
use github_event_etl::store::{Fault, Verdict};

use super::{Bench, LAYOUTS, in_each_layout};
use crate::support::events::{EventBuilder, event};
use crate::support::redis_server::RedisServer;
use crate::support::wait::eventually;

fn is_away(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed(Fault::ServerAway(_)))
}

#[test]
fn a_forgotten_script_is_loaded_again_within_the_call() {
    in_each_layout(|mut bench| {
        assert_eq!(bench.load(&event(1)), Loaded);
        bench.run::<()>("SCRIPT FLUSH");
        assert_eq!(bench.load_all(&[event(1), event(2), event(2)]), [Duplicate, Loaded, Duplicate]);
    });
}

/// Ends the flushing also when the test fails.
struct StopFlushing<'a>(&'a AtomicBool);

impl Drop for StopFlushing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_script_forgotten_again_and_again_during_loads_costs_no_event_and_no_count() {
    in_each_layout(|mut bench| {
        let url = bench.server.url();
        let done = AtomicBool::new(false);
        let events: Vec<_> = (0..3000).map(event).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
                let mut flushed_at = 0;
                while !done.load(Ordering::SeqCst) {
                    // Only after something was loaded: a script that is forgotten all the time would never get to run.
                    let loaded: u64 = redis::cmd("XLEN").arg("ns:event-stream").query(&mut redis).unwrap();
                    if loaded > flushed_at {
                        flushed_at = loaded;
                        redis::cmd("SCRIPT").arg("FLUSH").query::<()>(&mut redis).unwrap();
                    }
                }
            });
            let stop = StopFlushing(&done);
            for batch in events.chunks(100) {
                // What found no script even after it was loaded again is repeated, as the loader does.
                eventually("the batch loads", || {
                    let verdicts = bench.load_all(batch);
                    let healing = |v: &Verdict| *v == Verdict::Failed(Fault::ScriptMissing);
                    assert!(
                        verdicts.iter().all(|v| matches!(v, Loaded | Duplicate) || healing(v)),
                        "{verdicts:?}"
                    );
                    !verdicts.iter().any(healing)
                });
            }
            drop(stop);
        });
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 3000);
        assert_eq!(bench.run::<u64>("XLEN ns:event-stream"), 3000);
    });
}

#[test]
fn a_full_redis_is_away_nothing_is_half_done_and_it_goes_on_when_there_is_room() {
    LAYOUTS.into_iter().for_each(a_full_redis_goes_on_when_there_is_room);
}

fn a_full_redis_goes_on_when_there_is_room(layout: EventLog) {
    let mut bench = Bench::on(RedisServer::start(&["--maxmemory-policy", "noeviction"]), layout);
    assert_eq!(bench.load(&event(1)), Loaded);
    let before = bench.dump();
    bench.run::<String>("CONFIG SET maxmemory 1");
    let verdicts = bench.load_all(&[event(2), event(3)]);
    assert!(verdicts.iter().all(is_away), "{verdicts:?}");
    assert_eq!(bench.load(&event(1)), Duplicate, "what is loaded needs no room");
    assert_eq!(bench.dump(), before);
    bench.run::<String>("CONFIG SET maxmemory 0");
    assert_eq!(bench.load_all(&[event(1), event(2), event(3)]), [Duplicate, Loaded, Loaded]);
}

#[test]
fn a_redis_that_was_killed_serves_again_after_its_restart() {
    LAYOUTS.into_iter().for_each(a_killed_redis_serves_again);
}

fn a_killed_redis_serves_again(layout: EventLog) {
    let mut bench = Bench::on(RedisServer::start(&["--appendfsync", "always"]), layout);
    assert_eq!(bench.load(&event(1)), Loaded);
    bench.server.kill();
    assert!(is_away(&bench.load(&event(2))));
    bench.server.restart();
    assert_eq!(bench.load_all(&[event(1), event(2)]), [Duplicate, Loaded]);
}

#[test]
fn one_failure_is_all_that_a_restart_costs_however_many_connections_were_open() {
    let mut bench = Bench::new(EventLog::PerSecond).with_connections(4);
    for id in 0..4 {
        assert_eq!(bench.load(&event(id)), Loaded);
    }
    bench.server.kill();
    bench.server.restart();
    assert!(is_away(&bench.load(&event(4))), "no call has found out that Redis was away");
    for id in 4..12 {
        assert_eq!(bench.load(&event(id)), Loaded, "event {id}");
    }
}

#[test]
fn a_connection_older_than_an_outage_is_not_used_when_a_new_one_has_found_redis_back() {
    let mut bench = Bench::new(EventLog::PerSecond).with_connections(4);
    for id in 0..2 {
        assert_eq!(bench.load(&event(id)), Loaded);
    }
    bench.server.kill();
    // The third place has no connection yet. So this call finds Redis away without using one.
    assert!(is_away(&bench.load(&event(2))));
    bench.server.restart();
    for id in 2..10 {
        assert_eq!(bench.load(&event(id)), Loaded, "event {id}");
    }
}

#[test]
fn a_redis_that_only_reads_or_wants_a_password_is_away_until_somebody_mends_it() {
    for (breaks, mends) in [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        in_each_layout(|mut bench| {
            assert_eq!(bench.load(&event(1)), Loaded, "{breaks}");
            bench.run::<String>(breaks);
            let verdicts: Vec<Verdict> = bench.load_all(&[event(2), event(3)] as &[EventBuilder]);
            assert!(verdicts.iter().all(is_away), "{breaks}: {verdicts:?}");
            bench.run::<String>(mends);
            assert_eq!(bench.load_all(&[event(2), event(3)]), [Loaded, Loaded], "{breaks}");
        });
    }
}
