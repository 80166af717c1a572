//! Reads a file's events in batches, and rejects everything else.

use std::io::{BufRead, Read};

use chrono::{DateTime, Utc};

use super::lines::Lines;
use super::mark::{Mark, Marker};
use super::open::{Meter, open};
use super::records;
use crate::event::{BODY_BYTES_MAX, Event, identity};

/// A batch is handed out when it has this many events or bytes, at the end of a line.
const BATCH_EVENTS: usize = 1024;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that are kept of a reject that is too long.
const SCRAP_BYTES_MAX: usize = 1024;

/// Rejects of one line that are listed; more are counted together.
const LINE_REJECTS_MAX: usize = 100;

/// An event with its exact bytes, and the fields that its message needs.
#[derive(Debug, PartialEq, Eq)]
pub struct RawEvent {
    pub id: String,
    pub kind: String,
    pub created: DateTime<Utc>,
    pub body: Vec<u8>,
}

/// A part of a file that is no event, or the reason why a file cannot be read further.
#[derive(Debug, PartialEq, Eq)]
pub struct Reject {
    /// Its line, from 1; 0 for a file that cannot be read at all.
    pub line: u64,
    /// The reason, in the form of a dead letter's: `code: explanation`.
    pub reason: String,
    /// Its bytes; only the first ones if it is larger than an event may be.
    pub scrap: Vec<u8>,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The events and rejects since the last batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events that are wanted, in the order of the file.
    pub events: Vec<RawEvent>,
    /// Events that are not wanted.
    pub unwanted: u64,
    pub rejects: Vec<Reject>,
    /// The position after the last line of this batch.
    pub through: Mark,
    /// The file does not begin as the one that was read before. The batch is empty, and it is the last one.
    pub is_another_file: bool,
    /// The file cannot be read any further: the last reject says why.
    pub breaks_off: bool,
    /// Bytes of the file, as it is on disk, read for this batch and all before it.
    pub bytes_read: u64,
    event_bytes: usize,
}

/// Reads a file, or another stream of the same form. Blocking. Iteration ends at the end of the file, or at an unreadable place. In
/// the second case the last reject has the reason.
pub struct Reader<F> {
    state: State,
    meter: Meter,
    /// Lines up to this one have been taken before.
    from: Mark,
    read: Marker,
    wanted: F,
}

enum State {
    Open(Lines<Box<dyn BufRead + Send>>),
    Unreadable(Reject),
    Ended,
}

impl<F: Fn(&Event) -> bool> Reader<F> {
    /// Reads `raw` behind the lines of `from` and picks the events that are `wanted`.
    pub fn new(raw: impl Read + Send + 'static, from: Mark, wanted: F) -> Self {
        let meter = Meter::default();
        let state = match open(raw, &meter) {
            Ok(text) => State::Open(Lines::new(text)),
            Err(error) => State::Unreadable(unreadable(0, &error)),
        };
        Self { state, meter, from, read: Marker::default(), wanted }
    }

    fn fill(&mut self, batch: &mut Batch) {
        let State::Open(lines) = &mut self.state else { return };
        let error = loop {
            let next = lines.next();
            let is_before = |line: u64| line < self.from.line;
            match next {
                Ok(Some(line)) => {
                    self.read.add(&line);
                    if is_before(line.number) {
                        continue;
                    }
                    if line.number == self.from.line {
                        if self.read.mark() == self.from {
                            continue;
                        }
                        return self.end_with_another_file(batch);
                    }
                    if line.is_whole() {
                        take(&line, &self.wanted, batch);
                    } else {
                        batch.rejects.push(too_long(&line));
                    }
                }
                // The file before was longer, or could be read further.
                Ok(None) | Err(_) if is_before(self.read.line()) => return self.end_with_another_file(batch),
                Ok(None) => break None,
                Err(error) => break Some(unreadable(self.read.line() + 1, &error)),
            }
            if batch.is_full() {
                batch.through = self.read.mark();
                return;
            }
        };
        batch.through = self.read.mark();
        batch.breaks_off = error.is_some();
        batch.rejects.extend(error);
        self.state = State::Ended;
    }

    fn end_with_another_file(&mut self, batch: &mut Batch) {
        batch.is_another_file = true;
        self.state = State::Ended;
    }
}

impl<F: Fn(&Event) -> bool> Iterator for Reader<F> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return None,
            State::Unreadable(reject) => {
                batch.breaks_off = true;
                batch.rejects.push(reject);
            }
            open @ State::Open(_) => {
                self.state = open;
                self.fill(&mut batch);
            }
        }
        batch.bytes_read = self.meter.bytes();
        Some(batch)
    }
}

impl RawEvent {
    /// A short stand-in for it: see [`identity`].
    pub fn identity(&self) -> u64 {
        identity(&self.id, self.created)
    }
}

impl Reject {
    /// The reject for a file that is missing or unreadable.
    pub fn of_file(reason: String) -> Self {
        Self { line: 0, reason, scrap: Vec::new(), bytes: 0 }
    }
}

impl Batch {
    /// The only batch of a file that cannot be read.
    pub fn unreadable(reason: String) -> Self {
        Self { rejects: vec![Reject::of_file(reason)], breaks_off: true, ..Self::default() }
    }

    fn is_full(&self) -> bool {
        let scraps = self.rejects.iter().map(|reject| reject.scrap.len()).sum::<usize>();
        self.events.len() + self.rejects.len() >= BATCH_EVENTS || self.event_bytes + scraps >= BATCH_BYTES
    }
}

fn take(line: &super::lines::Line<'_>, wanted: impl Fn(&Event) -> bool, batch: &mut Batch) {
    let before = batch.rejects.len();
    let (mut more, mut more_bytes) = (0_u64, 0);
    records::split(line.text, |record, bytes| match record {
        Ok(event) if wanted(&event) => {
            batch.event_bytes += bytes.len();
            batch.events.push(RawEvent {
                id: event.id.to_string(),
                kind: event.kind.to_string(),
                created: event.created(),
                body: bytes.to_vec(),
            });
        }
        Ok(_) => batch.unwanted += 1,
        // Four megabytes of {}{}{}… are two million rejects: listed one by one, they would fill the memory.
        Err((_, scrap)) if batch.rejects.len() - before >= LINE_REJECTS_MAX => {
            more += 1;
            more_bytes += scrap.len() as u64;
        }
        Err((reason, scrap)) => {
            let old = if reason.code() == "missing-field" { " (before 2015 events had no id)" } else { "" };
            batch.rejects.push(Reject {
                line: line.number,
                reason: format!("{reason}{old}"),
                bytes: scrap.len() as u64,
                scrap: scrap.to_vec(),
            });
        }
    });
    if more > 0 {
        batch.rejects.push(Reject {
            line: line.number,
            reason: format!(
                "too-many: {more} more pieces of this line are no events; this is how the line begins"
            ),
            scrap: line.text[..line.text.len().min(SCRAP_BYTES_MAX)].to_vec(),
            bytes: more_bytes,
        });
    }
}

fn too_long(line: &super::lines::Line<'_>) -> Reject {
    Reject {
        line: line.number,
        reason: format!("too-large: a line of {} bytes, an event has at most {BODY_BYTES_MAX}", line.bytes),
        scrap: line.text[..SCRAP_BYTES_MAX].to_vec(),
        bytes: line.bytes,
    }
}

fn unreadable(line: u64, error: &std::io::Error) -> Reject {
    let reason = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            "truncated: the file ends in the middle of its gzip data".to_owned()
        }
        _ => format!("unreadable: {error}"),
    };
    Reject { line, reason, scrap: Vec::new(), bytes: 0 }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn event(id: usize) -> String {
        format!(
            r#"{{"id":"{id}","type":"PushEvent","created_at":"2015-01-01T00:00:00Z","x":"{}"}}"#,
            "y".repeat(id % 50)
        )
    }

    fn read(raw: &[u8]) -> Vec<Batch> {
        read_from(raw, Mark::default())
    }

    fn read_from(raw: &[u8], from: Mark) -> Vec<Batch> {
        Reader::new(Cursor::new(raw.to_vec()), from, |event| event.kind == "PushEvent").collect()
    }

    fn text_of(ids: std::ops::Range<usize>) -> String {
        ids.map(|id| event(id) + "\n").collect()
    }

    fn reasons(batches: &[Batch]) -> Vec<(u64, &str)> {
        let rejects = batches.iter().flat_map(|batch| &batch.rejects);
        rejects.map(|reject| (reject.line, reject.reason.split(':').next().unwrap())).collect()
    }

    #[test]
    fn all_events_come_in_order_and_batches_are_bounded() {
        let lines: Vec<String> = (0..4000).map(event).collect();
        let batches = read(lines.join("\n").as_bytes());
        let bodies: Vec<_> =
            batches.iter().flat_map(|batch| &batch.events).map(|event| event.body.clone()).collect();
        assert_eq!(bodies, lines.iter().map(|line| line.clone().into_bytes()).collect::<Vec<_>>());
        let through: Vec<_> = batches.iter().map(|batch| batch.through.line).collect();
        assert_eq!(through, [1024, 2048, 3072, 4000]);
        assert_eq!(batches[3].bytes_read, lines.join("\n").len() as u64);
    }

    #[test]
    fn reading_goes_on_behind_any_line() {
        let mark = read(text_of(0..700).as_bytes())[0].through;
        let batches = read_from(text_of(0..1000).as_bytes(), mark);
        let ids: Vec<_> =
            batches.iter().flat_map(|batch| &batch.events).map(|event| event.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[299]), (300, "700", "999"));
        assert_eq!(batches.last().unwrap().through.line, 1000);
        assert!(!batches.iter().any(|batch| batch.is_another_file));
    }

    #[test]
    fn a_file_that_does_not_begin_as_the_one_before_is_told_and_nothing_of_it_taken() {
        let mark = read(text_of(0..700).as_bytes())[0].through;
        let (other, shorter) = (text_of(1..1001), text_of(0..699));
        let mut damaged = GzEncoder::new(Vec::new(), Compression::default());
        damaged.write_all(text_of(0..1000).as_bytes()).unwrap();
        let damaged = damaged.finish().unwrap();
        for raw in [other.as_bytes(), shorter.as_bytes(), b"", &damaged[..damaged.len() / 3]] {
            let batches = read_from(raw, mark);
            assert!(batches.len() == 1 && batches[0].is_another_file, "{batches:?}");
            assert!(batches[0].events.is_empty() && batches[0].rejects.is_empty());
        }
    }

    #[test]
    fn what_is_no_event_is_told_with_its_line_and_never_ends_the_rest() {
        let huge = "x".repeat(5 * 1024 * 1024);
        let old = r#"{"type":"PushEvent","created_at":"2012-01-01T00:00:00-08:00"}"#;
        let other = event(7).replace("PushEvent", "ForkEvent");
        let text = format!("{}\nnot json\n{huge}\n\r\n{old}\r\n{other}\n{}\n", event(1), event(2));
        let batches = read(text.as_bytes());
        assert_eq!(reasons(&batches), [(2, "not-json"), (3, "too-large"), (5, "missing-field")]);
        assert_eq!(batches.iter().map(|batch| batch.events.len()).sum::<usize>(), 2);
        assert_eq!(batches.iter().map(|batch| batch.unwanted).sum::<u64>(), 1);
        let rejects: Vec<_> = batches.iter().flat_map(|batch| &batch.rejects).collect();
        assert_eq!((rejects[0].scrap.as_slice(), rejects[0].bytes), (&b"not json"[..], 8));
        assert_eq!((rejects[1].scrap.len(), rejects[1].bytes), (1024, 5 * 1024 * 1024));
    }

    #[test]
    fn of_a_file_that_breaks_off_the_whole_lines_are_taken() {
        let text: String = (0..3000).map(|id| event(id) + "\n").collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        let whole = encoder.finish().unwrap();
        let batches = read(&whole[..whole.len() * 2 / 3]);
        let events = batches.iter().map(|batch| batch.events.len()).sum::<usize>();
        assert!((100..2999).contains(&events), "{events}");
        assert_eq!(reasons(&batches), [(events as u64 + 1, "truncated")]);
        assert!(batches.last().unwrap().breaks_off && !batches[0].breaks_off);
    }

    #[test]
    fn a_line_of_pieces_without_end_is_told_in_bounded_memory() {
        let text = format!("{}{}{}\n{}", "{}".repeat(1_000_000), event(1), "[] 7 ".repeat(50_000), event(2));
        let batches = read(text.as_bytes());
        assert_eq!(batches.iter().map(|batch| batch.events.len()).sum::<usize>(), 2);
        let rejects: Vec<_> = batches.iter().flat_map(|batch| &batch.rejects).collect();
        assert_eq!(rejects.len(), LINE_REJECTS_MAX + 1);
        let last = rejects[LINE_REJECTS_MAX];
        assert!(last.reason.starts_with("too-many: 1049900 more pieces"), "{}", last.reason);
        assert_eq!((last.line, last.scrap.len(), last.bytes), (1, 1024, 2 * 999_900 + 50_000));
    }

    #[test]
    fn a_file_that_is_something_else_is_one_reject() {
        let page = read(b"<html>\n<body>\n");
        assert_eq!(reasons(&page), [(0, "unreadable")]);
        assert!(page[0].breaks_off);
        assert_eq!(reasons(&read(b"")), []);
    }
}
