//! The script on a real Redis agrees with an independent model over random sequences of events.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use redis::Commands as _;

use github_event_etl::config::EventLog;
use github_event_etl::event::Event;
use github_event_etl::store::{LoadCall, Score, Verdict};

use crate::script::{Bench, LAYOUTS};
use crate::support::dump::{assert_same, keys};
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::wait::block_on;

const WEIGHTS: [(&str, u64); 3] = [("PushEvent", 1), ("PullRequestEvent", 7), ("WatchEvent", 1_000_000)];

/// Few ids, times, types and logins, so that events repeat and ids are reused.
fn an_event() -> impl Strategy<Value = String> {
    let id = select(vec!["1", "2", "3", "44", "é id"]);
    let time = select(vec![
        "2015-01-01T12:00:00Z",
        "2015-01-01T12:59:59Z",
        "2015-01-01T13:00:00Z",
        "2025-10-07T00:00:00Z",
    ]);
    let kind = select(vec!["PushEvent", "PullRequestEvent", "WatchEvent", "ForkEvent", "Ünknown Event"]);
    let login = select(vec![None, Some(""), Some("octocat"), Some("renovate[bot]"), Some("デヴ 😀")]);
    let payload = select(vec!["[]", "{}", "null", "1e2", "12345678901234567890", r#"{"a":[{"b":"é"}]}"#]);
    (id, time, kind, login, payload).prop_map(|(id, time, kind, login, payload)| {
        let event = event(id).at(time).kind(kind).with("x", payload);
        let event = login.map_or(event.clone().by_nobody(), |login| event.by(login));
        String::from_utf8(event.bytes()).unwrap()
    })
}

/// Loads a batch in one round trip, scoring by [`WEIGHTS`] and leaving bots out.
fn load(bench: &Bench, batch: &[String]) -> Vec<Verdict> {
    let events: Vec<_> = batch.iter().map(|body| Event::parse(body.as_bytes()).unwrap()).collect();
    let calls: Vec<_> = events
        .iter()
        .map(|event| {
            let weight = WEIGHTS.iter().find(|(kind, _)| *kind == event.kind).map(|(_, weight)| *weight);
            let login = event.actor_login().filter(|login| !login.ends_with("[bot]"));
            let score = weight.zip(login).map(|(weight, login)| Score { login, weight: weight as u32 });
            LoadCall { event, score }
        })
        .collect();
    block_on(bench.store.load(bench.policy, &calls))
}

thread_local! {
    /// One Redis for all cases of a layout.
    static BENCHES: [RefCell<Bench>; 2] = LAYOUTS.map(|layout| RefCell::new(Bench::new(layout)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_in_any_batches_is_loaded_as_the_model_says(
        batches in vec(vec(an_event(), 1..20), 1..8),
    ) {
        BENCHES.with(|benches| benches.iter().try_for_each(|bench| {
            let bench = &mut *bench.borrow_mut();
            bench.run::<String>("FLUSHALL");
            let mut oracle = Oracle::new().with_weights(&WEIGHTS).without_bots();
            for batch in &batches {
                let expected: Vec<_> = batch
                    .iter()
                    .map(|body| if oracle.see(body.as_bytes()) { Verdict::Loaded } else { Verdict::Duplicate })
                    .collect();
                prop_assert_eq!(load(bench, batch), expected);
                assert_same("Redis", &bench.dump(), &oracle.lines());
            }
            // The whole sequence again, as after a crash or in a replay: nothing changes.
            let replayed = load(bench, &batches.concat());
            prop_assert!(replayed.iter().all(|verdict| *verdict == Verdict::Duplicate), "{:?}", replayed);
            assert_same("Redis after a replay", &bench.dump(), &oracle.lines());
            let keys = keys(&mut bench.redis, "ns");
            let logs = keys.iter().filter(|key| key.contains(":event-log:"));
            let entered: usize = match bench.event_log {
                EventLog::PerEvent => logs.count(),
                EventLog::PerSecond => logs.map(|key| bench.redis.scard::<_, usize>(key).unwrap()).sum(),
            };
            prop_assert_eq!(entered, oracle.distinct());
            Ok(())
        }))?;
    }
}
