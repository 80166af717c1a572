//! Messages that the client library cannot parse, as anybody may publish them: at every door of the pipeline they are told, and
//! stop neither their neighbours nor their readers.

mod doors;
mod loading;

use crate::support::corner::Corner;
use crate::support::raw_amqp::{
    APP_ID, CONTENT_TYPE, CORRELATION_ID, DELIVERY_MODE, MESSAGE_ID, REPLY_TO, RawProperties, RawPublisher,
    TYPE, long, nested, table,
};

/// A message that cannot be parsed.
struct Hostile {
    routing_key: &'static [u8],
    properties: RawProperties,
    /// Words of the reason that must be told.
    told: &'static str,
}

/// Levels of tables in tables that fill a frame of 128 KiB. RabbitMQ 3.10 itself takes 5 s for one such message.
const DEEPEST: usize = 18_600;
/// Levels that end lapin's thread all the same, and that RabbitMQ takes in its stride.
const DEEP: usize = 4000;
/// Not UTF-8.
const BAD: &[u8] = b"caf\xe9 \xff\xfe";

fn hostile_messages() -> Vec<Hostile> {
    let plain = || RawProperties::default().with(DELIVERY_MODE, vec![2]);
    let texts = [
        (TYPE, "the type is not UTF-8"),
        (MESSAGE_ID, "the message_id is not UTF-8"),
        (CONTENT_TYPE, "the content_type is not UTF-8"),
        (APP_ID, "the app_id is not UTF-8"),
        (CORRELATION_ID, "the correlation_id is not UTF-8"),
        (REPLY_TO, "the reply_to is not UTF-8"),
    ];
    let texts = texts.map(|(bit, told)| (plain().with_text(bit, BAD), told));
    let key = "the name of a header is not UTF-8";
    let inner = table(&[(BAD, long(b"x"))]);
    let array = [b"A", &u32::try_from(inner.len()).unwrap().to_be_bytes()[..], &inner].concat();
    let deep = "headers are nested deeper than 128 levels";
    let headers = [
        (vec![(BAD, long(b"x")), (b"x-own", long(b"y"))], key),
        (vec![(b"outer", inner)], key),
        (vec![(b"list", array)], key),
        (vec![(b"deep", nested(1500))], deep),
        (vec![(b"deep", nested(DEEP))], deep),
        (vec![(b"deep", lists(DEEP))], deep),
    ];
    let headers = headers.map(|(headers, told)| (plain().with_headers(&headers), told));
    let keyed = Hostile { routing_key: BAD, properties: plain(), told: "the routing key is not UTF-8" };
    let rest = texts.into_iter().chain(headers);
    let rest = rest.map(|(properties, told)| Hostile { routing_key: b"PushEvent", properties, told });
    [keyed].into_iter().chain(rest).collect()
}

/// The value of a header: lists in lists.
fn lists(depth: usize) -> Vec<u8> {
    (0..depth)
        .rev()
        .flat_map(|inner| [b"A", &u32::try_from(inner * 5).unwrap().to_be_bytes()[..]].concat())
        .collect()
}

fn publisher(corner: &Corner) -> RawPublisher {
    RawPublisher::new(&corner.amqp_url)
}
