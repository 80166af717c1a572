//! The feeds of GitHub's Events API, as `--source` names them: the path of each, and the events that belong to it. Pure.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::event::Event;

/// A feed of GitHub's Events API (<https://docs.github.com/en/rest/activity/events>).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// All public events.
    Events,
    /// The events of a repository, `owner/name`.
    Repository(String),
    /// The events of an organisation.
    Organisation(String),
    /// The events that a user caused.
    User(String),
    /// The events of a repository, `owner/name`, and of all its forks.
    Network(String),
}

/// Makes a source of the name in it.
type OfName = fn(String) -> Source;

/// The forms of a source in `--source`. In a form, lower case stands for itself and upper case for a name; the names, joined by `/`,
/// are what the function takes.
const FORMS: &[(&str, OfName)] = &[
    ("events", |_| Source::Events),
    ("repos/OWNER/REPO", Source::Repository),
    ("orgs/ORG", Source::Organisation),
    ("users/USER", Source::User),
    ("networks/OWNER/REPO", Source::Network),
];

impl Source {
    /// The first part of its text: `events`, `repos`, `orgs`, `users` or `networks`. A label of metrics, which must not hold names
    /// of repositories.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Repository(_) => "repos",
            Self::Organisation(_) => "orgs",
            Self::User(_) => "users",
            Self::Network(_) => "networks",
        }
    }

    /// The path below the API's root: `events`, `repos/O/R/events`, …
    pub fn path(&self) -> String {
        match self {
            Self::Events => self.to_string(),
            _ => format!("{self}/events"),
        }
    }

    /// True when the feed shows `event`, as far as the event says. Logins and names of repositories are compared as GitHub does:
    /// upper and lower case are the same.
    ///
    /// [`Self::unrecognised`] has the exceptions.
    pub fn shows(&self, event: &Event) -> bool {
        let is =
            |name: Option<Cow<'_, str>>, own: &str| name.is_some_and(|name| name.eq_ignore_ascii_case(own));
        match self {
            Self::Events => true,
            Self::Repository(name) | Self::Network(name) => is(event.repo_name(), name),
            Self::Organisation(login) => is(event.org_login(), login),
            Self::User(login) => is(event.actor_login(), login),
        }
    }

    /// The source of the same kind that an event of this feed names: another one if this one was renamed. None for kinds whose
    /// events name other things, too.
    pub fn named_by(&self, event: &Event) -> Option<Self> {
        let name = match self {
            Self::Events | Self::Network(_) => None,
            Self::Repository(_) => event.repo_name(),
            Self::Organisation(_) => event.org_login(),
            Self::User(_) => event.actor_login(),
        }?;
        format!("{}/{name}", self.kind()).parse().ok()
    }

    /// The events of the feed that [`Self::shows`] cannot recognise, and why. None if there are none.
    pub fn unrecognised(&self) -> Option<&'static str> {
        match self {
            Self::Events | Self::Repository(_) | Self::Organisation(_) | Self::User(_) => None,
            Self::Network(_) => Some("forks' events do not name the network"),
        }
    }

    /// The source that `text` names in this form.
    fn in_form(text: &str, form: &str, of_name: OfName) -> Option<Self> {
        let (parts, wanted): (Vec<_>, Vec<_>) = (text.split('/').collect(), form.split('/').collect());
        let (first, names) = parts.split_first()?;
        let is_right =
            parts.len() == wanted.len() && *first == wanted[0] && names.iter().all(|name| is_name(name));
        is_right.then(|| of_name(names.join("/")))
    }

    /// The name in it, of a repository, an organisation or a user.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Events => None,
            Self::Repository(name) | Self::Organisation(name) | Self::User(name) | Self::Network(name) => {
                Some(name)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        self.name().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = FORMS.iter().find_map(|(form, of_name)| Self::in_form(text, form, *of_name));
        found.ok_or_else(|| {
            let forms: Vec<_> = FORMS.iter().map(|(form, _)| *form).collect();
            format!("must be one of {}", forms.join(", "))
        })
    }
}

fn is_name(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=100).contains(&part.len()) && part.chars().all(is_plain) && part != "." && part != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_a_source_of_its_kind() {
        for (form, _) in FORMS {
            let source: Source = form.parse().unwrap();
            assert_eq!(
                (source.to_string().as_str(), source.kind()),
                (*form, form.split('/').next().unwrap())
            );
        }
    }

    #[test]
    fn sources_are_githubs_feeds_and_nothing_else() {
        for (text, path) in [
            ("events", "events"),
            ("repos/rust-lang/rust", "repos/rust-lang/rust/events"),
            ("orgs/github", "orgs/github/events"),
            ("users/octo-cat", "users/octo-cat/events"),
            ("networks/rust-lang/rust", "networks/rust-lang/rust/events"),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!((source.to_string().as_str(), source.path().as_str()), (text, path));
            assert_eq!(source.kind(), text.split('/').next().unwrap());
        }
        let long = format!("users/{}", "x".repeat(101));
        for bad in [
            "",
            "event",
            "events/",
            "events/x",
            "repos",
            "repos/a",
            "repos/a/b/c",
            "networks/a",
            "orgs/a/b",
            "users/",
            "users/a?b",
            "users/../x",
            "users/ä",
            "orgs/..",
            "orgs/.",
            &long,
        ] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_feed_shows_the_events_that_name_it_whatever_the_case() {
        let body = r#"{"id":"1","type":"A","created_at":"2026-01-01T00:00:00Z","actor":{"login":"Me"},"repo":{"name":"o/R"},"org":{"login":"o"}}"#;
        let event = Event::parse(body.as_bytes()).unwrap();
        for (source, expected) in [
            ("events", true),
            ("repos/o/r", true),
            ("repos/o/x", false),
            ("networks/O/R", true),
            ("networks/O/X", false),
            ("orgs/O", true),
            ("orgs/x", false),
            ("users/me", true),
            ("users/o", false),
        ] {
            assert_eq!(source.parse::<Source>().unwrap().shows(&event), expected, "{source}");
        }
        for (source, named) in [
            ("repos/o/old", Some("repos/o/R")),
            ("orgs/old", Some("orgs/o")),
            ("users/old", Some("users/Me")),
            ("events", None),
        ] {
            let named_by = source.parse::<Source>().unwrap().named_by(&event);
            assert_eq!(named_by.map(|source| source.to_string()).as_deref(), named);
        }
        let bare = Event::parse(br#"{"id":"1","type":"A","created_at":"2026-01-01T00:00:00Z"}"#).unwrap();
        let hostile = body.replace("o/R", "o/R\\u001b[2J");
        let hostile = Event::parse(hostile.as_bytes()).unwrap();
        assert_eq!(Source::Repository("o/R".into()).named_by(&hostile), None, "no name of GitHub's");
        for source in ["repos/o/r", "networks/o/r", "orgs/o", "users/me"] {
            let source: Source = source.parse().unwrap();
            assert!(!source.shows(&bare) && source.named_by(&bare).is_none(), "{source}");
        }
    }
}
