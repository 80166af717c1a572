//! A place in the archive stream, as users write it.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A place in the archive stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// When something was published; RabbitMQ knows it by the chunk, that is, to the second or so.
    Time(DateTime<Utc>),
    /// This long ago.
    Ago(Duration),
    /// RabbitMQ's number of a message in the stream, from 0.
    Offset(u64),
    /// Behind the last one that a replay to the same queue has published.
    Last,
}

/// Longer ago than any archive reaches; anything longer is a slip of the finger.
const AGO_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        let ago = humantime::parse_duration(text).ok().filter(|ago| *ago <= AGO_MAX);
        ago.map(Self::Ago).ok_or_else(|| "must be a time such as 2026-01-31T12:00:00Z, a time ago such as 2h, an offset such as 12345, or last".into())
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).fmt(f),
            Self::Ago(ago) => write!(f, "{} ago", humantime::format_duration(*ago)),
            Self::Offset(offset) => write!(f, "offset {offset}"),
            Self::Last => f.write_str("last"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_times_times_ago_offsets_or_last() {
        assert_eq!("12345".parse(), Ok(Position::Offset(12345)));
        assert_eq!("last".parse(), Ok(Position::Last));
        let time: Position = "2026-01-31T13:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-01-31T12:00:00Z");
        assert_eq!("2h".parse(), Ok(Position::Ago(Duration::from_secs(7200))));
        for bad in ["", "-1", "yesterday", "2026-01-31", "1.5"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }
}
