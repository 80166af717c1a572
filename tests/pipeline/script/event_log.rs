//! The event log: its layouts, which a namespace does not mix, and its questions.

use github_event_etl::config::EventLog::{self, PerEvent, PerSecond};
use github_event_etl::config::RedisUrl;
use github_event_etl::store::Verdict::{Duplicate, Failed, Loaded};
use github_event_etl::store::{Fault, Layout, Lookup, Store};

use super::{Bench, LAYOUTS, in_each_layout};
use crate::support::dump::keys;
use crate::support::events::event;
use crate::support::wait::block_on;

const SECOND: &str = "2015-01-01T12:00:01Z";

/// A loader's store beside that of the bench.
fn beside(bench: &Bench, event_log: EventLog) -> Store {
    let url = RedisUrl::parse(&bench.server.url().into(), None).unwrap();
    Store::new(&url, &"ns".parse().unwrap()).unwrap().with_event_log(event_log)
}

fn other(event_log: EventLog) -> EventLog {
    LAYOUTS.into_iter().find(|layout| *layout != event_log).unwrap()
}

fn logs(bench: &mut Bench) -> Vec<String> {
    keys(&mut bench.redis, "ns").into_iter().filter(|key| key.contains(":event-log:")).collect()
}

#[test]
fn per_event_an_event_has_a_mark_and_one_that_reuses_its_id_has_a_mark_of_its_own() {
    let mut bench = Bench::new(PerEvent);
    bench.load_all(&[event(1), event(1).at("2025-06-01T08:00:00Z"), event(1).at("2025-06-01T08:00:01Z")]);
    let marks =
        ["ns:event-log:1", "ns:event-log:1@2025-06-01T08:00:00Z", "ns:event-log:1@2025-06-01T08:00:01Z"];
    assert_eq!(logs(&mut bench), marks);
    assert_eq!(bench.run::<String>("GET ns:event-log:1"), r#"{"created_at":"2015-01-01T12:00:01Z"}"#);
}

#[test]
fn per_second_the_events_of_a_second_share_a_set_of_their_ids() {
    let mut bench = Bench::new(PerSecond);
    bench.load_all(&[event(7), event("12345678901234567"), event(7).at("2015-01-01T12:00:01.5Z")]);
    assert_eq!(
        logs(&mut bench),
        ["ns:event-log:2015-01-01T12:00:01.500Z", "ns:event-log:2015-01-01T12:00:01Z"]
    );
    let mut ids: Vec<String> = bench.run(&format!("SMEMBERS ns:event-log:{SECOND}"));
    ids.sort();
    assert_eq!(ids, ["12345678901234567", "7"]);
    assert_eq!(bench.run::<String>(&format!("OBJECT ENCODING ns:event-log:{SECOND}")), "intset");
    // Ids that look like the same number are different ids, and one that is no integer costs more memory and nothing else.
    let odd = ["007", "+7", "7.0", "7e0", "é id", "99999999999999999999"].map(event);
    assert_eq!(bench.load_all(&odd), [Loaded, Loaded, Loaded, Loaded, Loaded, Loaded]);
    assert_eq!(bench.load_all(&odd), vec![Duplicate; 6]);
    assert_eq!(bench.run::<usize>(&format!("SCARD ns:event-log:{SECOND}")), 2 + odd.len());
}

#[test]
fn a_refused_event_leaves_no_empty_set_behind() {
    let mut bench = Bench::new(PerSecond);
    bench.run::<String>("SET ns:event-stream x");
    assert!(matches!(bench.load(&event(1)), Failed(Fault::ThisMessage(_))));
    assert_eq!(logs(&mut bench), [""; 0]);
}

#[test]
fn a_second_that_outlives_its_hours_counts_opens_the_hour_again_with_a_lifetime() {
    let mut bench = Bench::new(PerSecond);
    bench.load_all(&[event(1), event(2)]);
    bench.run::<u64>("DEL ns:event-count:2015-01-01-12");
    bench.run::<u64>("DEL ns:hours");
    assert_eq!(bench.load_all(&[event(3), event(4).kind("ForkEvent")]), [Loaded, Loaded]);
    let lines = bench.dump();
    for line in [
        "hours 2015-01-01-12 (expires)",
        "event-count:2015-01-01-12 PushEvent = 1 (expires)",
        "dev-score:2015-01-01-12 octocat = 4 (expires)",
    ] {
        assert!(lines.iter().any(|is| is == line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn an_hour_leaves_the_index_when_another_one_opens_after_its_end() {
    in_each_layout(|mut bench| {
        bench.run::<u64>("ZADD ns:hours 1 2001-01-01-01 1000 2001-01-01-02 99999999999999 2001-01-01-03");
        bench.load(&event(1));
        let hours: Vec<String> = bench.run("ZRANGE ns:hours 0 -1");
        assert_eq!(hours, ["2015-01-01-12", "2001-01-01-03"]);
        let read = block_on(bench.store.hours(10)).unwrap();
        assert_eq!(read.len(), 2);
        // Nobody reads what has expired, though it is still there.
        bench.run::<u64>("ZADD ns:hours 1 2001-01-01-01");
        assert_eq!(block_on(bench.store.hours(10)).unwrap(), read);
    });
}

#[test]
fn a_broken_index_stops_no_event() {
    in_each_layout(|mut bench| {
        bench.run::<String>("SET ns:hours x");
        assert_eq!(bench.load(&event(1)), Loaded);
        assert_eq!(bench.load(&event(1)), Duplicate);
    });
}

#[test]
fn an_empty_namespace_gets_the_layout_of_its_first_loader_and_refuses_the_other() {
    in_each_layout(|mut bench| {
        let mine = bench.event_log;
        assert_eq!(block_on(bench.store.check_event_log()), Ok(Layout::Agreed));
        assert_eq!(bench.run::<String>("GET ns:event-log-layout"), mine.name());
        let refused = block_on(beside(&bench, other(mine)).ping());
        let Err(Fault::OtherEventLog(text)) = refused else { panic!("{refused:?}") };
        let begins =
            format!("ns:event-log-layout is {mine}, and this loader has --event-log {}", other(mine));
        assert!(text.starts_with(&begins) && text.contains("replay archive"), "{text}");
        assert_eq!(block_on(beside(&bench, mine).ping()), Ok(()));
    });
}

#[test]
fn a_namespace_that_an_older_version_filled_has_a_key_for_each_event() {
    let mut bench = Bench::new(PerEvent);
    bench.load(&event(1));
    bench.run::<u64>("DEL ns:event-log-layout");
    bench.run::<u64>("DEL ns:hours");
    assert!(matches!(block_on(beside(&bench, PerSecond).ping()), Err(Fault::OtherEventLog(_))));
    assert_eq!(block_on(beside(&bench, PerEvent).check_event_log()), Ok(Layout::Untold));
    assert_eq!(
        bench.run::<u64>("EXISTS ns:event-log-layout"),
        0,
        "that is written when the hours are indexed"
    );
}

#[test]
fn the_layout_is_checked_again_by_a_connection_that_replaces_another_and_by_one_that_lives() {
    in_each_layout(|mut bench| {
        let mine = bench.event_log;
        assert_eq!(bench.load(&event(1)), Loaded);
        // Emptied, while the connection lives.
        bench.run::<String>("FLUSHALL");
        assert_eq!(bench.load(&event(1)), Loaded);
        assert_eq!(block_on(bench.store.check_event_log()), Ok(Layout::Untold));
        block_on(bench.store.claim_event_log()).unwrap();
        assert_eq!(block_on(bench.store.check_event_log()), Ok(Layout::Agreed));
        // Swapped for another while it was away.
        bench.run::<String>("FLUSHALL");
        bench.run::<String>(&format!("SET ns:event-log-layout {}", other(mine)));
        bench.run::<u64>("CLIENT KILL TYPE normal SKIPME yes");
        let verdicts = [(); 3].map(|()| bench.load(&event(2)));
        assert!(matches!(verdicts[2], Failed(Fault::OtherEventLog(_))), "{verdicts:?}");
        assert!(matches!(block_on(bench.store.check_event_log()), Err(Fault::OtherEventLog(_))));
        assert_eq!(bench.run::<u64>("DBSIZE"), 1, "something was loaded");
    });
}

#[test]
fn an_event_is_looked_up_by_id_and_time_and_per_event_by_id_alone() {
    in_each_layout(|bench| {
        let reused = "2025-06-01T08:00:00Z";
        bench.load_all(&[event(1), event(1).at(reused)]);
        block_on(bench.store.check_event_log()).unwrap();
        let event_log = bench.event_log;
        let ask = |id: &str, time: Option<&str>| block_on(bench.store.look_up(id, time)).unwrap();
        for (time, loaded) in [(SECOND, true), (reused, true), ("2025-06-01T08:00:01Z", false)] {
            assert_eq!(
                ask("1", Some(time)),
                Some(Lookup { event_log, loaded, created_at: Some(time.into()) })
            );
        }
        assert_eq!(
            ask("2", Some(SECOND)),
            Some(Lookup { event_log, loaded: false, created_at: Some(SECOND.into()) })
        );
        match event_log {
            PerSecond => assert_eq!(ask("1", None), None),
            PerEvent => {
                let known = Lookup { event_log, loaded: true, created_at: Some(SECOND.into()) };
                assert_eq!(ask("1", None), Some(known));
                assert_eq!(ask("2", None), Some(Lookup { event_log, loaded: false, created_at: None }));
            }
        }
    });
}
