//! The hour of UTC: events are counted by it, and GH Archive's files are cut by it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, TimeDelta, Timelike as _, Utc};
use serde::{Serialize, Serializer};

/// One UTC hour. Its text is that of the Redis keys and of the API: `2015-01-01-03`.
///
/// GH Archive writes hours without the leading zero: [`HourName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(DateTime<Utc>);

impl Hour {
    /// The hour that contains `time`.
    pub fn of(time: DateTime<Utc>) -> Self {
        Self::on(time.date_naive(), time.hour()).unwrap_or(Self(time))
    }

    /// Hour `hour` of `day`. None if `hour` is above 23.
    pub fn on(day: NaiveDate, hour: u32) -> Option<Self> {
        Some(Self(day.and_hms_opt(hour, 0, 0)?.and_utc()))
    }

    /// Its day, in UTC.
    pub fn day(self) -> NaiveDate {
        self.0.date_naive()
    }

    /// Its number in the day, 0 to 23.
    pub fn of_day(self) -> u32 {
        self.0.hour()
    }

    /// When it is over.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).0
    }

    /// The hour `hours` later, or earlier if `hours` is negative.
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
        // Two of a loader's keys hold it, for each event: `DateTime::format` would parse its pattern each time.
        write!(f, "{}-{:02}", self.day(), self.of_day())
    }
}

impl FromStr for Hour {
    type Err = ();

    /// Takes `2015-01-01-03`, every part with all its digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = |(place, byte): (usize, u8)| match place {
            4 | 7 | 10 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        if text.len() != 13 || !text.bytes().enumerate().all(is_plain) {
            return Err(());
        }
        let day = text[..10].parse().map_err(|_| ())?;
        Self::on(day, text[11..].parse().map_err(|_| ())?).ok_or(())
    }
}

impl Serialize for Hour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An hour as GH Archive names its file, and as people write it: `2015-01-01-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourName(pub Hour);

impl fmt::Display for HourName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.day(), self.0.of_day())
    }
}

impl FromStr for HourName {
    type Err = ();

    /// Takes `2015-01-01-3` and `2015-01-01-03`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (day, hour) = text.rsplit_once('-').ok_or(())?;
        Hour::on(parse_day(day)?, parse_hour(hour)?).map(Self).ok_or(())
    }
}

/// Reads a day such as `2015-01-01`, every part with all its digits.
pub(crate) fn parse_day(text: &str) -> Result<NaiveDate, ()> {
    let is_whole = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_whole { text.parse().map_err(|_| ()) } else { Err(()) }
}

/// Reads an hour of the day, `3` or `03`, up to `23`.
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
            ("2015-01-01-0", "2015-01-01-0"),
            ("2024-02-29-23", "2024-02-29-23"),
        ] {
            assert_eq!(text.parse::<HourName>().unwrap().to_string(), name);
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
            assert_eq!(bad.parse::<HourName>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn an_hour_is_read_as_it_is_written_and_in_no_other_form() {
        for text in ["2015-01-01-03", "2024-02-29-23", "1970-01-01-00", "0000-01-01-00", "9999-12-31-23"] {
            let hour: Hour = text.parse().unwrap();
            assert_eq!(hour.to_string(), text);
            assert_eq!(serde_json::to_value(hour).unwrap(), text);
        }
        for bad in [
            "",
            "2015-01-01",
            "2015-01-01-3",
            "2015-01-01-24",
            "2015-13-01-01",
            "2015-1-01-001",
            "2015-01-01-+1",
            "2015-01-01--1",
            "2015-01-01-1 ",
            "-015-01-01-01",
            "2023-02-29-01",
            "2015-01-01-١",
            "*",
        ] {
            assert_eq!(bad.parse::<Hour>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn the_text_is_the_same_as_by_chronos_pattern() {
        for time in ["2015-01-01T03:59:59.999Z", "2016-12-31T23:59:60Z", "1999-12-31T00:00:00Z"] {
            let time: DateTime<Utc> = time.parse().unwrap();
            assert_eq!(Hour::of(time).to_string(), time.format("%Y-%m-%d-%H").to_string());
        }
    }

    #[test]
    fn hours_follow_each_other_over_midnight() {
        let first = Hour::of("2015-12-31T22:59:59.9Z".parse().unwrap());
        let last: Hour = "2016-01-01-01".parse().unwrap();
        let names: Vec<_> = first.through(last).map(|hour| hour.to_string()).collect();
        assert_eq!(names, ["2015-12-31-22", "2015-12-31-23", "2016-01-01-00", "2016-01-01-01"]);
        assert_eq!(last.through(first).count(), 0);
        assert_eq!(first.end().to_rfc3339(), "2015-12-31T23:00:00+00:00");
        assert_eq!(last.plus(-3), first);
    }
}
