//! Repairs methods and properties so that lapin can parse them. Texts become UTF-8; tables are cut off at a depth. Only the
//! note of the damage makes a message larger. Pure.

use std::fmt;

/// Our header that names the trouble with a message's original properties.
pub(in crate::broker) const UNREADABLE: &str = "x-etl-unreadable";
/// Tables and lists in one another beyond this are cut off. lapin's thread, with a stack of 2 MiB, overflowed with 1,500;
/// RabbitMQ's own headers have 3.
const DEPTH_MAX: usize = 128;
/// Of larger properties that were not readable, only RabbitMQ's own headers are kept, because the note has to fit the frame too.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// RabbitMQ's headers that readers rely on.
const OF_RABBITMQ: [&[u8]; 2] = [b"x-stream-offset", b"x-delivery-count"];
/// A byte that is not UTF-8 becomes this one, so that no text grows.
const REPLACEMENT: &[u8] = b"?";

/// The trouble with a method or with properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// This text is not UTF-8.
    Text(&'static str),
    /// Headers are nested too deep.
    Depth,
    /// A form that RabbitMQ does not send.
    Malformed,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(what) => write!(f, "the {what} is not UTF-8"),
            Self::Depth => write!(f, "headers are nested deeper than {DEPTH_MAX} levels"),
            Self::Malformed => f.write_str("the properties are malformed"),
        }
    }
}

/// A part of a method's arguments.
enum Part {
    Bytes(usize),
    Text(&'static str),
}

/// Class and method number, and the arguments up to the last text that another client may have chosen.
const METHODS: [((u16, u16), &[Part]); 5] = {
    use Part::{Bytes, Text};
    const EXCHANGE: Part = Text("name of the exchange");
    const ROUTING_KEY: Part = Text("routing key");
    [
        // basic.deliver, basic.get-ok, basic.return
        ((60, 60), &[Text("consumer tag"), Bytes(9), EXCHANGE, ROUTING_KEY]),
        ((60, 71), &[Bytes(9), EXCHANGE, ROUTING_KEY]),
        ((60, 50), &[Bytes(2), Text("reason of the return"), EXCHANGE, ROUTING_KEY]),
        // connection.close, channel.close: RabbitMQ quotes, and cuts the text at 255 bytes.
        ((10, 50), &[Bytes(2), Text("reason of the close")]),
        ((20, 40), &[Bytes(2), Text("reason of the close")]),
    ]
};

/// A method that lapin could not parse, in a form that it can parse. If properties follow the method, also the trouble with it.
pub(super) fn method(payload: &[u8]) -> Option<(Vec<u8>, Option<Trouble>)> {
    let [c1, c2, m1, m2, ..] = *payload else { return None };
    let number = (u16::from_be_bytes([c1, c2]), u16::from_be_bytes([m1, m2]));
    let (_, parts) = METHODS.iter().find(|(known, _)| *known == number)?;
    let mut copy = Copy::of(payload);
    copy.bytes(4)?;
    for part in *parts {
        match part {
            Part::Bytes(count) => copy.bytes(*count)?,
            Part::Text(what) => copy.text(what)?,
        }
    }
    copy.trouble?;
    copy.bytes(copy.rest.len())?;
    Some((copy.out, copy.trouble.filter(|_| number.0 == 60)))
}

/// The properties of a message, by the bit that says whether it has them (AMQP 0-9-1, 4.2.6.1): before the headers, and behind.
const BEFORE: [(u16, Part); 2] = [(15, Part::Text("content_type")), (14, Part::Text("content_encoding"))];
const HEADERS: u16 = 13;
const BEHIND: [(u16, Part); 11] = [
    (12, Part::Bytes(1)),
    (11, Part::Bytes(1)),
    (10, Part::Text("correlation_id")),
    (9, Part::Text("reply_to")),
    (8, Part::Text("expiration")),
    (7, Part::Text("message_id")),
    (6, Part::Bytes(8)),
    (5, Part::Text("type")),
    (4, Part::Text("user_id")),
    (3, Part::Text("app_id")),
    (2, Part::Text("cluster_id")),
];
/// Class, weight and the size of the body come before the properties.
const SIZE_BYTES: usize = 12;

/// The properties of a message, in a form that lapin can parse, with a note of the trouble. For properties that lapin could not
/// parse, or whose method it could not.
pub(super) fn header(payload: &[u8], trouble_before: Option<Trouble>) -> Option<Vec<u8>> {
    let (size, properties) = payload.split_at_checked(SIZE_BYTES)?;
    let parts = Parts::of(properties, false);
    let trouble = parts.as_ref().map_or(Some(Trouble::Malformed), |parts| parts.trouble);
    let trouble = trouble_before.or(trouble)?;
    let kept = if payload.len() <= KEPT_BYTES_MAX { parts } else { Parts::of(properties, true) };
    Some([size, &kept.unwrap_or_default().with_note(trouble)].concat())
}

/// The properties of a message, readable.
#[derive(Clone, Default)]
struct Parts {
    flags: u16,
    before: Vec<u8>,
    /// Names and values, one after the other.
    headers: Vec<u8>,
    behind: Vec<u8>,
    trouble: Option<Trouble>,
}

impl Parts {
    /// None if the properties are malformed. With `headers_of_rabbitmq`, no other headers.
    fn of(properties: &[u8], headers_of_rabbitmq: bool) -> Option<Self> {
        let (flags, rest) = properties.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        let mut copy = Copy::of(rest);
        copy.parts(flags, &BEFORE)?;
        let before = std::mem::take(&mut copy.out);
        if flags & 1 << HEADERS != 0 {
            copy.headers(headers_of_rabbitmq)?;
        }
        let headers = std::mem::take(&mut copy.out);
        copy.parts(flags, &BEHIND)?;
        copy.rest.is_empty().then_some(Self {
            flags,
            before,
            headers,
            behind: copy.out,
            trouble: copy.trouble,
        })
    }

    /// All of it encoded, and the note among the headers.
    fn with_note(mut self, trouble: Trouble) -> Vec<u8> {
        let text = trouble.to_string();
        self.headers.push(u8::try_from(UNREADABLE.len()).unwrap_or(u8::MAX));
        self.headers.extend_from_slice(UNREADABLE.as_bytes());
        self.headers.push(b'S');
        self.headers.extend_from_slice(&length(text.len()));
        self.headers.extend_from_slice(text.as_bytes());
        let flags = (self.flags | 1 << HEADERS).to_be_bytes();
        [&flags[..], &self.before, &length(self.headers.len()), &self.headers, &self.behind].concat()
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Copies the part that can be parsed. Each step returns None if the bytes end too early.
struct Copy<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// The first trouble.
    trouble: Option<Trouble>,
}

impl<'a> Copy<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, out: Vec::with_capacity(bytes.len()), trouble: None }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes a length of 4 bytes, and as many bytes.
    fn take_long(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        self.take(u32::from_be_bytes(*length) as usize)
    }

    fn bytes(&mut self, count: usize) -> Option<()> {
        let bytes = self.take(count)?;
        self.out.extend_from_slice(bytes);
        Some(())
    }

    fn parts(&mut self, flags: u16, parts: &[(u16, Part)]) -> Option<()> {
        for (_, part) in parts.iter().filter(|(bit, _)| flags & 1 << bit != 0) {
            match part {
                Part::Bytes(count) => self.bytes(*count)?,
                Part::Text(what) => self.text(what)?,
            }
        }
        Some(())
    }

    /// A text with a length of one byte.
    fn text(&mut self, what: &'static str) -> Option<()> {
        let (length, rest) = self.rest.split_first()?;
        self.rest = rest;
        let text = self.take(usize::from(*length))?;
        let place = self.out.len();
        self.out.push(*length);
        for chunk in text.utf8_chunks() {
            self.out.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                self.out.extend_from_slice(REPLACEMENT);
                self.trouble.get_or_insert(Trouble::Text(what));
            }
        }
        self.out[place] = u8::try_from(self.out.len() - place - 1).unwrap_or(u8::MAX);
        Some(())
    }

    /// The entries of the table of headers, without its length.
    fn headers(&mut self, only_of_rabbitmq: bool) -> Option<()> {
        let mut entries = Copy { rest: self.take_long()?, out: std::mem::take(&mut self.out), ..*self };
        while !entries.rest.is_empty() {
            let (before, place) = (entries.rest, entries.out.len());
            entries.entry(1)?;
            let name = &before[1..=usize::from(before[0])];
            if only_of_rabbitmq && !OF_RABBITMQ.contains(&name) {
                entries.out.truncate(place);
            }
        }
        (self.out, self.trouble) = (entries.out, entries.trouble);
        Some(())
    }

    fn entry(&mut self, depth: usize) -> Option<()> {
        self.text("name of a header")?;
        self.value(depth)
    }

    /// A value with its type, `depth` tables and lists deep.
    fn value(&mut self, depth: usize) -> Option<()> {
        let kind = *self.rest.first()?;
        match kind {
            b'F' | b'A' if depth == DEPTH_MAX => {
                self.take(1)?;
                self.take_long()?;
                self.out.push(b'V');
                self.trouble.get_or_insert(Trouble::Depth);
                Some(())
            }
            b'F' => self.container(|inner| inner.entry(depth + 1)),
            b'A' => self.container(|inner| inner.value(depth + 1)),
            b'S' | b'x' => {
                let (length, _) = self.rest.get(1..)?.split_first_chunk()?;
                self.bytes(1 + 4 + u32::from_be_bytes(*length) as usize)
            }
            _ => self.bytes(1 + size_of_plain(kind)?),
        }
    }

    /// A type, a length, and what `inner` takes one by one.
    fn container(&mut self, inner: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.bytes(1)?;
        let entries = self.take_long()?;
        let behind = std::mem::replace(&mut self.rest, entries);
        let place = self.out.len();
        self.out.extend_from_slice(&length(0));
        while !self.rest.is_empty() {
            inner(self)?;
        }
        let taken = length(self.out.len() - place - 4);
        self.out[place..place + 4].copy_from_slice(&taken);
        self.rest = behind;
        Some(())
    }
}

/// Bytes of a value of a fixed size, by its type (<https://www.rabbitmq.com/amqp-0-9-1-errata#section_3>). None for a type
/// that lapin does not know.
fn size_of_plain(kind: u8) -> Option<usize> {
    match kind {
        b'V' => Some(0),
        b't' | b'b' | b'B' => Some(1),
        b's' | b'U' | b'u' => Some(2),
        b'I' | b'i' | b'f' => Some(4),
        b'D' => Some(5),
        b'l' | b'L' | b'd' | b'T' => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
