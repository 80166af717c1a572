//! Log lines that stay lines: text of others in them cannot begin another, nor steer a terminal.

use std::io::{self, Write};

use crate::terminal::Escaped;

/// The formatter's own colours begin with it; it escapes it in values.
const ESCAPE: char = '\u{1b}';

/// Writes each event of the log as one line, its control characters escaped but for colours.
pub(super) struct OneLine<W>(pub(super) W);

impl<W: Write> Write for OneLine<W> {
    /// `event` is a complete event: the formatter writes each at once.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.contains(is_unsafe) {
            self.0.write_all(escaped(line).as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_unsafe(c: char) -> bool {
    c != ESCAPE && !Escaped::is_safe(c)
}

fn escaped(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len() + 32);
    for c in line.chars() {
        if is_unsafe(c) { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
    }
    escaped + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str) -> String {
        let mut bytes = Vec::new();
        OneLine(&mut bytes).write_all(event.as_bytes()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_of_others_cannot_begin_another_line() {
        let forged = "WARN message '7\n2026 ERROR forged\r\u{9b}2J\u{202e}' is dead\n";
        assert_eq!(
            written(forged),
            "WARN message '7\\u{a}2026 ERROR forged\\u{d}\\u{9b}2J\\u{202e}' is dead\n"
        );
    }

    #[test]
    fn lines_and_colours_stay_as_they_are() {
        for plain in ["INFO all well\n", "\u{1b}[32m INFO\u{1b}[0m naïve\n"] {
            assert_eq!(written(plain), plain);
        }
    }
}
