//! A limit on nesting. The parser here needs none, because it does not recurse; parsers of those who read the stream may.

use super::NotAnEvent;

/// The deepest nesting taken, the object itself being 1; GitHub's events reach 7.
pub(super) const DEPTH_MAX: usize = 128;

pub(super) fn check(body: &[u8]) -> Result<(), NotAnEvent> {
    // Looking for brackets, those in strings included, is vectorised and many times faster than following them: real events
    // have fewer than the limit.
    let may_be_deep = memchr::memchr2_iter(b'{', b'[', body).nth(DEPTH_MAX).is_some();
    if may_be_deep && depth(body) > DEPTH_MAX {
        return Err(NotAnEvent::TooDeep);
    }
    Ok(())
}

fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => drop(bytes.next()),
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
