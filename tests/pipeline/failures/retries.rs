//! The script fails for one event: it is tried again later, and in the end kept for a person.

use github_event_etl::status::Totals;
use lapin::types::{AMQPValue, FieldTable};

use crate::support::corner::{Corner, properties};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::wait::eventually;

const BROKEN_HOUR: &str = "2015-01-01T13:00:00Z";

fn break_hour(corner: &Corner) -> String {
    let key = format!("{}:event-count:2015-01-01-13", corner.namespace);
    redis::cmd("SET").arg(&key).arg("x").query::<()>(&mut corner.redis()).unwrap();
    key
}

#[test]
fn a_dead_letter_neither_expires_nor_multiplies_as_its_sender_ordered_for_the_original() {
    let corner = Corner::new("orders");
    let copies = AMQPValue::LongString(corner.queue("load").as_str().into());
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![copies].into()));
    let sent = properties("the-id").with_headers(headers).with_expiration("600000".into());
    corner.publish_with(&sent, &[b"no event".to_vec()]);
    corner.loader(&["--drain"]).succeed();
    let dead = corner.take_all("load.dead");
    assert_eq!((dead.len(), corner.ready("load")), (1, 0));
    assert_eq!(
        (dead[0].properties.expiration(), dead[0].properties.message_id()),
        (&None, sent.message_id())
    );
}

#[test]
fn an_event_that_fails_goes_through_the_retry_queues_and_then_to_the_dead_letters() {
    let corner = Corner::new("retry");
    break_hour(&corner);
    let (good, bad) = (event(1).bytes(), event(2).at(BROKEN_HOUR).bytes());
    let mut headers = FieldTable::default();
    headers.insert("x-senders-own".into(), AMQPValue::LongString("kept".into()));
    let sent = properties("the-id").with_headers(headers);
    corner.publish_with(&sent, &[bad.clone(), good.clone()]);
    let ended = corner.loader(&["--drain", "--stream-maxlen", "0", "--max-attempts", "3"]).succeed();
    let totals = Totals { loaded: 1, retried: 2, dead: 1, ..Totals::default() };
    assert!(ended.stderr.contains(&format!("done: {totals}, ")), "{}", ended.stderr);

    let dead = corner.take_all("load.dead");
    assert_eq!(dead.len(), 1);
    let message = &dead[0];
    assert_eq!(message.body, bad);
    assert_eq!(message.header("x-etl-attempts"), "3");
    assert_eq!(message.header("x-etl-reason"), "event-count is not a hash");
    assert_eq!(message.header("x-etl-original-routing-key"), "PushEvent");
    let first: chrono::DateTime<chrono::Utc> = message.header("x-etl-first-failed-at").parse().unwrap();
    assert!((chrono::Utc::now() - first).num_seconds() >= 4, "it waited 1 s and 3 s since {first}");
    let (is, was) = (&message.properties, &sent);
    assert_eq!(is.message_id(), was.message_id());
    assert_eq!(is.kind(), was.kind());
    assert_eq!(is.timestamp(), was.timestamp());
    assert_eq!(is.app_id(), was.app_id());
    assert_eq!(is.content_type(), was.content_type());
    assert_eq!(is.delivery_mode(), was.delivery_mode());
    let headers = is.headers().clone().unwrap();
    assert_eq!(headers.inner().get("x-senders-own"), Some(&AMQPValue::LongString("kept".into())));
    // The good one is loaded, of the bad one nothing is half done.
    let mut expected = Oracle::of(&[good]).lines();
    expected.push("event-count:2015-01-01-13 = x".into());
    expected.sort();
    assert_same("Redis", &corner.dump(), &expected);
}

#[test]
fn an_event_whose_key_is_repaired_in_time_loads_with_the_next_attempt() {
    let corner = Corner::new("repair");
    let key = break_hour(&corner);
    let bodies: Vec<_> = (0..20).map(|n| event(n).at(BROKEN_HOUR).bytes()).collect();
    corner.publish(&bodies);
    let loader = corner.loader(&["--drain", "--stream-maxlen", "0"]);
    eventually("all of them wait for their second attempt", || corner.ready("load.retry.1s") == 20);
    redis::cmd("DEL").arg(&key).query::<()>(&mut corner.redis()).unwrap();
    loader.succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn with_one_attempt_a_failure_is_final_and_queues_do_not_share_dead_letters() {
    let corner = Corner::with_queues("final", &["load", "eu"]);
    break_hour(&corner);
    corner.publish(&[event(1).at(BROKEN_HOUR).bytes()]);
    corner.loader(&["--drain", "--queue", "eu", "--max-attempts", "1"]).succeed();
    assert_eq!(corner.take_all("eu.dead")[0].header("x-etl-attempts"), "1");
    assert_eq!(corner.ready("load.dead"), 0);
    assert_eq!(corner.ready("load"), 1, "the other queue keeps its own copy");
}
