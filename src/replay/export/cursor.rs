//! A place in the archive stream that can be found again, even if another stream has taken the stream's name.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The offset of the next message, and a digest of the message before it.
///
/// Offsets of a stream that is declared again begin at 0. The digest distinguishes the two streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) next: u64,
    before: Option<u64>,
}

/// A message, as seen from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is done.
    Done,
    /// It is to be taken. So many messages between it and the cursor are missing.
    Ahead { missing: u64 },
    /// The message at this offset was another one.
    AnotherStream,
}

impl Cursor {
    /// The place at `offset`, where the message before it is not known.
    pub(super) fn at(offset: u64) -> Self {
        Self { next: offset, before: None }
    }

    /// The place behind a message.
    pub(super) fn behind(offset: u64, body: &[u8]) -> Self {
        Self { next: offset + 1, before: Some(xxh3_64(body)) }
    }

    /// The offset at which to begin to read: that of the message before, if its digest is known.
    pub(super) fn begin(self) -> u64 {
        self.next.saturating_sub(u64::from(self.before.is_some()))
    }

    /// What the message at `offset` is.
    pub(super) fn look_at(self, offset: u64, body: &[u8]) -> Sight {
        match self.before {
            Some(digest) if offset + 1 == self.next && digest != xxh3_64(body) => Sight::AnotherStream,
            _ if offset < self.next => Sight::Done,
            _ => Sight::Ahead { missing: offset - self.next },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_done_or_ahead_and_one_that_has_changed_shows_another_stream() {
        let cursor = Cursor::behind(9, b"nine");
        assert_eq!((cursor.next, cursor.begin()), (10, 9));
        for (offset, body, sight) in [
            (3, "three", Sight::Done),
            (9, "nine", Sight::Done),
            (9, "none", Sight::AnotherStream),
            (10, "ten", Sight::Ahead { missing: 0 }),
            (14, "fourteen", Sight::Ahead { missing: 4 }),
        ] {
            assert_eq!(cursor.look_at(offset, body.as_bytes()), sight, "{offset} {body}");
        }
        assert_eq!(Cursor::at(10).begin(), 10);
        assert_eq!(Cursor::at(10).look_at(9, b"none"), Sight::Done);
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
    }
}
