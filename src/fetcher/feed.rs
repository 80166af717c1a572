//! A feed: one source with its memory, and the time of its next poll.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::coverage::{Coverage, FeedGap};
use super::freshness::{FeedFreshness, OrderNews};
use super::memory::Memory;
use super::snapshot::FeedSnapshot;
use super::tokens::TokenPool;
use super::trouble::Trouble;
use super::walk::{Found, Step, Walk};
use crate::config::Source;
use crate::duration::Rounded;
use crate::github::{Answer, Client, Hints, Outcome, TokenNumber, poll_interval};
use crate::retry::{Backoff, Interrupted, doubled};

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
    sweep_every: Duration,
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
        FeedSnapshot {
            etag: self.etag.clone(),
            token: self.etag_token.index(),
            newest: self.memory.newest(),
            marks: self.memory.newest_marks(marks_max),
            coverage: self.coverage,
            interval_s: (self.interval != POLL_INTERVAL_DEFAULT).then_some(self.interval.as_secs()),
        }
    }

    /// Continues from the snapshot of another process.
    ///
    /// # Errors
    /// The reason if the snapshot is invalid. The feed then stays as it was.
    pub(super) fn resume(&mut self, snapshot: FeedSnapshot) -> Result<(), String> {
        let snapshot = snapshot.checked(Utc::now())?;
        self.memory.adopt(&snapshot.marks, snapshot.newest);
        self.etag = snapshot.etag;
        self.etag_token = TokenNumber::at(snapshot.token);
        self.coverage = snapshot.coverage;
        self.interval = snapshot.interval_s.map_or(self.interval, poll_interval);
        Ok(())
    }

    /// Requests that the next poll will take, judging by the last.
    pub(super) fn requests(&self) -> u32 {
        self.requests
    }

    /// Walks the feed's pages, one request after the other. Returns the events found so far, however the walk ended.
    pub(super) async fn walk(
        &mut self,
        client: &Client,
        tokens: &mut TokenPool,
        shutdown: &CancellationToken,
    ) -> Result<(Walk, PollEnd), Interrupted> {
        self.asked = Instant::now();
        let mut token = self.choose_token(tokens, self.asked);
        let mut walk = self.begin_walk(tokens);
        let mut page = (self.address.url().clone(), self.etag_for(token));
        self.requests = 0;
        loop {
            let answer = tokio::select! {
                answer = client.get(&page.0, page.1.as_deref(), token) => answer,
                () = shutdown.cancelled() => return Err(Interrupted),
            };
            let now = Instant::now();
            tokens.learn(&self.source, token, &answer, now);
            if walk.pages == 0 {
                self.token = token;
                self.note_address(&answer);
            }
            if !walk.meets_before() {
                self.count_request(&answer.hints, now);
            }
            let end = match answer.outcome {
                // Another token may do. This one is set aside or used up, so this ends.
                Outcome::Denied | Outcome::Limited { .. }
                    if tokens.closed_for(&self.source, now).is_none() =>
                {
                    token = self.choose_token(tokens, now);
                    page.1 = if walk.pages == 0 { self.etag_for(token) } else { None };
                    continue;
                }
                // Where GitHub redirected to, it is no longer. The original address may redirect to another place.
                Outcome::Missing { .. } if walk.pages == 0 && self.address.is_missing() => {
                    page.0 = self.address.url().clone();
                    continue;
                }
                Outcome::Page(taken) => {
                    let step = walk.take(taken, &self.memory);
                    if walk.pages == 1 {
                        self.judge(walk.newest(), token, tokens, now);
                    }
                    match step {
                        Step::Next(next) if tokens.closed_for(&self.source, now).is_none() => {
                            token = self.choose_token(tokens, now);
                            page = (next, None);
                            continue;
                        }
                        Step::Next(_) => PollEnd::Limited { status: None },
                        Step::Whole => PollEnd::Whole,
                    }
                }
                other => PollEnd::of(other),
            };
            let end = self.end_walk(&walk, end, now);
            return Ok((walk, end));
        }
    }

    /// Notes where the first page was, and logs news of it.
    fn note_address(&mut self, answer: &Answer) {
        let elements = match &answer.outcome {
            Outcome::Page(page) => &page.elements[..],
            Outcome::NotModified => &[],
            _ => return,
        };
        if let Some(line) = self.address.note(&self.source, answer.moved_to.clone(), elements) {
            tracing::warn!(source = %self.source, "{line}");
        }
    }

    /// Judges whether `token` gets answers as new as they should be, by the newest event of a first page.
    fn judge(
        &mut self,
        newest: Option<DateTime<Utc>>,
        token: TokenNumber,
        tokens: &mut TokenPool,
        now: Instant,
    ) {
        let Some(newest) = newest else { return };
        let source = &self.source;
        match self.freshness.order.note(newest, token, Utc::now()) {
            OrderNews::Fresh => tokens.trust(source, token, now),
            OrderNews::Old => {}
            OrderNews::Suspect { behind } => {
                let behind = Rounded(behind.to_std().unwrap_or_default());
                tracing::warn!(%source, %token, "{source}: the last answers to token {token} end {behind} before the newest event that \
                    the feed has shown: GitHub gives old answers, or those events have vanished. Another token asks, if there is one");
                tokens.leave(source, token, now);
            }
            OrderNews::FreshAgain => {
                tracing::info!(%source, %token, "{source}: the answers to token {token} are as new as before again");
                tokens.trust(source, token, now);
            }
            OrderNews::OldToken(other) => {
                tokens.distrust(other, now);
                tokens.trust(source, token, now);
            }
            OrderNews::Vanished => {
                tracing::info!(%source, "{source}: another token gets no newer events, so the newest ones have vanished from the feed");
            }
        }
    }

    /// Asks without an ETag next time, in case GitHub answers 304 whatever is new.
    pub(super) fn forget_etag(&mut self) {
        self.etag = None;
    }

    fn choose_token(&self, tokens: &mut TokenPool, now: Instant) -> TokenNumber {
        tokens.choose(&self.source, self.etag.as_ref().map(|_| self.etag_token), now)
    }

    /// The ETag, if this token got it. Another token would get an answer 200 for it.
    fn etag_for(&self, token: TokenNumber) -> Option<String> {
        self.etag.clone().filter(|_| self.etag_token == token)
    }

    /// A plain walk, or a sweep if one is due and there are requests for it.
    fn begin_walk(&mut self, tokens: &TokenPool) -> Walk {
        let now = Instant::now();
        if now < self.swept + self.sweep_every || !tokens.is_ample(&self.source) {
            return Walk::default();
        }
        Walk::sweep()
    }

    /// The end of a walk. A sweep that breaks off below known events has found all that a plain walk would find.
    fn end_walk(&mut self, walk: &Walk, end: PollEnd, now: Instant) -> PollEnd {
        let end = match end.fault() {
            Some(fault) if walk.meets_before() => {
                tracing::warn!(source = %self.source, fault, "{}: a search for late events broke off: {fault}", self.source);
                PollEnd::Whole
            }
            _ => end,
        };
        if end == PollEnd::Whole && walk.sweeps() {
            self.swept = now;
        }
        end
    }

    fn count_request(&mut self, hints: &Hints, now: Instant) {
        self.requests += 1;
        if self.requests == 1 {
            (self.answered, self.answered_at) = (now, Utc::now());
            self.interval = hints.poll_interval.unwrap_or(self.interval);
        }
    }

    /// Remembers a poll. All its events must be published and confirmed. Otherwise the next poll would get 304 or stop at these
    /// events, and they would be lost.
    pub(super) fn remember(&mut self, found: Found, end: &PollEnd, gaps: &[FeedGap]) {
        match end {
            PollEnd::Whole => {
                let is_old = self.freshness.order.is_behind();
                (self.etag, self.etag_token) = (found.etag.filter(|_| !is_old), self.token);
                self.memory.remember_walked(&found.marks, found.newest);
                self.coverage.add(self.answered_at, gaps);
            }
            PollEnd::NotModified => self.coverage.add(self.answered_at, &[]),
            _ => self.memory.remember_ahead(&found.marks),
        }
    }

    /// Sets when to poll next, `interval` being how far apart good polls are. With `others_answer` other sources want their turn.
    pub(super) fn schedule(&mut self, end: &PollEnd, interval: Duration, others_answer: bool, now: Instant) {
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
                now + doubled(2 * (now - self.asked), self.slow_failures, TURNED_AWAY_WAIT_MAX)
            }
            // A walk that broke off has fetched the first page nevertheless.
            PollEnd::Failed { .. } if self.requests > 1 => {
                (now + self.backoff.next_delay()).max(self.answered + interval)
            }
            PollEnd::Failed { .. } => now + self.backoff.next_delay(),
        };
    }

    /// The time of the next poll of a refused feed: later each time, and never sooner than that of other feeds.
    fn turned_away(&mut self, first: Duration, interval: Duration, now: Instant) -> Instant {
        self.turned_away = self.turned_away.saturating_add(1);
        let wait = doubled(first, self.turned_away, TURNED_AWAY_WAIT_MAX);
        (now + wait).max(self.answered + interval)
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
