//! The lines of a stream, in bounded memory: of a line that is too long, only the beginning is kept.

use std::io::{self, BufRead};

use crate::event::BODY_BYTES_MAX;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u64,
    /// Its bytes; only the first ones of a line that is too long.
    pub(super) text: &'a [u8],
    /// How many bytes it has.
    pub(super) bytes: u64,
}

impl Line<'_> {
    /// False where `text` is only the beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.text.len() as u64 == self.bytes
    }
}

/// The longest line that is kept: one event of the largest size, and some room.
const LINE_BYTES_MAX: usize = BODY_BYTES_MAX + 64 * 1024;

/// Hands out lines, one at a time.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, buffer: Vec::new() }
    }

    /// The next line, or nothing at the end.
    ///
    /// # Errors
    /// The error of the stream. A line that the error cuts off is not given.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut bytes = 0_u64;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = memchr::memchr(b'\n', chunk);
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LINE_BYTES_MAX - self.buffer.len();
            self.buffer.extend_from_slice(&part[..part.len().min(room)]);
            bytes += part.len() as u64;
            let (is_last, taken) = (chunk.is_empty(), part.len() + usize::from(end.is_some()));
            self.reader.consume(taken);
            if is_last && bytes == 0 {
                return Ok(None);
            }
            if is_last || end.is_some() {
                self.number += 1;
                return Ok(Some(Line { number: self.number, text: &self.buffer, bytes }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    #[test]
    fn lines_are_numbered_and_the_last_needs_no_end() {
        let mut lines = Lines::new(&b"a\n\nbc"[..]);
        assert_eq!(lines.next().unwrap(), Some(Line { number: 1, text: b"a", bytes: 1 }));
        assert_eq!(lines.next().unwrap(), Some(Line { number: 2, text: b"", bytes: 0 }));
        assert_eq!(lines.next().unwrap(), Some(Line { number: 3, text: b"bc", bytes: 2 }));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory_and_the_next_one_is_found() {
        let huge = io::repeat(b'x').take(200_000_000).chain(&b"\nnext\n"[..]);
        let mut lines = Lines::new(BufReader::new(huge));
        let line = lines.next().unwrap().unwrap();
        assert_eq!((line.bytes, line.text.len(), line.is_whole()), (200_000_000, LINE_BYTES_MAX, false));
        let capacity = lines.buffer.capacity();
        assert!(capacity <= 2 * LINE_BYTES_MAX, "{capacity}");
        assert_eq!(lines.next().unwrap().unwrap().text, b"next");
    }

    #[test]
    fn a_line_that_an_error_cuts_off_is_not_handed_out() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let mut lines = Lines::new(BufReader::new((&b"whole\nhal"[..]).chain(Broken)));
        assert_eq!(lines.next().unwrap().unwrap().text, b"whole");
        assert_eq!(lines.next().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
