//! Whatever comes, lapin can parse what goes on; and what it can parse goes on as it came.

use lapin::protocol::basic::{AMQPProperties, parse_properties};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// As lapin parses it: whole, or not at all.
fn parsed(payload: &[u8]) -> Option<AMQPProperties> {
    let (rest, properties) = parse_properties(payload.get(SIZE_BYTES..)?).ok()?;
    rest.is_empty().then_some(properties)
}

fn note(properties: &AMQPProperties) -> String {
    let headers = properties.headers().clone().unwrap_or_default();
    match headers.inner().get(UNREADABLE) {
        Some(lapin::types::AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn sized(kind: u8, inner: &[u8]) -> Vec<u8> {
    [&[kind], &length(inner.len())[..], inner].concat()
}

fn payload(flags: u16, properties: &[u8]) -> Vec<u8> {
    [&[7; SIZE_BYTES][..], &flags.to_be_bytes(), properties].concat()
}

fn a_text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => ".{0,12}".prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..255)]
        .prop_map(|text| short(&text[..text.len().min(255)]))
}

fn a_value() -> impl Strategy<Value = Vec<u8>> {
    let plain = (select(b"VtbBsUuIifDlLdT".to_vec()), vec(any::<u8>(), 8))
        .prop_map(|(kind, bytes)| [&[kind], &bytes[..size_of_plain(kind).unwrap()]].concat());
    let long =
        (select(b"Sx".to_vec()), vec(any::<u8>(), 0..40)).prop_map(|(kind, bytes)| sized(kind, &bytes));
    let leaf = prop_oneof![plain, long];
    leaf.prop_recursive(140, 160, 2, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| sized(b'A', &values.concat())),
            vec((a_text(), inner), 0..3).prop_map(|entries| sized(b'F', &table(&entries))),
        ]
    })
}

fn table(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    entries.iter().flat_map(|(name, value)| [&name[..], value].concat()).collect()
}

/// Properties as RabbitMQ sends them: any of them, texts of any bytes, headers of any shape.
fn properties() -> impl Strategy<Value = Vec<u8>> {
    let texts = vec(a_text(), 10);
    let headers =
        vec((a_text(), a_value()), 0..4).prop_map(|entries| sized(b'F', &table(&entries))[1..].to_vec());
    (any::<u16>(), texts, headers, any::<u64>()).prop_map(|(flags, texts, headers, number)| {
        let flags = flags & !0b11;
        let mut texts = texts.into_iter();
        let mut next = |part: &Part| match part {
            Part::Bytes(count) => number.to_be_bytes()[..*count].to_vec(),
            Part::Text(_) => texts.next().unwrap(),
        };
        let before: Vec<_> = BEFORE.iter().map(|(bit, part)| (*bit, next(part))).collect();
        let behind: Vec<_> = BEHIND.iter().map(|(bit, part)| (*bit, next(part))).collect();
        let all = before.into_iter().chain([(HEADERS, headers)]).chain(behind);
        payload(
            flags,
            &all.filter(|(bit, _)| flags & 1 << bit != 0).flat_map(|(_, bytes)| bytes).collect::<Vec<_>>(),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn properties_of_any_texts_and_headers_can_be_parsed(came in properties()) {
        match header(&came, None) {
            None => prop_assert!(parsed(&came).is_some()),
            Some(repaired) => {
                prop_assert_eq!(&repaired[..SIZE_BYTES], &came[..SIZE_BYTES]);
                let told = note(&parsed(&repaired).expect("readable"));
                prop_assert!(told.contains("UTF-8") || told.contains("nested"), "{}", told);
                prop_assert!(header(&repaired, None).is_none(), "once is enough");
            }
        }
    }

    #[test]
    fn any_bytes_can_be_parsed(came in vec(any::<u8>(), SIZE_BYTES..200)) {
        let goes_on = header(&came, None).unwrap_or_else(|| came.clone());
        prop_assert!(parsed(&goes_on).is_some());
    }

    #[test]
    fn what_lapin_can_parse_goes_on_as_it_came(came in properties()) {
        // Its parser takes nesting of this depth in a thread of 2 MiB.
        if parsed(&came).is_some() && header(&came, None).is_some() {
            prop_assert_eq!(header(&came, None).map(|repaired| note(&parsed(&repaired).unwrap())), Some(Trouble::Depth.to_string()));
        }
    }

    #[test]
    fn any_method_is_read_to_its_end_or_left_alone(number in select(METHODS.map(|(number, _)| number).to_vec()), rest in vec(any::<u8>(), 0..80)) {
        let came = [&number.0.to_be_bytes()[..], &number.1.to_be_bytes(), &rest].concat();
        if let Some((repaired, _)) = method(&came) {
            prop_assert!(repaired.len() <= came.len() && method(&repaired).is_none());
        }
    }
}

#[test]
fn a_routing_key_becomes_text_and_is_told_with_the_properties_that_follow() {
    let key = b"caf\xe9";
    let deliver = [&[0, 60, 0, 60][..], &short(b"tag"), &[0; 9], &short(b"exchange"), &short(key)].concat();
    let (repaired, trouble) = method(&deliver).unwrap();
    assert!(repaired.ends_with(b"\x04caf?"), "{repaired:?}");
    assert_eq!(trouble, Some(Trouble::Text("routing key")));
    let properties = parsed(&header(&payload(0, b""), trouble).unwrap()).unwrap();
    assert_eq!(note(&properties), "the routing key is not UTF-8");
}

#[test]
fn of_large_properties_only_what_rabbitmq_wrote_is_kept() {
    let offset = [&short(b"x-stream-offset")[..], b"l", &7_i64.to_be_bytes()].concat();
    let huge = [&short(b"\xff")[..], &sized(b'S', &vec![b'x'; KEPT_BYTES_MAX])].concat();
    let came = payload(1 << HEADERS, &sized(b'F', &[huge, offset].concat())[1..]);
    let properties = parsed(&header(&came, None).unwrap()).unwrap();
    let names: Vec<_> =
        properties.headers().clone().unwrap().inner().keys().map(ToString::to_string).collect();
    assert_eq!(names, [UNREADABLE, "x-stream-offset"]);
}

#[test]
fn tables_in_tables_are_cut_off_without_a_stack_of_their_own() {
    const LEVELS: usize = 18_000;
    /// A quarter of what lapin's thread has, and this without optimisation.
    const STACK_BYTES: usize = 512 * 1024;
    let level = |inner: usize| [b"F", &length(inner * 7)[..], b"\x01k"].concat();
    let deep: Vec<u8> = (1..LEVELS).rev().flat_map(level).chain(sized(b'F', b"")).collect();
    let came = payload(1 << HEADERS, &sized(b'F', &[&short(b"k")[..], &deep].concat())[1..]);
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let told =
        thread.spawn(move || note(&parsed(&header(&came, None).unwrap()).unwrap())).unwrap().join().unwrap();
    assert_eq!(told, "headers are nested deeper than 128 levels");
}
