//! Headers are written by whoever publishes: any of any type are read without a panic, and what goes on stays small.

use lapin::types::ByteArray;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::failure::*;
use super::*;

/// A frame holds 128 KiB, headers and all; half of it may be taken by the headers of others.
const OURS_BYTES_MAX: usize = 8 * 1024;

fn a_value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        any::<f64>().prop_map(AMQPValue::Double),
        vec(any::<u8>(), 0..40).prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        vec(any::<u8>(), 0..40).prop_map(|bytes| AMQPValue::ByteArray(ByteArray::from(bytes))),
        ".{0,20}".prop_map(|text| AMQPValue::ShortString(ShortString::try_new(text).unwrap())),
        Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        vec(inner, 0..4).prop_map(|values| {
            let mut table = FieldTable::default();
            for (n, value) in values.into_iter().enumerate() {
                table.insert(n.to_string().into(), value);
            }
            AMQPValue::FieldTable(table)
        })
    })
}

fn any_headers() -> impl Strategy<Value = FieldTable> {
    let ours = vec![ATTEMPTS, REASON, FIRST_FAILED_AT, ORIGINAL_ROUTING_KEY, "x-death", "x-other"];
    let name = prop_oneof![3 => select(ours).prop_map(str::to_owned), 1 => "[a-z]{1,20}"];
    // As large as a frame can bring it.
    let huge = Just(AMQPValue::LongString("9".repeat(130_500).into()));
    vec((name, prop_oneof![7 => a_value(), 1 => huge]), 0..8).prop_map(|pairs| {
        let mut table = FieldTable::default();
        for (name, value) in pairs {
            table.insert(name.as_str().into(), value);
        }
        table
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_headers_are_read_and_a_failure_fits_beside_them(
        headers in any_headers(),
        reason in ".{0,3000}",
        key in ".{0,300}",
        attempts in any::<u32>(),
    ) {
        let received = Envelope(BasicProperties::default().with_headers(headers));
        let _ = (received.attempts(), received.first_failed_at(), received.original_routing_key(), received.message_id());
        // As the loader does: what stands there already is kept.
        let failure = Failure {
            reason,
            attempts,
            first_failed_at: received.first_failed_at().unwrap_or_default(),
            original_routing_key: received.original_routing_key().unwrap_or(key),
        };
        let sent = received.with_failure(&failure);
        prop_assert_eq!(sent.attempts(), attempts);
        prop_assert!(sent.text(REASON).is_some_and(|text| failure.reason.starts_with(&text)));
        prop_assert!(sent.original_routing_key().is_some_and(|text| text.len() <= 255));
        let size = failure_bytes(&sent);
        prop_assert!(size < OURS_BYTES_MAX, "{size} bytes of failure headers");
    }

    #[test]
    fn any_text_makes_properties(id in ".{0,300}", kind in ".{0,300}", seconds in any::<i32>()) {
        let created = DateTime::from_timestamp(i64::from(seconds), 0).unwrap();
        let envelope = Envelope::json("test").of_event(&id, &kind, created);
        prop_assert!(envelope.message_id() == id || (id.len() > 255 && envelope.message_id().is_empty()));
    }
}

/// What the failure headers would take, were each name as long as the longest.
fn failure_bytes(envelope: &Envelope) -> usize {
    let texts =
        [REASON, FIRST_FAILED_AT, ORIGINAL_ROUTING_KEY].map(|name| envelope.text(name).unwrap().len());
    texts.iter().map(|text| text + 40).sum()
}
