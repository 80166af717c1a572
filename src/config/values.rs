//! Parsers of single values. Their errors name the allowed values, which those of the standard library do not.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// A whole number from `min` to `max`.
pub fn number<T>(min: T, max: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
    }
}

/// A duration from `min` to `max`, such as `example`.
pub(super) fn duration(
    min: Duration,
    max: Duration,
    example: &'static str,
) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync + 'static {
    move |text| {
        let duration = humantime::parse_duration(text).ok().filter(|given| (min..=max).contains(given));
        let [min, max] = [min, max].map(humantime::format_duration);
        duration.ok_or_else(|| format!("must be a duration from {min} to {max}, such as {example}"))
    }
}

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// An address to listen at.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be IP:PORT, such as 127.0.0.1:9100 or [::1]:9100; a host name is none".into())
}

/// Yes or no, in the words that the documents give and no others: a word that is neither must not open a door.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err("must be yes, true, on or 1, or else no, false, off or 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_the_message_names_them() {
        let one_to_nine = number(1_u8, 9);
        assert_eq!((one_to_nine("1"), one_to_nine("9")), (Ok(1), Ok(9)));
        for bad in ["", "0", "10", "256", "-1", "1.5", "x", " 1"] {
            assert_eq!(one_to_nine(bad).unwrap_err(), "must be a whole number from 1 to 9", "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_have_bounds() {
        let short = duration(Duration::from_millis(100), DAY, "30s");
        assert_eq!(short("2s"), Ok(Duration::from_secs(2)));
        for bad in ["", "5", "0s", "2days", "soon", "-1s", "99999999999999999999s"] {
            assert_eq!(
                short(bad).unwrap_err(),
                "must be a duration from 100ms to 1day, such as 30s",
                "{bad}"
            );
        }
    }

    #[test]
    fn only_words_for_yes_mean_yes() {
        for yes in ["yes", "YES", "true", "on", "1"] {
            assert_eq!(yes_or_no(yes), Ok(true), "{yes}");
        }
        for no in ["no", "False", "off", "0"] {
            assert_eq!(yes_or_no(no), Ok(false), "{no}");
        }
        for neither in ["disabled", "none", "never", "nope", " no", "y", "2", ""] {
            assert!(yes_or_no(neither).is_err(), "{neither}");
        }
    }
}
