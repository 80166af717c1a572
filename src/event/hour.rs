//! The hours of UTC, by which GH Archive cuts its files.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, DurationRound as _, NaiveDate, TimeDelta, Utc};

/// One UTC hour. Displays as GH Archive names it: `2015-01-01-3`, without a leading zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(DateTime<Utc>);

impl Hour {
    /// The hour that `time` lies in.
    pub fn of(time: DateTime<Utc>) -> Self {
        // Fails only beyond the years that a timestamp in nanoseconds can name; such a time is its own hour.
        Self(time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time))
    }

    /// Hour `hour` (0 to 23) of `day`.
    pub(crate) fn on(day: NaiveDate, hour: u32) -> Option<Self> {
        Some(Self(day.and_hms_opt(hour, 0, 0)?.and_utc()))
    }

    /// When it is over.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).0
    }

    /// The hour `hours` later.
    pub fn plus(self, hours: i64) -> Self {
        Self(self.0.checked_add_signed(TimeDelta::hours(hours)).unwrap_or(self.0))
    }

    /// The hours from this one to `last`, both included.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        let count = (last.0 - self.0).num_hours() + 1;
        (0..count).map(move |hours| self.plus(hours))
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m-%d-%-H").fmt(f)
    }
}

impl FromStr for Hour {
    type Err = ();

    /// Takes `2015-01-01-3` and `2015-01-01-03`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (day, hour) = text.rsplit_once('-').ok_or(())?;
        Self::on(parse_day(day)?, parse_hour(hour)?).ok_or(())
    }
}

/// A day as `2015-01-01`, every part with all its digits.
pub(crate) fn parse_day(text: &str) -> Result<NaiveDate, ()> {
    let is_whole = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_whole { text.parse().map_err(|_| ()) } else { Err(()) }
}

/// An hour as `3` or `03`, up to `23`.
pub(crate) fn parse_hour(text: &str) -> Result<u32, ()> {
    let is_plain = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|hour| is_plain && *hour < 24).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_named_as_gh_archive_names_it() {
        for (text, name) in [
            ("2015-01-01-3", "2015-01-01-3"),
            ("2015-01-01-03", "2015-01-01-3"),
            ("2024-02-29-23", "2024-02-29-23"),
        ] {
            assert_eq!(text.parse::<Hour>().unwrap().to_string(), name);
        }
        for bad in [
            "2015-01-01",
            "2015-01-01-24",
            "2015-13-01-1",
            "2015-1-1-1",
            "2015-01-01--1",
            "2015-01-01-+1",
            "2023-02-29-1",
            "x",
        ] {
            assert_eq!(bad.parse::<Hour>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn hours_follow_each_other_over_midnight() {
        let first = Hour::of("2015-12-31T22:59:59.9Z".parse().unwrap());
        let last: Hour = "2016-01-01-1".parse().unwrap();
        let names: Vec<_> = first.through(last).map(|hour| hour.to_string()).collect();
        assert_eq!(names, ["2015-12-31-22", "2015-12-31-23", "2016-01-01-0", "2016-01-01-1"]);
        assert_eq!(last.through(first).count(), 0);
        assert_eq!(first.end().to_rfc3339(), "2015-12-31T23:00:00+00:00");
    }
}
