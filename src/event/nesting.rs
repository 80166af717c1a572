//! A bound on nesting. The raw-value parser does not recurse and so has none; consumers of the stream may.

use super::NotAnEvent;

/// The deepest nesting taken, the object itself being 1; GitHub's events reach 7.
pub(super) const DEPTH_MAX: usize = 128;

pub(super) fn check(body: &[u8]) -> Result<(), NotAnEvent> {
    // Counting brackets is vectorised and many times faster than following them: real events have fewer than the limit.
    if openings(body) > DEPTH_MAX && depth(body) > DEPTH_MAX {
        return Err(NotAnEvent::TooDeep);
    }
    Ok(())
}

/// How many opening brackets there are, those in strings included.
fn openings(body: &[u8]) -> usize {
    // Sums of bytes fill a vector register with sixteen lanes and more, sums of words with two: hence chunks that fit a byte.
    let in_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(matches!(byte, b'{' | b'['))).sum::<u8>();
    body.chunks(255).map(|chunk| usize::from(in_chunk(chunk))).sum()
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
