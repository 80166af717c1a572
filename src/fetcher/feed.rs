//! A feed: one source with its memory, and the time of its next poll.

pub(super) mod asking;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::activity::{Activity, Seen};
use super::address::Address;
use super::coverage::{Coverage, FeedGap};
use super::freshness::FeedFreshness;
use super::memory::Memory;
use super::moment::Moment;
use super::schedule::Demand;
use super::snapshot::FeedSnapshot;
use super::trouble::Trouble;
use super::walk::{Found, Walk};
use crate::config::Source;
use crate::github::{Client, Outcome, TokenNumber, poll_interval};
use crate::retry::{Backoff, doubled};

/// GitHub's usual interval. Used until GitHub says another one.
const POLL_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// Between attempts at a feed that fails, before jitter: GitHub's 502s last for seconds, its outages for hours.
const FAILED_WAIT_MIN: Duration = Duration::from_secs(2);
const FAILED_WAIT_MAX: Duration = Duration::from_secs(120);
/// How soon a feed that GitHub refuses, or does not have, is asked for again; twice that each further time, up to an hour.
const REFUSED_WAIT_FIRST: Duration = Duration::from_secs(60);
const MISSING_WAIT_FIRST: Duration = Duration::from_secs(300);
const TURNED_AWAY_WAIT_MAX: Duration = Duration::from_secs(3600);
/// A poll that fails after so long keeps the other sources waiting, because requests are made one after the other.
const SLOW_FAILURE_MIN: Duration = Duration::from_secs(5);

/// How a poll ended. Its labels are those of the metric.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PollEnd {
    /// All pages came, down to an overlap or to the feed's end.
    Whole,
    /// Nothing has changed.
    NotModified,
    /// GitHub takes no more requests for a while: it said so with this status, or the quota is used up.
    Limited { status: Option<u16> },
    /// GitHub does not take the token.
    Denied,
    /// GitHub refuses this feed, and it is no limit.
    Refused { status: u16 },
    /// There is no such feed, or not for us.
    Missing { status: u16 },
    /// Anything else.
    Failed { reason: String },
}

/// A source that is polled.
pub(super) struct Feed {
    pub source: Source,
    pub memory: Memory,
    pub coverage: Coverage,
    /// When to poll next.
    pub due: Instant,
    /// The pause that GitHub asks for between two polls.
    pub interval: Duration,
    pub trouble: Trouble,
    /// How much its events matter, beside those of other sources.
    pub weight: f64,
    pub activity: Activity,
    /// The interval of its polls in the plan.
    pub planned: Duration,
    /// Not before this is a feed in trouble polled again, whatever the plan.
    earliest: Instant,
    /// The last poll was good, and the next one is due after an interval.
    pub follows_plan: bool,
    /// The first walk takes one page only: there are too many sources for more.
    pub is_brief_at_first: bool,
    /// Its snapshot as JSON, as long as nothing has changed.
    pub saved: Option<Box<RawValue>>,
    /// Where it is asked for.
    pub address: Address,
    pub freshness: FeedFreshness,
    etag: Option<String>,
    /// The token that got the ETag. GitHub's ETags differ between tokens.
    etag_token: TokenNumber,
    /// The token of the last poll's first page.
    token: TokenNumber,
    /// Requests that the last poll took, without those that only a sweep makes.
    requests: u32,
    /// How often a poll sweeps, at most.
    pub sweep_every: Duration,
    swept: Instant,
    /// When the last poll's first answer came: intervals count from here.
    answered: Instant,
    /// The same as wall-clock time, which also passes while no process runs.
    answered_at: DateTime<Utc>,
    backoff: Backoff,
    /// How often in a row GitHub refused the feed, or did not have it.
    turned_away: u32,
    /// When the last poll began.
    asked: Instant,
    /// How often in a row a poll failed after [`SLOW_FAILURE_MIN`].
    slow_failures: u32,
}

impl Feed {
    /// A feed that is due at once, and swept after the first `sweep_every`.
    pub(super) fn new(source: Source, client: &Client, sweep_every: Duration) -> Self {
        let now = Instant::now();
        Self {
            address: Address::new(client.first_page(&source)),
            freshness: FeedFreshness::default(),
            memory: Memory::default(),
            coverage: Coverage::default(),
            due: now,
            interval: POLL_INTERVAL_DEFAULT,
            trouble: Trouble::none(format!("GitHub's feed {source} at {}", client.server())),
            weight: 1.0,
            activity: Activity::unknown(now),
            planned: POLL_INTERVAL_DEFAULT,
            earliest: now,
            follows_plan: false,
            is_brief_at_first: false,
            saved: None,
            etag: None,
            etag_token: TokenNumber::default(),
            token: TokenNumber::default(),
            requests: 1,
            sweep_every,
            swept: now,
            answered: now,
            answered_at: Utc::now(),
            backoff: Backoff::between(FAILED_WAIT_MIN, FAILED_WAIT_MAX),
            turned_away: 0,
            asked: now,
            slow_failures: 0,
            source,
        }
    }

    /// The snapshot for the next process, with at most so many marks of events.
    pub(super) fn snapshot(&self, marks_max: usize) -> FeedSnapshot {
        let (rate, polled) = self.activity.saved();
        FeedSnapshot {
            etag: self.etag.clone(),
            token: self.etag_token.index(),
            newest: self.memory.newest(),
            marks: self.memory.newest_marks(marks_max),
            known_before: None,
            coverage: self.coverage,
            interval_s: (self.interval != POLL_INTERVAL_DEFAULT).then_some(self.interval.as_secs()),
            rate,
            polled,
        }
    }

    /// A snapshot with marks of the last hours only, if it has a time before which all events are known.
    pub(super) fn short_snapshot(&self, marks_max: usize) -> FeedSnapshot {
        match self.memory.tail().filter(|tail| tail.marks <= marks_max) {
            Some(tail) => FeedSnapshot { known_before: Some(tail.before), ..self.snapshot(tail.marks) },
            None => self.snapshot(marks_max),
        }
    }

    /// Continues from the snapshot of another process.
    ///
    /// # Errors
    /// The reason if the snapshot is invalid. The feed then stays as it was.
    pub(super) fn resume(&mut self, snapshot: FeedSnapshot) -> Result<(), String> {
        let snapshot = snapshot.checked(Utc::now())?;
        self.memory.adopt(&snapshot.marks, snapshot.newest, snapshot.known_before);
        self.etag = snapshot.etag;
        self.etag_token = TokenNumber::at(snapshot.token);
        self.coverage = snapshot.coverage;
        self.activity.resume(snapshot.rate, snapshot.polled);
        self.saved = None;
        self.interval = snapshot.interval_s.map_or(self.interval, poll_interval);
        Ok(())
    }

    /// Requests that the next poll will take, judging by the last.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// True if this process or an earlier one has had a good answer about it, or knows that there is none.
    pub(super) fn is_discovered(&self) -> bool {
        self.activity.learned_at().is_some() || !self.trouble.is_over()
    }

    /// Continues with the interval in the plan, after the last poll of an earlier process.
    pub(super) fn wait_since_last_process(&mut self, now: Moment) {
        let Some(polled) = self.activity.learned_at() else { return };
        let ago = (now.utc - polled).to_std().unwrap_or_default();
        self.answered = now.instant.checked_sub(ago).unwrap_or(now.instant);
        self.follows_plan = true;
    }

    /// Sets the interval of its polls in the plan. A feed in trouble is not polled later for it, but may be sooner: the quota may
    /// have been used up when the trouble began.
    pub(super) fn plan(&mut self, interval: Duration) {
        self.planned = interval;
        let due = self.answered + interval;
        self.due = if self.follows_plan {
            due
        } else {
            self.due.min(self.earliest.max(due).max(self.asked + interval / 2))
        };
    }

    /// What the plan is to know of it. `shortest` is the shortest interval allowed.
    pub(super) fn demand(&self, shortest: Duration, now: Instant) -> Demand {
        self.activity.demand(self.weight, shortest, self.planned, now)
    }

    /// When the first answer of the last poll came.
    pub(super) fn answered(&self) -> Instant {
        self.answered
    }

    /// Asks without an ETag next time, in case GitHub answers 304 whatever is new.
    pub(super) fn forget_etag(&mut self) {
        self.etag = None;
    }

    /// The coverage as it is told.
    pub(super) fn known_coverage(&self, now: DateTime<Utc>) -> Coverage {
        if self.trouble.is_over() { self.coverage } else { self.coverage.without_answers(now) }
    }

    /// The gaps that a complete walk has found, before it is remembered.
    pub(super) fn gaps(&self, walk: &Walk, now: DateTime<Utc>) -> Vec<FeedGap> {
        walk.gaps(&self.memory, self.coverage.last_poll(now))
    }

    /// Remembers a poll. All its events must be published and confirmed. Otherwise the next poll would get 304 or stop at these
    /// events, and they would be lost.
    pub(super) fn remember(&mut self, found: Found, end: &PollEnd, gaps: &[FeedGap]) {
        match end {
            PollEnd::Whole => {
                let is_old = self.freshness.order.is_behind();
                (self.etag, self.etag_token) = (found.etag.filter(|_| !is_old), self.token);
                self.memory.remember_walked(&found.marks, found.newest, found.tail);
                self.coverage.add(self.answered_at, gaps);
            }
            PollEnd::NotModified => self.coverage.add(self.answered_at, &[]),
            _ => self.memory.remember_ahead(&found.marks),
        }
    }

    /// Learns how active the source is from a poll.
    pub(super) fn learn_activity(&mut self, seen: &Seen, end: &PollEnd, gaps: &[FeedGap]) {
        self.saved = None;
        if !seen.fresh.is_empty() || matches!(end, PollEnd::Whole | PollEnd::NotModified) {
            let answered = Moment { instant: self.answered, utc: self.answered_at };
            self.activity.learn(seen, gaps, answered);
        }
    }

    /// Sets when to poll next, `interval` being how far apart good polls are. With `others_answer` other sources want their turn.
    pub(super) fn schedule(&mut self, end: &PollEnd, interval: Duration, others_answer: bool, now: Instant) {
        self.follows_plan = matches!(end, PollEnd::Whole | PollEnd::NotModified);
        self.due = match end {
            PollEnd::Whole | PollEnd::NotModified => {
                self.backoff.reset();
                (self.turned_away, self.slow_failures) = (0, 0);
                self.answered + interval
            }
            // When this ends is for the budget to say; the feed itself is fine.
            PollEnd::Limited { .. } | PollEnd::Denied => now,
            PollEnd::Refused { .. } => self.turned_away(REFUSED_WAIT_FIRST, interval, now),
            PollEnd::Missing { .. } => self.turned_away(MISSING_WAIT_FIRST, interval, now),
            PollEnd::Failed { .. } if others_answer && now - self.asked >= SLOW_FAILURE_MIN => {
                self.slow_failures = self.slow_failures.saturating_add(1);
                self.earliest =
                    now + doubled(2 * (now - self.asked), self.slow_failures, TURNED_AWAY_WAIT_MAX);
                self.earliest
            }
            // A walk that broke off has fetched the first page nevertheless.
            PollEnd::Failed { .. } if self.requests > 1 => {
                self.earliest = now + self.backoff.next_delay();
                self.earliest.max(self.answered + interval)
            }
            PollEnd::Failed { .. } => {
                self.earliest = now + self.backoff.next_delay();
                self.earliest
            }
        };
    }

    /// The time of the next poll of a refused feed: later each time, and never sooner than that of other feeds.
    fn turned_away(&mut self, first: Duration, interval: Duration, now: Instant) -> Instant {
        self.turned_away = self.turned_away.saturating_add(1);
        let wait = doubled(first, self.turned_away, TURNED_AWAY_WAIT_MAX);
        self.earliest = now + wait;
        self.earliest.max(self.answered + interval)
    }
}

impl PollEnd {
    /// What any outcome but a page means for the walk.
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::NotModified => Self::NotModified,
            Outcome::Limited { status, .. } => Self::Limited { status: Some(status) },
            Outcome::Denied => Self::Denied,
            Outcome::Refused { status } => Self::Refused { status },
            Outcome::Missing { status } => Self::Missing { status },
            Outcome::Failed { reason } => Self::Failed { reason },
            Outcome::Page(_) => Self::Whole,
        }
    }

    /// A metric's label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::NotModified => "not-modified",
            Self::Limited { .. } => "limited",
            Self::Denied => "denied",
            Self::Refused { .. } => "refused",
            Self::Missing { .. } => "missing",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why the poll failed, with the remedy. None if it did not fail.
    pub(super) fn fault(&self) -> Option<String> {
        match self {
            Self::Whole | Self::NotModified => None,
            Self::Limited { status: Some(status) } => Some(format!("GitHub limits our requests ({status})")),
            Self::Limited { status: None } => Some("the quota of requests is used up".into()),
            Self::Denied => Some(
                "GitHub refuses access (401): check that GITHUB_TOKEN holds a token that has not expired"
                    .into(),
            ),
            Self::Refused { status } => Some(format!(
                "GitHub refuses it ({status}) while the quota is not used up: check whether the organisation wants SAML \
                 sign-on for the token, whether the repository is blocked, and what GITHUB_TOKEN may read"
            )),
            Self::Missing { status } => Some(format!(
                "GitHub has no such feed ({status}): check its name, and whether the token may see it"
            )),
            Self::Failed { reason } => Some(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
