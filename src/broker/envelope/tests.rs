use super::super::copies::*;
use super::super::failure::*;
use super::super::wire::UNREADABLE;
use super::*;

fn failure(reason: &str, attempts: u32) -> Failure {
    Failure {
        reason: reason.into(),
        attempts,
        first_failed_at: "2026-01-01T00:00:00Z".into(),
        original_routing_key: "PushEvent".into(),
    }
}

#[test]
fn a_failure_is_read_back_as_written_and_the_rest_stays() {
    let created = "2015-01-01T12:00:01Z".parse().unwrap();
    let envelope = Envelope::json("fetcher").of_event("42", "PushEvent", created);
    assert_eq!((envelope.attempts(), envelope.first_failed_at()), (0, None));
    let failed = envelope.with_failure(&failure("wrong-type", 3));
    assert_eq!(failed.message_id(), "42");
    assert_eq!(failed.attempts(), 3);
    assert_eq!(failed.first_failed_at().as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(failed.original_routing_key().as_deref(), Some("PushEvent"));
    assert_eq!(*failed.0.timestamp(), Some(1_420_113_601));
}

#[test]
fn what_does_not_fit_a_short_string_is_left_out_and_long_reasons_are_cut_at_a_character() {
    let long = "é".repeat(2000);
    let envelope = Envelope::json("x").of_event(&long, &long, DateTime::UNIX_EPOCH);
    assert_eq!(envelope.message_id(), "");
    let failed = envelope.with_failure(&failure(&format!("x{long}"), 1));
    assert_eq!(failed.text(REASON).unwrap().len(), 1023);
}

#[test]
fn headers_that_leave_no_room_for_ours_are_left_out() {
    let mut headers = FieldTable::default();
    headers.insert("x-huge".into(), AMQPValue::LongString("x".repeat(130_990).into()));
    let failed = Envelope(BasicProperties::default().with_headers(headers)).with_failure(&failure("bad", 1));
    assert_eq!((failed.attempts(), failed.header("x-huge")), (1, None));
}

#[test]
fn a_copy_is_neither_refused_nor_expires_nor_multiplies() {
    let mut headers = FieldTable::default();
    headers.insert("CC".into(), AMQPValue::Void);
    headers.insert("BCC".into(), AMQPValue::Void);
    headers.insert("x-own".into(), AMQPValue::Boolean(true));
    let foreign = BasicProperties::default()
        .with_user_id("somebody".into())
        .with_expiration("5000".into())
        .with_priority(3)
        .with_correlation_id("c".into())
        .with_headers(headers);
    for copy in [Envelope(foreign.clone()).with_failure(&failure("bad", 1)), Envelope(foreign).copied()] {
        assert_eq!((copy.0.user_id(), copy.0.expiration()), (&None, &None));
        assert_eq!((copy.0.priority(), copy.0.correlation_id()), (&Some(3), &Some("c".into())));
        assert!(
            copy.header("CC").is_none() && copy.header("BCC").is_none() && copy.header("x-own").is_some()
        );
    }
}

#[test]
fn a_dead_letter_without_room_for_our_headers_is_sent_back_with_ours_alone() {
    let mut headers = FieldTable::default();
    headers.insert("x-huge".into(), AMQPValue::LongString("x".repeat(130_990).into()));
    headers.insert(FIRST_FAILED_AT.into(), AMQPValue::LongString("2026".into()));
    let again = Envelope(BasicProperties::default().with_headers(headers)).redriven();
    assert_eq!((again.redrives(), again.first_failed_at().as_deref()), (1, Some("2026")));
    assert!(again.header("x-huge").is_none());
}

#[test]
fn a_dead_letter_sent_back_has_all_attempts_before_it_and_keeps_its_history() {
    let mut failed = Envelope::json("x").with_message_id("42").with_failure(&failure("wrong-type", 5));
    let mut headers = failed.0.headers().clone().unwrap();
    headers.insert("x-death".into(), AMQPValue::Void);
    headers.insert("traceparent".into(), AMQPValue::LongString("00-1".into()));
    failed.0 = failed.0.with_headers(headers);
    assert_eq!(failed.reason().as_deref(), Some("wrong-type"));
    let again = failed.redriven();
    assert_eq!((again.attempts(), again.redrives(), again.reason()), (0, 1, None));
    assert_eq!(again.first_failed_at().as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(again.original_routing_key().as_deref(), Some("PushEvent"));
    assert!(again.header("x-death").is_none() && again.header("traceparent").is_some());
    let dead_again = again.with_failure(&failure("not-json", 1)).redriven();
    assert_eq!((dead_again.redrives(), dead_again.message_id()), (2, "42"));
}

#[test]
fn hostile_attempts_headers_count_as_a_bounded_hint() {
    for (value, attempts) in [
        (AMQPValue::LongString("3".into()), 0),
        (AMQPValue::LongLongInt(-1), 0),
        (AMQPValue::LongLongInt(i64::MAX), u32::MAX),
        (AMQPValue::ShortShortUInt(7), 7),
        (AMQPValue::Void, 0),
    ] {
        let mut headers = FieldTable::default();
        headers.insert(ATTEMPTS.into(), value);
        let envelope = Envelope(BasicProperties::default().with_headers(headers));
        assert_eq!(envelope.attempts(), attempts);
    }
}

#[test]
fn what_could_not_be_read_is_told_until_it_is_copied_to_the_dead_letters_or_sent_back() {
    let mut headers = FieldTable::default();
    headers.insert(UNREADABLE.into(), AMQPValue::LongString("the type is not UTF-8".into()));
    let unreadable = Envelope(BasicProperties::default().with_headers(headers));
    let told = Some("unreadable: the type is not UTF-8".to_owned());
    assert_eq!((unreadable.unreadable(), unreadable.reason()), (told.clone(), told.clone()));
    assert_eq!(unreadable.clone().copied().unreadable(), told, "from the archive it goes to the loader");
    assert_eq!(unreadable.clone().redriven().unreadable(), None);
    let dead = unreadable.with_failure(&failure("unreadable: the type is not UTF-8", 1));
    assert_eq!((dead.unreadable(), dead.reason()), (None, told));
}

#[test]
fn a_delivery_handed_back_keeps_its_routing_key_and_its_count_and_not_rabbitmqs_notes() {
    let mut headers = FieldTable::default();
    headers.insert(DELIVERY_COUNT.into(), AMQPValue::LongLongInt(2));
    headers.insert("x-death".into(), AMQPValue::Void);
    headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(1));
    let delivered = Envelope(BasicProperties::default().with_headers(headers)).with_message_id("42");
    let back = delivered.handed_back("PushEvent", 2).unwrap();
    assert_eq!((back.message_id(), back.attempts()), ("42", 1));
    assert_eq!(back.original_routing_key().as_deref(), Some("PushEvent"));
    assert_eq!((count_in(&back.0, DELIVERY_COUNT), count_in(&back.0, REDELIVERIES)), (0, 2));
    assert!(back.header("x-death").is_none());
    let again = back.handed_back("the.queue", 3).unwrap();
    assert_eq!(again.original_routing_key().as_deref(), Some("PushEvent"));
    assert_eq!(count_in(&again.0, REDELIVERIES), 3);
    let failed = again.with_failure(&failure("bad", 2));
    assert_eq!(count_in(&failed.0, REDELIVERIES), 0, "it has been loaded, so nobody died of it");
    let first = Envelope::json("x").handed_back("PushEvent", 0).unwrap();
    assert!(first.header(REDELIVERIES).is_none());
    let mut huge = FieldTable::default();
    huge.insert("x-huge".into(), AMQPValue::LongString("x".repeat(130_990).into()));
    assert!(Envelope(BasicProperties::default().with_headers(huge)).handed_back("k", 0).is_none());
}
