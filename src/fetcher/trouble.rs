//! The log lines about a source that gives no events: one when the trouble begins, one when it changes, one when it is over.
//! Pure.
//!
//! This does not affect the program's readiness: a restart would not help, and the other sources are polled as before.

use std::time::Duration;

use tokio::time::Instant;

use super::feed::PollEnd;
use crate::duration::Rounded;

/// One source's trouble.
pub(super) struct Trouble {
    /// The source and the server, as logs name them.
    name: String,
    present: Option<Present>,
}

struct Present {
    kind: Kind,
    reason: String,
    since: Instant,
    /// What was logged last. A refused token is logged for all its sources at once, and not here.
    logged: Option<Kind>,
}

/// Two troubles are the same if outcome and status are. The text of a failure may change with every attempt.
type Kind = (&'static str, Option<u16>);

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Trouble(String),
    Over(String),
}

impl Trouble {
    /// No trouble yet with the source of this name.
    pub(super) fn none(name: String) -> Self {
        Self { name, present: None }
    }

    /// True while no poll is known to have failed.
    pub(super) fn is_over(&self) -> bool {
        self.present.is_none()
    }

    /// The outcome of the polls that failed. None while no poll is known to have failed.
    pub(super) fn label(&self) -> Option<&'static str> {
        self.present.as_ref().map(|present| present.kind.0)
    }

    /// Why the first of them failed.
    pub(super) fn reason(&self) -> Option<&str> {
        self.present.as_ref().map(|present| present.reason.as_str())
    }

    /// Notes the end of a poll and logs changes. `again_in` is the time until the next poll of the source.
    pub(super) fn note(&mut self, end: &PollEnd, again_in: Duration, now: Instant) -> Option<News> {
        match end {
            PollEnd::Whole | PollEnd::NotModified => self.over(now),
            // Logged for all sources at once, by the report.
            PollEnd::Limited { .. } => None,
            PollEnd::Refused { status } | PollEnd::Missing { status } => {
                let then = format!("asked again in {}, then less and less often", whole_seconds(again_in));
                self.begin((end.label(), Some(*status)), end, now);
                self.tell(&then)
            }
            PollEnd::Denied => {
                self.begin((end.label(), None), end, now);
                None
            }
            PollEnd::Failed { .. } => {
                self.begin((end.label(), None), end, now);
                self.tell("asked again until it answers")
            }
        }
    }

    fn begin(&mut self, kind: Kind, end: &PollEnd, now: Instant) {
        if self.present.as_ref().is_some_and(|present| present.kind == kind) {
            return;
        }
        let (since, logged) = self.present.take().map_or((now, None), |before| (before.since, before.logged));
        self.present = Some(Present { kind, reason: end.fault().unwrap_or_default(), since, logged });
    }

    fn tell(&mut self, then: &str) -> Option<News> {
        let present = self.present.as_mut()?;
        if present.logged.replace(present.kind) == Some(present.kind) {
            return None;
        }
        Some(News::Trouble(format!("{} gives no events: {}; {then}", self.name, present.reason)))
    }

    fn over(&mut self, now: Instant) -> Option<News> {
        let over = self.present.take()?;
        over.logged?;
        let away = Rounded(now - over.since);
        Some(News::Over(format!("{} gives events again after {away}", self.name)))
    }
}

fn whole_seconds(duration: Duration) -> Rounded {
    Rounded(Duration::from_secs(duration.as_millis().div_ceil(1000) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_trouble_is_told_once_again_when_it_changes_and_when_it_is_over() {
        let start = Instant::now();
        let mut trouble = Trouble::none("orgs/o".into());
        let mut note = |end: PollEnd, at_s: u64| match trouble.note(&end, s(59), start + s(at_s)) {
            None => String::new(),
            Some(News::Trouble(line) | News::Over(line)) => line,
        };
        let refused = || PollEnd::Refused { status: 403 };
        let failed = |reason: &str| PollEnd::Failed { reason: reason.into() };
        assert_eq!(note(PollEnd::Whole, 0), "");
        let line = note(refused(), 1);
        for words in ["orgs/o", "403", "SAML", "blocked", "GITHUB_TOKEN", "asked again in 59 s"] {
            assert!(line.contains(words), "no {words} in {line}");
        }
        assert_eq!((note(refused(), 2), note(PollEnd::Limited { status: Some(429) }, 3)), Default::default());
        assert_eq!(note(refused(), 4), "");
        assert!(note(PollEnd::Missing { status: 404 }, 5).contains("404"));
        assert!(note(PollEnd::Missing { status: 451 }, 6).contains("451"));
        assert!(note(failed("it answered 502"), 7).contains("502"));
        assert_eq!(note(failed("no answer within 30 s"), 8), "", "failures change their words all the time");
        assert_eq!(note(PollEnd::NotModified, 9), "orgs/o gives events again after 8 s");
        assert_eq!((note(PollEnd::Denied, 10), note(PollEnd::Whole, 11)), Default::default());
        assert_eq!(note(refused(), 11), line);
        assert_eq!((note(PollEnd::Denied, 12), note(refused(), 13)), Default::default());
        assert!(note(PollEnd::Whole, 14).ends_with("after 3 s"));
        assert_eq!(note(PollEnd::Whole, 15), "");
    }
}
