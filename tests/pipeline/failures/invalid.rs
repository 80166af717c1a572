//! At the limits of what is an event, and beyond them.

use crate::support::corner::Corner;
use crate::support::dump::stream;
use crate::support::events::event;

#[test]
fn what_is_as_large_and_as_deep_as_allowed_loads() {
    let corner = Corner::new("limits");
    let nested = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let deep = event(1).with("x", &nested).bytes();
    let mut large = event(2).bytes();
    large.resize(4 * 1024 * 1024, b' ');
    let long_id = event("9".repeat(255)).bytes();
    let bodies = vec![deep, large, long_id];
    corner.publish(&bodies);
    corner.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    let entries = stream(&mut corner.redis(), &corner.namespace);
    assert_eq!(entries.len(), 3);
    assert!(entries[0].contains(&("x".to_owned(), nested)));
    assert_eq!(corner.ready("load.dead"), 0);
}

#[test]
fn a_message_of_a_stranger_without_any_property_is_kept_too() {
    let corner = Corner::new("stranger");
    let bodies = [b"\x00\x01".to_vec(), b"\x00\x01".to_vec()];
    corner.publish_with(&lapin::BasicProperties::default(), &bodies);
    corner.loader(&["--drain"]).succeed();
    let dead = corner.take_all("load.dead");
    assert_eq!(dead.iter().map(|message| message.body.clone()).collect::<Vec<_>>(), bodies);
}

#[test]
fn a_header_as_large_as_a_frame_does_not_stop_the_way_into_the_dead_letters() {
    let corner = Corner::new("frame");
    let mut headers = lapin::types::FieldTable::default();
    let large = lapin::types::AMQPValue::LongString("9".repeat(130_950).into());
    headers.insert("x-etl-first-failed-at".into(), large);
    corner.publish_with(&lapin::BasicProperties::default().with_headers(headers), &[b"no event".to_vec()]);
    corner.publish(&[b"another".to_vec()]);
    corner.loader(&["--drain"]).succeed();
    assert_eq!(corner.take_all("load.dead").len(), 2);
}
