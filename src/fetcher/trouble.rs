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
    logged: Option<Logged>,
}

struct Logged {
    kind: Kind,
    reason: String,
    since: Instant,
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
        Self { name, logged: None }
    }

    /// True while no poll is known to have failed.
    pub(super) fn is_over(&self) -> bool {
        self.logged.is_none()
    }

    /// The outcome of the polls that failed. None while no poll is known to have failed.
    pub(super) fn label(&self) -> Option<&'static str> {
        self.logged.as_ref().map(|logged| logged.kind.0)
    }

    /// Why the first of them failed.
    pub(super) fn reason(&self) -> Option<&str> {
        self.logged.as_ref().map(|logged| logged.reason.as_str())
    }

    /// Notes the end of a poll and logs changes. `again_in` is the time until the next poll of the source.
    pub(super) fn note(&mut self, end: &PollEnd, again_in: Duration, now: Instant) -> Option<News> {
        match end {
            PollEnd::Whole | PollEnd::NotModified => self.over(now),
            // Logged for all sources at once, by the report.
            PollEnd::Limited { .. } => None,
            PollEnd::Refused { status } | PollEnd::Missing { status } => {
                let then = format!("asked again in {}, then less and less often", whole_seconds(again_in));
                self.begin((end.label(), Some(*status)), end, &then, now)
            }
            PollEnd::Denied | PollEnd::Failed { .. } => {
                self.begin((end.label(), None), end, "asked again until it answers", now)
            }
        }
    }

    fn begin(&mut self, kind: Kind, end: &PollEnd, then: &str, now: Instant) -> Option<News> {
        if self.logged.as_ref().is_some_and(|logged| logged.kind == kind) {
            return None;
        }
        let since = self.logged.take().map_or(now, |logged| logged.since);
        let reason = end.fault().unwrap_or_default();
        let line = format!("{} gives no events: {reason}; {then}", self.name);
        self.logged = Some(Logged { kind, reason, since });
        Some(News::Trouble(line))
    }

    fn over(&mut self, now: Instant) -> Option<News> {
        let logged = self.logged.take()?;
        let away = Rounded(now - logged.since);
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
        assert_eq!(note(PollEnd::Whole, 10), "");
    }
}
