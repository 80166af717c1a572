//! Events as they are sent, kept for the next page that shows them: most events of a page were on the one before.

use std::collections::{HashMap, VecDeque};

use axum::body::Bytes;

/// How many bytes of events are kept.
const BYTES_MAX: usize = 64 << 20;

/// The events sent last, by repository and number.
#[derive(Default)]
pub(super) struct Bodies {
    made: HashMap<(u32, u32), Bytes>,
    /// In the order in which they were made.
    order: VecDeque<(u32, u32)>,
    bytes: usize,
}

impl Bodies {
    /// The event's bytes, made unless they are kept.
    pub(super) fn get(&mut self, key: (u32, u32), make: impl FnOnce() -> String) -> Bytes {
        if let Some(body) = self.made.get(&key) {
            return body.clone();
        }
        let body = Bytes::from(make());
        self.bytes += body.len();
        self.made.insert(key, body.clone());
        self.order.push_back(key);
        while self.bytes > BYTES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.made.remove(&oldest).map_or(0, |body| body.len());
        }
        body
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn made(&self) -> usize {
        self.made.len()
    }

    /// All are to be made again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
