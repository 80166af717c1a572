//! A publisher that sends any bytes as a message's routing key and properties. A client library would refuse to.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use url::Url;

/// Types of frames, and the byte that ends each (AMQP 0-9-1, 4.2.3).
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xce;
/// The class of messages.
const BASIC: u16 = 60;
/// The largest frame agreed on.
const FRAME_MAX: u32 = 131_072;
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection with one channel that confirms. What RabbitMQ refuses ends it, and the next message opens another.
pub struct RawPublisher {
    url: Url,
    stream: Option<TcpStream>,
}

/// A message's properties, each by the number of its bit in the property flags.
#[derive(Clone, Debug, Default)]
pub struct RawProperties(pub BTreeMap<u8, Vec<u8>>);

pub const CONTENT_TYPE: u8 = 15;
pub const CONTENT_ENCODING: u8 = 14;
pub const HEADERS: u8 = 13;
pub const DELIVERY_MODE: u8 = 12;
pub const PRIORITY: u8 = 11;
pub const CORRELATION_ID: u8 = 10;
pub const REPLY_TO: u8 = 9;
pub const EXPIRATION: u8 = 8;
pub const MESSAGE_ID: u8 = 7;
pub const TIMESTAMP: u8 = 6;
pub const TYPE: u8 = 5;
pub const USER_ID: u8 = 4;
pub const APP_ID: u8 = 3;
pub const CLUSTER_ID: u8 = 2;

impl RawProperties {
    /// A text of at most 255 bytes.
    pub fn with_text(self, bit: u8, text: &[u8]) -> Self {
        self.with(bit, short(text))
    }

    /// Headers, each with its value encoded, type first.
    pub fn with_headers(self, headers: &[(&[u8], Vec<u8>)]) -> Self {
        self.with(HEADERS, table(headers)[1..].to_vec())
    }

    pub fn with(mut self, bit: u8, encoded: Vec<u8>) -> Self {
        self.0.insert(bit, encoded);
        self
    }

    fn encoded(&self) -> Vec<u8> {
        let flags: u16 = self.0.keys().map(|bit| 1 << bit).sum();
        let fields = self.0.values().rev().flatten().copied();
        flags.to_be_bytes().into_iter().chain(fields).collect()
    }
}

/// A text of at most 255 bytes.
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// The value of a header: a text of any length.
pub fn long(text: &[u8]) -> Vec<u8> {
    [b"S", &u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat()
}

/// The value of a header: a table of others.
pub fn table(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let inner: Vec<u8> =
        entries.iter().flat_map(|(name, value)| [short(name), value.clone()].concat()).collect();
    [b"F", &u32::try_from(inner.len()).unwrap().to_be_bytes()[..], &inner].concat()
}

/// The value of a header: tables in tables, `depth` of them. Written from the outside in, so that it takes no time.
pub fn nested(depth: usize) -> Vec<u8> {
    const LEVEL_BYTES: usize = 7;
    let level = |inner: usize| {
        let length = u32::try_from(inner * LEVEL_BYTES).unwrap().to_be_bytes();
        [b"F", &length[..], &[1, b'k']].concat()
    };
    let mut value: Vec<u8> = (1..depth).rev().flat_map(level).collect();
    value.extend(table(&[]));
    // The innermost table has no entry, and so neither name nor value.
    value
}

impl RawPublisher {
    pub fn new(url: &str) -> Self {
        Self { url: Url::parse(url).unwrap(), stream: None }
    }

    /// Publishes a message and waits until RabbitMQ has it, or gives the words with which RabbitMQ refuses it.
    pub fn try_publish(
        &mut self,
        exchange: &str,
        routing_key: &[u8],
        properties: &RawProperties,
        body: &[u8],
    ) -> Result<(), String> {
        if self.stream.is_none() {
            self.stream = Some(connect(&self.url));
        }
        let target = [&[0, 0], &short(exchange.as_bytes())[..], &short(routing_key), &[0]].concat();
        let header =
            [&BASIC.to_be_bytes()[..], &[0, 0], &(body.len() as u64).to_be_bytes(), &properties.encoded()]
                .concat();
        let mut frames = [frame(METHOD, 1, &method(BASIC, 40, &target)), frame(HEADER, 1, &header)].concat();
        for part in body.chunks(FRAME_MAX as usize - 8) {
            frames.extend(frame(BODY, 1, part));
        }
        let stream = self.stream.as_mut().unwrap();
        let answer =
            stream.write_all(&frames).map_err(|error| error.to_string()).and_then(|()| confirm(stream));
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Publishes a message that RabbitMQ takes.
    #[track_caller]
    pub fn publish(&mut self, exchange: &str, routing_key: &[u8], properties: &RawProperties, body: &[u8]) {
        self.try_publish(exchange, routing_key, properties, body).unwrap();
    }
}

fn connect(url: &Url) -> TcpStream {
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    expect(&mut stream, (10, 10));
    let login = format!("\0{}\0{}", url.username(), url.password().unwrap());
    let start = [&table(&[])[1..], &short(b"PLAIN"), &long(login.as_bytes())[1..], &short(b"en_US")].concat();
    send(&mut stream, 0, method(10, 11, &start));
    expect(&mut stream, (10, 30));
    send(&mut stream, 0, method(10, 31, &[&[0, 16], &FRAME_MAX.to_be_bytes()[..], &[0, 0]].concat()));
    send(&mut stream, 0, method(10, 40, &[&short(b"/")[..], &[0, 0]].concat()));
    expect(&mut stream, (10, 41));
    send(&mut stream, 1, method(20, 10, &[0]));
    expect(&mut stream, (20, 11));
    send(&mut stream, 1, method(85, 10, &[0]));
    expect(&mut stream, (85, 11));
    stream
}

/// Waits for the answer to a message.
fn confirm(stream: &mut TcpStream) -> Result<(), String> {
    loop {
        let (kind, payload) = read_frame(stream).map_err(|error| format!("no answer: {error}"))?;
        match (kind, class_and_method(&payload)) {
            (METHOD, (BASIC, 80)) => return Ok(()),
            (METHOD, (BASIC, 120)) => return Err("nack".into()),
            (METHOD, (10, 50) | (20, 40)) => return Err(String::from_utf8_lossy(&payload[6..]).into_owned()),
            _ => {}
        }
    }
}

#[track_caller]
fn expect(stream: &mut TcpStream, wanted: (u16, u16)) {
    let (kind, payload) = read_frame(stream).unwrap();
    assert_eq!((kind, class_and_method(&payload)), (METHOD, wanted), "{}", String::from_utf8_lossy(&payload));
}

fn send(stream: &mut TcpStream, channel: u16, payload: Vec<u8>) {
    stream.write_all(&frame(METHOD, channel, &payload)).unwrap();
}

fn method(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat()
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind], &channel.to_be_bytes()[..], &length, payload, &[END]].concat()
}

/// The next frame that is no heartbeat: its type and payload.
fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; length as usize + 1];
        stream.read_exact(&mut payload)?;
        assert_eq!(payload.pop(), Some(END), "a frame that does not end");
        if head[0] != HEARTBEAT {
            return Ok((head[0], payload));
        }
    }
}

fn class_and_method(payload: &[u8]) -> (u16, u16) {
    match payload {
        [a, b, c, d, ..] => (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
        _ => (0, 0),
    }
}
