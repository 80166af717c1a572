//! The layout of the event log.

use std::fmt;

/// How Redis remembers which events are loaded. Both layouts know an event by its id and its time of creation.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventLog {
    /// A key for each event.
    #[default]
    PerEvent,
    /// A set of ids for each second in which events were created.
    PerSecond,
}

impl EventLog {
    /// Its name, as `--event-log` and Redis have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerEvent => "per-event",
            Self::PerSecond => "per-second",
        }
    }
}

impl fmt::Display for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
