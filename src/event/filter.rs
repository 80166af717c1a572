//! Filters of events by type, repository and actor. Pure.

use std::str::FromStr;

use super::Headline;

/// Conditions that an event must all meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub kinds: Option<TypeFilter>,
    pub repo: Option<NamePattern>,
    pub actor: Option<NamePattern>,
}

impl Filter {
    /// True when the event is wanted.
    pub fn takes(&self, event: &Headline) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.0.contains(&event.kind))
            && self.repo.as_ref().is_none_or(|repo| repo.matches(&event.repo))
            && self.actor.as_ref().is_none_or(|actor| actor.matches(&event.actor))
    }
}

/// Event types. The event's type must be one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFilter(Vec<String>);

impl FromStr for TypeFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const TYPES_MAX: usize = 50;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let kinds: Vec<String> = text.split(',').map(|kind| kind.trim().to_owned()).collect();
        let fits = |kind: &String| (1..=64).contains(&kind.len()) && kind.chars().all(plain);
        if kinds.len() > TYPES_MAX || !kinds.iter().all(fits) {
            return Err("must be an event type such as PushEvent, or several with commas between".into());
        }
        Ok(Self(kinds))
    }
}

/// A login or the name of a repository, whatever its case. With a `*` at the end, it matches every name that begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    name: String,
    is_prefix: bool,
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        let (name, pattern) = (name.as_bytes(), self.name.as_bytes());
        let head = if self.is_prefix { name.get(..pattern.len()) } else { Some(name) };
        head.is_some_and(|head| head.eq_ignore_ascii_case(pattern))
    }
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        // Bots are called `dependabot[bot]`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./[]".contains(c);
        if text.is_empty() || name.len() > 200 || !name.chars().all(plain) {
            return Err(
                "must be a name of letters, digits or - _ . / [ ], perhaps with a * at the end".into()
            );
        }
        Ok(Self { name: name.to_owned(), is_prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, repo: &str, actor: &str) -> Headline {
        Headline { kind: kind.into(), repo: repo.into(), actor: actor.into(), ..Headline::default() }
    }

    #[test]
    fn all_conditions_must_hold() {
        let push = event("PushEvent", "Octo/Hello", "dependabot[bot]");
        let filter = |kinds: Option<&str>, repo: Option<&str>, actor: Option<&str>| Filter {
            kinds: kinds.map(|text| text.parse().unwrap()),
            repo: repo.map(|text| text.parse().unwrap()),
            actor: actor.map(|text| text.parse().unwrap()),
        };
        for (wanted, kinds, repo, actor) in [
            (true, None, None, None),
            (true, Some("WatchEvent, PushEvent"), Some("octo/hello"), Some("dependabot[bot]")),
            (true, None, Some("octo/*"), Some("*")),
            (false, Some("Push"), None, None),
            (false, Some("PushEvent"), Some("octo/hell"), None),
            (false, None, Some("octo/hello2*"), None),
            (false, None, None, Some("dependabot")),
        ] {
            assert_eq!(filter(kinds, repo, actor).takes(&push), wanted, "{kinds:?} {repo:?} {actor:?}");
        }
    }

    #[test]
    fn conditions_are_plain() {
        for bad in ["", "Push Event", ",", "a\u{1b}", &"x".repeat(65)] {
            assert!(bad.parse::<TypeFilter>().is_err(), "{bad}");
        }
        for bad in ["", "a b", "<x>", "a*b", "**", &"x".repeat(201)] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
    }
}
