//! The parameters of a request. An error names the parameter and the values that it may have. Pure.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use url::form_urlencoded;

use crate::event::{Filter, Hour, normal_time};

/// The longest value. A longer one is not repeated in the answer.
const VALUE_BYTES_MAX: usize = 300;

/// The parameters of a request, by name.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the parameters, all of which must be among `known`. An empty value counts as none.
    pub(super) fn parse(text: &str, known: &[&str]) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("there is no such parameter here; there are: {known}"));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(format!("{name}: it is too long"));
            }
            if !value.is_empty() && values.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(format!("{name}: it is given twice"));
            }
        }
        Ok(Self(values))
    }

    /// The number `limit`.
    pub(super) fn limit(&self, default: usize, allowed: RangeInclusive<usize>) -> Result<usize, String> {
        self.number("limit", default, allowed)
    }

    /// The number `name`.
    pub(super) fn number(
        &self,
        name: &str,
        default: usize,
        allowed: RangeInclusive<usize>,
    ) -> Result<usize, String> {
        let Some(text) = self.0.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| allowed.contains(number));
        number.ok_or_else(|| format!("{name}: '{text}' must be {} to {}", allowed.start(), allowed.end()))
    }

    /// The one of these values that `name` has.
    pub(super) fn choice<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Option<T>, String> {
        self.0.get(name).map(|text| choose(name, text, values)).transpose()
    }

    /// Those of these values that `name` has, with commas between them.
    pub(super) fn choices<T: Copy>(&self, name: &str, values: &[(&str, T)]) -> Result<Vec<T>, String> {
        let Some(text) = self.0.get(name) else { return Ok(Vec::new()) };
        text.split(',').map(|text| choose(name, text, values)).collect()
    }

    /// The hour `hour`, such as `2015-01-01-12`.
    pub(super) fn hour(&self) -> Result<Option<Hour>, String> {
        let Some(text) = self.0.get("hour") else { return Ok(None) };
        text.parse().map(Some).map_err(|()| format!("hour: '{text}' must be an hour such as 2015-01-01-12"))
    }

    /// The conditions `type`, `repo` and `actor`.
    pub(super) fn filter(&self) -> Result<Filter, String> {
        Ok(Filter { kinds: self.value("type")?, repo: self.value("repo")?, actor: self.value("actor")? })
    }

    /// The time `name`, in the spelling that events have.
    pub(super) fn time(&self, name: &str) -> Result<Option<String>, String> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        let time = normal_time(text.into()).map(|(normal, _)| Some(normal.into_owned()));
        time.ok_or_else(|| format!("{name}: '{text}' must be a time such as 2015-01-01T12:00:01Z"))
    }

    /// The text `name`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn value<T: FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|expected| format!("{name}: '{text}' {expected}"))
    }
}

fn choose<T: Copy>(name: &str, text: &str, values: &[(&str, T)]) -> Result<T, String> {
    let found = values.iter().find(|(value, _)| *value == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
        format!("{name}: '{text}' must be one of {}", values.join(", "))
    })
}

/// True for a stream's id, such as `1526919030474-55`.
pub(super) fn is_stream_id(text: &str) -> bool {
    let is_number = |part: &str| part.parse::<u64>().is_ok() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('-').is_some_and(|(ms, number)| is_number(ms) && is_number(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["hour", "limit", "type", "repo", "actor"];

    fn error(text: &str) -> String {
        let checked = Query::parse(text, &KNOWN).and_then(|query| {
            query.limit(10, 1..=100).and(query.hour()).map(drop).and(query.filter().map(drop))
        });
        checked.unwrap_err()
    }

    #[test]
    fn good_parameters_are_read() {
        let query =
            Query::parse("hour=2015-01-01-12&limit=7&repo=octo%2Fhello&type=&actor=a", &KNOWN).unwrap();
        assert_eq!(query.hour().unwrap().map(|hour| hour.to_string()).as_deref(), Some("2015-01-01-12"));
        assert_eq!(query.limit(10, 1..=100), Ok(7));
        let filter = query.filter().unwrap();
        assert_eq!((filter.kinds, filter.repo), (None, Some("octo/hello".parse().unwrap())));
        assert_eq!(Query::parse("", &[]).unwrap().limit(10, 1..=100), Ok(10));
    }

    #[test]
    fn bad_ones_are_named_with_what_is_possible() {
        assert_eq!(error("limit=0"), "limit: '0' must be 1 to 100");
        for (text, expected) in [
            ("limit=101", "1 to 100"),
            ("limit=-1", "1 to 100"),
            ("limit=x", "1 to 100"),
            ("limit=99999999999999999999", "1 to 100"),
            ("hour=2015-01-01", "hour: '2015-01-01' must be"),
            ("hour=2015-13-01-00", "must be an hour"),
            ("hour=2015-01-01-24", "must be an hour"),
            ("hour=2015-01-1-+1", "must be an hour"),
            ("hour=*", "must be an hour"),
            ("type=a%20b", "type: 'a b'"),
            ("repo=%00", "repo: "),
            ("actor=%C3%A4", "actor: "),
            ("limit=1&limit=2", "given twice"),
            ("limt=1", "no such parameter"),
        ] {
            assert!(error(text).contains(expected), "{text}: {}", error(text));
        }
        assert!(error(&format!("actor={}", "x".repeat(301))).contains("too long"));
    }

    #[test]
    fn choices_are_among_the_values_of_the_parameter() {
        let query = Query::parse("hour=a&type=a,b&repo=c&actor=a,", &KNOWN).unwrap();
        let values = [("a", 1), ("b", 2)];
        assert_eq!((query.choice("hour", &values), query.choice("limit", &values)), (Ok(Some(1)), Ok(None)));
        assert_eq!(
            (query.choices("type", &values), query.choices("limit", &values)),
            (Ok(vec![1, 2]), Ok(vec![]))
        );
        assert_eq!(query.choice("repo", &values), Err("repo: 'c' must be one of a, b".into()));
        assert_eq!(query.choices("actor", &values), Err("actor: '' must be one of a, b".into()));
    }

    #[test]
    fn stream_ids_are_two_numbers() {
        assert!(is_stream_id("1526919030474-55"));
        for bad in ["", "1", "1-", "-1", "1-a", "1-2-3", "99999999999999999999-0", "1-2\n"] {
            assert!(!is_stream_id(bad), "{bad}");
        }
    }
}
