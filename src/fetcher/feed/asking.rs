//! The requests of a poll: which page is asked for with which token, and what follows from the answer.

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::freshness::OrderNews;
use super::super::moment::Moment;
use super::super::tokens::TokenPool;
use super::super::walk::{Step, Walk};
use super::{Feed, PollEnd};
use crate::duration::Rounded;
use crate::github::{Answer, Client, Hints, Outcome, TokenNumber};
use crate::retry::Interrupted;

/// A request of a walk.
pub(in crate::fetcher) struct Request {
    pub page: Url,
    pub etag: Option<String>,
    pub token: TokenNumber,
}

/// The next step of a walk after an answer.
pub(in crate::fetcher) enum Asking {
    /// Make this request.
    Next(Request),
    /// The walk is over.
    Over(PollEnd),
}

impl Feed {
    /// Walks the feed's pages, one request after the other. Returns the events found so far, however the walk ended.
    pub(in crate::fetcher) async fn walk(
        &mut self,
        client: &Client,
        tokens: &mut TokenPool,
        shutdown: &CancellationToken,
    ) -> Result<(Walk, PollEnd), Interrupted> {
        let now = Instant::now();
        let mut request = self.first_request(tokens, now);
        let mut walk = self.begin_walk(tokens, now);
        loop {
            let answer = tokio::select! {
                answer = client.get(&request.page, request.etag.as_deref(), request.token) => answer,
                () = shutdown.cancelled() => return Err(Interrupted),
            };
            match self.take(&mut walk, request, answer, tokens, Moment::now()) {
                Asking::Next(next) => request = next,
                Asking::Over(end) => return Ok((walk, end)),
            }
        }
    }

    /// The request that a walk begins with.
    pub(in crate::fetcher) fn first_request(&self, tokens: &mut TokenPool, now: Instant) -> Request {
        let token = self.choose_token(tokens, now);
        Request { page: self.address.url().clone(), etag: self.etag_for(token), token }
    }

    /// A plain walk, or a sweep if one is due and there are requests for it.
    pub(in crate::fetcher) fn begin_walk(&mut self, tokens: &TokenPool, now: Instant) -> Walk {
        self.requests = 0;
        self.asked = now;
        if self.is_brief_at_first && self.activity.learned_at().is_none() {
            return Walk::first_page();
        }
        if now < self.swept + self.sweep_every || !tokens.is_ample(&self.source) {
            return Walk::default();
        }
        Walk::sweep()
    }

    /// Takes the answer to a request of this walk, and gives the next request.
    pub(in crate::fetcher) fn take(
        &mut self,
        walk: &mut Walk,
        request: Request,
        answer: Answer,
        tokens: &mut TokenPool,
        now: Moment,
    ) -> Asking {
        tokens.learn(&self.source, request.token, &answer, now.instant);
        if walk.pages == 0 {
            self.token = request.token;
            self.note_address(&answer);
        }
        if !walk.meets_before() {
            self.count_request(&answer.hints, now);
        }
        let end = match answer.outcome {
            // Another token may do. This one is set aside or used up, so this ends.
            Outcome::Denied | Outcome::Limited { .. }
                if tokens.closed_for(&self.source, now.instant).is_none() =>
            {
                let token = self.choose_token(tokens, now.instant);
                let etag = if walk.pages == 0 { self.etag_for(token) } else { None };
                return Asking::Next(Request { etag, token, ..request });
            }
            // Where GitHub redirected to, it is no longer. The original address may redirect to another place.
            Outcome::Missing { .. } if walk.pages == 0 && self.address.is_missing() => {
                return Asking::Next(Request { page: self.address.url().clone(), ..request });
            }
            Outcome::Page(taken) => {
                let step = walk.take(taken, &self.memory);
                if walk.pages == 1 {
                    self.judge(walk.newest(), request.token, tokens, now);
                }
                match step {
                    Step::Next(page) if tokens.closed_for(&self.source, now.instant).is_none() => {
                        let token = self.choose_token(tokens, now.instant);
                        return Asking::Next(Request { page, etag: None, token });
                    }
                    Step::Next(_) => PollEnd::Limited { status: None },
                    Step::Whole => PollEnd::Whole,
                }
            }
            other => PollEnd::of(other),
        };
        Asking::Over(self.end_walk(walk, end, now.instant))
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
        now: Moment,
    ) {
        let Some(newest) = newest else { return };
        let source = &self.source;
        match self.freshness.order.note(newest, token, now.utc) {
            OrderNews::Fresh => tokens.trust(source, token, newest, now.instant),
            OrderNews::Old => {}
            OrderNews::Suspect { behind } => {
                let behind = Rounded(behind.to_std().unwrap_or_default());
                tracing::warn!(%source, %token, "{source}: the last answers to token {token} end {behind} before the newest event that \
                    the feed has shown: GitHub gives old answers, or those events have vanished. Another token asks, if there is one");
                tokens.leave(source, token, now.instant);
            }
            OrderNews::FreshAgain => {
                tracing::info!(%source, %token, "{source}: the answers to token {token} are as new as before again");
                tokens.trust(source, token, newest, now.instant);
            }
            OrderNews::OldToken(other) => {
                tokens.distrust(other, now);
                tokens.trust(source, token, newest, now.instant);
            }
            OrderNews::Vanished => {
                tracing::info!(%source, "{source}: another token gets no newer events, so the newest ones have vanished from the feed");
            }
            OrderNews::VanishedLongAgo => {
                tracing::info!(%source, "{source}: the answers have ended with the same event for a day, so the newer ones have vanished \
                    from the feed");
            }
        }
    }

    pub(super) fn choose_token(&self, tokens: &mut TokenPool, now: Instant) -> TokenNumber {
        tokens.choose(&self.source, self.etag.as_ref().map(|_| self.etag_token), now)
    }

    /// The ETag, if this token got it. Another token would get an answer 200 for it.
    pub(super) fn etag_for(&self, token: TokenNumber) -> Option<String> {
        self.etag.clone().filter(|_| self.etag_token == token)
    }

    /// The end of a walk. A sweep that breaks off below known events has found all that a plain walk would find.
    pub(in crate::fetcher) fn end_walk(&mut self, walk: &Walk, end: PollEnd, now: Instant) -> PollEnd {
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

    fn count_request(&mut self, hints: &Hints, now: Moment) {
        self.requests += 1;
        if self.requests == 1 {
            (self.answered, self.answered_at) = (now.instant, now.utc);
            self.interval = hints.poll_interval.unwrap_or(self.interval);
        }
    }
}
