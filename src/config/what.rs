//! The argument of `replay gharchive`: hours, a file, or standard input.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::event::{Hour, HourName, parse_day, parse_hour};

/// Hours of GH Archive, a file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Every hour from the first to the last, both included.
    Hours { first: Hour, last: Hour },
    /// A file of JSON lines, gzipped or not, or a folder of such files.
    File(PathBuf),
    /// The same, from standard input.
    Stdin,
}

/// The year in which GH Archive begins.
const FIRST_YEAR: &str = "2011";

impl FromStr for What {
    type Err = String;

    /// Takes `2025-08-10-12`, `2025-08-10-0..23`, `2025-08-10`, `2025-08-10..2025-08-12` (days or hours on either side),
    /// `-`, and takes everything else for a path.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let begins_with_a_day = text.get(..10).is_some_and(|day| parse_day(day).is_ok());
        if begins_with_a_day && !text.contains(".json") {
            let (first, last) = parse_range(text).map_err(|()| {
                "hours must look like 2025-08-10-12, 2025-08-10-0..23, 2025-08-10 or 2025-08-10..2025-08-12".to_owned()
            })?;
            return check_range(text, first, last);
        }
        // Report a misspelt date as such, not as a missing file.
        let looks_like_a_date = text.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte));
        if text.is_empty() || looks_like_a_date && text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(
                "there is no such day or hour: they must look like 2025-08-10 or 2025-08-10-12".into()
            );
        }
        Ok(Self::File(text.into()))
    }
}

fn parse_range(text: &str) -> Result<(Hour, Hour), ()> {
    let Some((from, to)) = text.split_once("..") else { return parse_either(text) };
    let (first, last_of_from) = parse_either(from)?;
    let (_, last) = match parse_hour(to) {
        // `2025-08-10-0..23`: the second hour is of the same day, and the first must be an hour.
        Ok(hour) if first == last_of_from => parse_either(&format!("{}-{hour}", &from[..10]))?,
        _ => parse_either(to)?,
    };
    Ok((first, last))
}

/// The first and the last hour of a day or of an hour.
fn parse_either(text: &str) -> Result<(Hour, Hour), ()> {
    if let Ok(HourName(hour)) = text.parse() {
        return Ok((hour, hour));
    }
    let day = parse_day(text)?;
    Ok((Hour::on(day, 0).ok_or(())?, Hour::on(day, 23).ok_or(())?))
}

fn check_range(text: &str, first: Hour, last: Hour) -> Result<What, String> {
    if last < first {
        return Err(format!(
            "the range ends before it begins ({} is before {})",
            HourName(last),
            HourName(first)
        ));
    }
    if text < FIRST_YEAR {
        return Err("GH Archive begins in February 2011".into());
    }
    Ok(What::Hours { first, last })
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hours { first, last } if first == last => HourName(*first).fmt(f),
            Self::Hours { first, last } => write!(f, "{}..{}", HourName(*first), HourName(*last)),
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_days_and_ranges_are_told_from_files() {
        for (text, expected) in [
            ("2025-08-10-12", "2025-08-10-12"),
            ("2025-08-10-03", "2025-08-10-3"),
            ("2025-08-10-0..23", "2025-08-10-0..2025-08-10-23"),
            ("2025-08-10", "2025-08-10-0..2025-08-10-23"),
            ("2025-08-10..2025-08-12", "2025-08-10-0..2025-08-12-23"),
            ("2025-08-10-22..2025-08-11-1", "2025-08-10-22..2025-08-11-1"),
            ("-", "-"),
        ] {
            assert_eq!(text.parse::<What>().unwrap().to_string(), expected);
        }
        for path in ["2015-01-01-12.json.gz", "./2015-01-01-12", "events.json", "données.gz", "a b"] {
            assert_eq!(path.parse(), Ok(What::File(path.into())));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (bad, why) in [
            ("2025-08-10-24", "must look like"),
            ("2025-08-10..", "must look like"),
            ("2025-08-10..23", "must look like"),
            ("2025-08-10-5..x", "must look like"),
            ("2025-08-12..2025-08-10", "ends before it begins"),
            ("2025-08-10-9..3", "ends before it begins"),
            ("2025-13-01", "no such day"),
            ("2025-8-1", "no such day"),
            ("1999-01-01", "begins in February 2011"),
            ("", "no such day"),
        ] {
            let error = bad.parse::<What>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
