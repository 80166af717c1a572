//! Durations for people: the two largest units, such as `3 h 20 min` or `11 y 10 mo`.

use std::fmt;
use std::time::Duration;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;
/// A twelfth of a year.
const MONTH_S: u64 = YEAR_S / 12;
/// The mean year of the Gregorian calendar.
const YEAR_S: u64 = 31_556_952;
const UNITS: [(u64, &str); 6] =
    [(YEAR_S, "y"), (MONTH_S, "mo"), (DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s")];
/// Below, tenths of a second are shown.
const TENTHS_BELOW_S: u64 = 10;

/// Shows a duration rounded down to its two largest units.
pub struct Rounded(pub Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let tenths = self.0.subsec_millis() / 100;
        if seconds < TENTHS_BELOW_S && tenths > 0 {
            return write!(f, "{seconds}.{tenths} s");
        }
        let Some(largest) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
            return f.write_str("0 s");
        };
        let (unit, name) = UNITS[largest];
        write!(f, "{} {name}", seconds / unit)?;
        match UNITS.get(largest + 1) {
            Some((smaller, name)) if seconds % unit >= *smaller => {
                write!(f, " {} {name}", seconds % unit / smaller)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_shown_and_no_more() {
        for (milliseconds, shown) in [
            (0, "0 s"),
            (99, "0 s"),
            (100, "0.1 s"),
            (9_999, "9.9 s"),
            (10_900, "10 s"),
            (60_000, "1 min"),
            (312_000, "5 min 12 s"),
            (3_600_000, "1 h"),
            (3_605_000, "1 h"),
            (12_000_000, "3 h 20 min"),
            (26 * 3_600_000, "1 d 2 h"),
            (31 * 86_400_000, "1 mo"),
            (374_000_000_000, "11 y 10 mo"),
        ] {
            assert_eq!(Rounded(Duration::from_millis(milliseconds)).to_string(), shown, "{milliseconds} ms");
        }
    }
}
