//! A moment, by both clocks.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// A moment by the clock that only goes forward, which intervals need, and as wall-clock time, which events have and which also
/// passes while no process runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub instant: Instant,
    pub utc: DateTime<Utc>,
}

impl Moment {
    /// This moment.
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), utc: Utc::now() }
    }
}
