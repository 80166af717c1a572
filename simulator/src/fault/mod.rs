//! Faults of GitHub that the simulator imitates: `--fault KIND[:OPTION=VALUE,…]`.

mod kinds;
mod schedule;

use std::str::FromStr;

use axum::http::HeaderValue;

pub(super) use kinds::Kind;
use kinds::{KINDS, Own, Row};
pub(super) use schedule::Schedule;

/// Something that goes wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(super) kind: Kind,
    /// The value of the kind's own option, or its default.
    pub(super) value: Option<String>,
    page: Option<u64>,
    path: Option<String>,
    token: Option<String>,
    after: u64,
    every: u64,
    first: Option<u64>,
}

impl Fault {
    fn matches(&self, path: &str, page: u64, token: Option<&[u8]>) -> bool {
        self.page.is_none_or(|wanted| wanted == page)
            && self.path.as_deref().is_none_or(|wanted| wanted == path)
            && self.token.as_ref().is_none_or(|wanted| token == Some(wanted.as_bytes()))
    }

    /// The number of the kind's own option; its parser has checked that there is one where a kind needs it.
    pub(super) fn number(&self) -> i64 {
        self.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or_default()
    }

    /// The name by which the fault is counted.
    pub(super) fn name(&self) -> &'static str {
        KINDS.iter().find(|row| row.1 == self.kind).map_or("", |row| row.0)
    }

    /// The help text of `--fault`.
    pub fn help() -> String {
        let mut help = "A fault of GitHub; repeatable. KIND[:OPTION=VALUE[,OPTION=VALUE]…]\n\n\
            Options of every kind: after=N spares the first N requests, every=N then strikes each Nth only, first=N at \
            most N times in all, page=N only requests for that page, path=PATH only those for that feed, such as \
            /orgs/o/events, and token=TEXT only those with that token (counting those only). The kinds, with an option of their own and its default:\n"
            .to_owned();
        for Row(name, _, own, what) in &KINDS {
            let own = own
                .as_ref()
                .map_or(String::new(), |own| format!(":{}={}", own.name, own.default.unwrap_or("URL")));
            help.push_str(&format!("\n  {name}{own}: {what}"));
        }
        help
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, options) = text.split_once(':').unwrap_or((text, ""));
        let Some(Row(_, kind, own, _)) = KINDS.iter().find(|row| row.0 == name) else {
            let names: Vec<_> = KINDS.iter().map(|row| row.0).collect();
            return Err(format!("the kind '{name}' must be one of {}", names.join(", ")));
        };
        let default = own.as_ref().and_then(|own| own.default).map(str::to_owned);
        let mut fault = Self {
            kind: *kind,
            value: default,
            page: None,
            path: None,
            token: None,
            after: 0,
            every: 1,
            first: None,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (option, value) = option.split_once('=').unwrap_or((option, ""));
            match option {
                "after" => fault.after = whole(option, value, 0)?,
                "every" => fault.every = whole(option, value, 1)?,
                "first" => fault.first = Some(whole(option, value, 1)?),
                "page" => fault.page = Some(whole(option, value, 1)?),
                "path" => fault.path = Some(path(value)?),
                "token" if !value.is_empty() => fault.token = Some(value.to_owned()),
                _ => fault.value = Some(own_value(own.as_ref(), name, option, value)?),
            }
        }
        Ok(fault)
    }
}

fn whole(option: &str, value: &str, min: u64) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| *number >= min);
    number.ok_or_else(|| format!("{option}='{value}': must be a whole number of at least {min}"))
}

fn path(value: &str) -> Result<String, String> {
    let valid = value.starts_with('/') && !value.contains('?');
    let path = valid.then(|| value.to_owned());
    path.ok_or_else(|| format!("path='{value}': must be a path without a query, such as /orgs/o/events"))
}

fn own_value(own: Option<&Own>, kind: &str, option: &str, value: &str) -> Result<String, String> {
    let Some(own) = own.filter(|own| own.name == option) else {
        let own = own.map_or(String::new(), |own| format!(" or {}", own.name));
        return Err(format!(
            "the option '{option}' of {kind} must be after, every, first, page, path, token{own}"
        ));
    };
    let number: Option<i64> = value.parse().ok();
    // Whatever the header allows, and far from where dates and sizes overflow.
    let valid = if own.whole_number {
        number.is_some_and(|number| number.abs() < 1 << 50)
    } else {
        HeaderValue::from_str(value).is_ok()
    };
    if !valid {
        let what = if own.whole_number { "a whole number" } else { "plain text" };
        return Err(format!("{option}='{value}': must be {what}"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests, out of twelve for page 1, that a fault strikes.
    fn struck(text: &str) -> Vec<u64> {
        let mut schedule = Schedule::new([text.parse().unwrap()]);
        (1..=12).filter(|_| !schedule.strike("/events", 1, Some(b"t")).is_empty()).collect()
    }

    #[test]
    fn every_kind_parses_and_is_in_the_help() {
        let help = Fault::help();
        for Row(name, kind, ..) in KINDS {
            let fault: Fault = name.parse().unwrap();
            assert_eq!((fault.kind, fault.name()), (kind, name));
            assert!(help.contains(name), "{name}");
        }
    }

    #[test]
    fn options_say_when() {
        assert_eq!(struck("500"), (1..=12).collect::<Vec<_>>());
        assert_eq!(struck("500:first=2"), [1, 2]);
        assert_eq!(struck("500:every=5"), [5, 10]);
        assert_eq!(struck("500:after=10"), [11, 12]);
        assert_eq!(struck("500:after=2,every=3,first=2"), [5, 8]);
        assert!(struck("500:page=2").is_empty() && struck("500:path=/orgs/o/events").is_empty());
        assert_eq!(struck("500:page=1,path=/events,first=1"), [1]);
        assert_eq!(struck("bad-credentials:token=t,first=2"), [1, 2]);
        assert!(struck("bad-credentials:token=other").is_empty());
    }

    #[test]
    fn a_kind_has_an_option_of_its_own() {
        assert_eq!("secondary-limit".parse::<Fault>().unwrap().number(), 60);
        assert_eq!("skewed-date:seconds=-5".parse::<Fault>().unwrap().number(), -5);
        let foreign: Fault = "redirect-other:to=http://127.0.0.1:9/x,first=1".parse().unwrap();
        assert_eq!(foreign.value.as_deref(), Some("http://127.0.0.1:9/x"));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_it_may_be() {
        for (bad, says) in [
            ("rain", "one of secondary-limit, too-many-requests"),
            ("500:seconds=3", "'seconds' of 500 must be after, every, first, page, path, token"),
            ("huge:size=3", "token or bytes"),
            ("500:token", "'token' of 500"),
            ("500:every=0", "at least 1"),
            ("500:first", "first=''"),
            ("500:path=events", "must be a path"),
            ("huge:bytes=many", "a whole number"),
        ] {
            let error = bad.parse::<Fault>().unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
