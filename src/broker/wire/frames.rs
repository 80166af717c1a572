//! Finds the frames in a stream of bytes (AMQP 0-9-1, 4.2.3). Frames with foreign texts go through `repair`; the others pass
//! unchanged. Pure.

use std::collections::BTreeMap;
use std::io;

use super::repair::{self, Trouble};

/// Types of frames whose texts others have written: methods, and the properties of a message.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
/// Parts of a body, and heartbeats.
const OPAQUE: [u8; 2] = [3, 8];
/// Type, channel and length come before the payload, one byte behind it.
const HEAD_BYTES: usize = 7;
const END_BYTES: usize = 1;
/// The longest frame that is buffered. RabbitMQ sends up to 128 KiB unless configured otherwise; lapin's own buffer would be
/// full with 4 MiB.
const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What passes from RabbitMQ to lapin.
#[derive(Default)]
pub(super) struct Frames {
    /// The beginning of an incomplete frame.
    held: Vec<u8>,
    /// How many bytes pass as they are before the next frame begins.
    passing: usize,
    /// The trouble with the last method on a channel: the message's properties are in the next frame on it.
    troubles: BTreeMap<u16, Trouble>,
}

impl Frames {
    /// Takes incoming bytes, and adds the complete frames to `outgoing`.
    ///
    /// # Errors
    /// When a frame is longer than any that RabbitMQ sends.
    pub(super) fn pass(&mut self, incoming: &[u8], outgoing: &mut Vec<u8>) -> io::Result<()> {
        self.held.extend_from_slice(incoming);
        let held = std::mem::take(&mut self.held);
        let mut rest = &held[..];
        loop {
            let passed = self.passing.min(rest.len());
            outgoing.extend_from_slice(&rest[..passed]);
            self.passing -= passed;
            rest = &rest[passed..];
            let Some(kind) = rest.first() else { break };
            if ![METHOD, HEADER].contains(kind) && !OPAQUE.contains(kind) {
                // Not AMQP: lapin says so.
                self.passing = usize::MAX;
                continue;
            }
            let Some((kind, channel, length)) = head(rest) else { break };
            if OPAQUE.contains(&kind) {
                self.passing = length;
            } else if length > FRAME_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "a frame of {length} bytes: RabbitMQ sends none so long"
                )));
            } else {
                let Some((frame, behind)) = rest.split_at_checked(length) else { break };
                self.readable(kind, channel, frame, outgoing);
                rest = behind;
            }
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// Adds a complete frame in a form that lapin can parse.
    fn readable(&mut self, kind: u8, channel: u16, frame: &[u8], outgoing: &mut Vec<u8>) {
        let payload = &frame[HEAD_BYTES..frame.len() - END_BYTES];
        let repaired = if kind == METHOD {
            repair::method(payload).map(|(payload, trouble)| {
                self.troubles.extend(trouble.map(|trouble| (channel, trouble)));
                payload
            })
        } else {
            repair::header(payload, self.troubles.remove(&channel))
        };
        let Some(payload) = repaired else {
            outgoing.extend_from_slice(frame);
            return;
        };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        outgoing.extend_from_slice(&frame[..3]);
        outgoing.extend_from_slice(&length.to_be_bytes());
        outgoing.extend_from_slice(&payload);
        outgoing.extend_from_slice(&frame[frame.len() - END_BYTES..]);
    }
}

/// Type, channel and whole length of the frame that begins here. None if the bytes do not hold all three yet.
fn head(bytes: &[u8]) -> Option<(u8, u16, usize)> {
    let [kind, c1, c2, l1, l2, l3, l4, ..] = *bytes else { return None };
    let length = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
    Some((kind, u16::from_be_bytes([c1, c2]), HEAD_BYTES + length + END_BYTES))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, channel], &length[..], payload, &[0xce]].concat()
    }

    /// A delivery on each of two channels, one in the middle of the other; the first has a routing key that is not UTF-8.
    fn deliveries() -> Vec<u8> {
        let deliver =
            |key: u8| frame(METHOD, key & 1, &[&[0, 60, 0, 60, 0][..], &[0; 9], &[0, 1, key]].concat());
        let header = [0; 14];
        let (bad, good) = (deliver(0xff), deliver(b'x' & !1));
        [
            bad,
            good,
            frame(HEADER, 0, &header),
            frame(8, 0, b""),
            frame(HEADER, 1, &header),
            frame(3, 1, b"body"),
        ]
        .concat()
    }

    fn passed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        pieces.iter().for_each(|piece| frames.pass(piece, &mut out).unwrap());
        out
    }

    proptest! {
        #[test]
        fn in_whatever_pieces_they_come_the_same_goes_on(cuts in proptest::collection::vec(0_usize..120, 0..12)) {
            let bytes = deliveries();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(passed(&pieces), passed(&[&bytes]));
        }
    }

    #[test]
    fn a_trouble_is_noted_with_the_properties_on_its_own_channel() {
        let out = String::from_utf8_lossy(&passed(&[&deliveries()])).into_owned();
        let (before, noted) = out.split_once("the routing key is not UTF-8").unwrap();
        assert!(before.contains("x-etl-unreadable") && !noted.contains("x-etl-unreadable"), "{out:?}");
        assert!(noted.ends_with("body\u{fffd}"), "{out:?}");
    }

    #[test]
    fn what_is_not_amqp_passes_as_it_is_and_an_endless_frame_does_not() {
        let web = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        assert_eq!(passed(&[&web[..3], &web[3..]]), web);
        let endless = [METHOD, 0, 1, 0xff, 0, 0, 0];
        assert!(Frames::default().pass(&endless, &mut Vec::new()).is_err());
    }
}
