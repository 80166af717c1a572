//! Reports a poll: one log line, and metrics.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::coverage::FeedGap;
use super::feed::PollEnd;
use super::freshness::KindFreshness;
use super::tokens::{Standing, TokenReport};
use super::walk::Walk;
use crate::config::Source;
use crate::duration::Rounded;

/// The report of one poll, made after its events are published and remembered.
pub(super) struct Report<'a> {
    pub source: &'a Source,
    pub end: &'a PollEnd,
    pub counts: Counts,
    pub gaps: &'a [FeedGap],
    pub quota: Quota,
    /// Seconds of the source's feed seen / elapsed.
    pub coverage: f64,
    /// How long the poll took, publishing included.
    pub took: Duration,
    pub next_poll_in: Duration,
    /// There are many sources: its line is at debug level.
    pub is_one_of_many: bool,
    /// No source may be polled now, whichever token would ask.
    pub is_for_all: bool,
}

/// GitHub's quota of requests, as far as GitHub sends it.
#[derive(Clone, Copy, Default)]
pub(super) struct Quota {
    pub left: Option<u64>,
    pub limit: Option<u64>,
    pub resets_at: Option<DateTime<Utc>>,
}

/// The counts of a poll.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    pub published: usize,
    pub already_seen: usize,
    pub pages: u32,
    pub too_large: usize,
    pub not_events: usize,
}

impl Counts {
    /// Counts of a walk.
    pub(super) fn of(walk: &Walk) -> Self {
        Self {
            published: walk.fresh(),
            already_seen: walk.already_seen,
            pages: walk.pages,
            too_large: walk.too_large,
            not_events: walk.not_events,
        }
    }

    /// So many were not published after all, being too large.
    pub(super) fn leave_out(&mut self, too_large: usize) {
        self.published = self.published.saturating_sub(too_large);
        self.too_large += too_large;
    }
}

impl Report<'_> {
    /// Logs and counts the poll.
    pub(super) fn tell(&self) {
        self.count();
        self.gaps.iter().for_each(|gap| self.warn_of_gap(gap));
        self.warn_of_odd_elements();
        if let PollEnd::Limited { .. } = self.end
            && self.is_for_all
        {
            let wait_s = self.next_poll_in.as_secs_f64().ceil();
            let why = self.end.fault().unwrap_or_default();
            tracing::warn!(source = %self.source, wait_s, "{why}: no source is polled for {}", Rounded(Duration::from_secs_f64(wait_s)));
        }
        // The feed's `Trouble` logs polls that failed at once: when the trouble begins, and when it is over.
        if self.counts.pages > 0 || *self.end == PollEnd::NotModified {
            self.summarise();
        }
    }

    fn summarise(&self) {
        let Counts { published, already_seen, pages, .. } = self.counts;
        let quota = self.quota.left.map_or_else(|| "unknown".to_owned(), |left| left.to_string());
        let coverage_percent = (self.coverage * 1000.0).floor() / 10.0;
        let next_poll_s = (self.next_poll_in.as_secs_f64() * 10.0).round() / 10.0;
        let next_poll = Rounded(self.next_poll_in);
        let what = match self.end {
            PollEnd::NotModified => "not modified".to_owned(),
            PollEnd::Whole => format!("{published} new, {already_seen} already seen, pages: {pages}"),
            _ => format!("{published} new, {already_seen} already seen, broke off after pages: {pages}"),
        };
        let text = format!(
            "{}: {what}; quota left: {quota}, coverage {coverage_percent} %, next poll in {next_poll}",
            self.source
        );
        if self.is_one_of_many {
            tracing::debug!(source = %self.source, "{text}");
            return;
        }
        tracing::info!(
            source = %self.source,
            outcome = self.end.label(),
            published,
            already_seen,
            pages,
            quota_left = self.quota.left,
            coverage_percent,
            next_poll_s,
            "{text}"
        );
    }

    fn warn_of_gap(&self, gap: &FeedGap) {
        let seconds = gap.seconds();
        tracing::warn!(
            source = %self.source, from = %gap.from, to = %gap.to, seconds,
            "{}: more happened than GitHub shows; a gap of {} ({} to {}) is recorded for replay",
            self.source, Rounded(Duration::from_secs(seconds)), gap.from, gap.to
        );
    }

    fn warn_of_odd_elements(&self) {
        let Counts { not_events, too_large, .. } = self.counts;
        if not_events > 0 {
            tracing::warn!(source = %self.source, not_events,
                "{}: {not_events} elements are not events; published for the dead letters", self.source);
        }
        if too_large > 0 {
            tracing::error!(source = %self.source, too_large,
                "{}: {too_large} elements are larger than RabbitMQ takes, and left out", self.source);
        }
    }

    fn count(&self) {
        let kind = self.source.kind();
        counter!("github_etl_fetcher_polls_total", "source" => kind, "outcome" => self.end.label())
            .increment(1);
        let Counts { published, already_seen, not_events, too_large, .. } = self.counts;
        for (name, count) in [
            ("github_etl_fetcher_events_published_total", published),
            ("github_etl_fetcher_events_already_seen_total", already_seen),
            ("github_etl_fetcher_not_events_total", not_events),
            ("github_etl_fetcher_too_large_total", too_large),
            ("github_etl_fetcher_gaps_total", self.gaps.len()),
        ] {
            counter!(name, "source" => kind).increment(count as u64);
        }
        counter!("github_etl_fetcher_gap_seconds_total", "source" => kind)
            .increment(self.gaps.iter().map(FeedGap::seconds).sum());
        histogram!("github_etl_fetcher_poll_duration_seconds", "source" => kind).record(self.took);
        self.quota.measure();
    }
}

impl Quota {
    #[expect(clippy::cast_precision_loss, reason = "quotas are thousands, times are whole seconds")]
    fn measure(self) {
        for (name, value) in [
            ("github_etl_fetcher_rate_limit_remaining", self.left.map(|left| left as f64)),
            ("github_etl_fetcher_rate_limit_requests", self.limit.map(|limit| limit as f64)),
            (
                "github_etl_fetcher_rate_limit_reset_timestamp_seconds",
                self.resets_at.map(|at| at.timestamp() as f64),
            ),
        ] {
            if let Some(value) = value {
                gauge!(name).set(value);
            }
        }
    }
}

/// Sets the gauges of each token, by its number, and of how many tokens stand how.
#[expect(clippy::cast_precision_loss, reason = "quotas are thousands, tokens a few")]
pub(super) fn tokens(tokens: impl Iterator<Item = TokenReport>) {
    let mut standing = [0_u32; Standing::ALL.len()];
    for token in tokens {
        if let Some(remaining) = token.remaining {
            gauge!("github_etl_fetcher_token_rate_limit_remaining", "token" => token.number.to_string())
                .set(remaining as f64);
        }
        gauge!("github_etl_fetcher_token_sources", "token" => token.number.to_string())
            .set(token.sources as f64);
        standing[token.standing as usize] += 1;
    }
    for (one, count) in Standing::ALL.into_iter().zip(standing) {
        gauge!("github_etl_fetcher_tokens", "state" => one.label()).set(f64::from(count));
    }
}

/// Sets the gauge of the events that will be missed.
pub(super) fn expected_loss(ratio: f64) {
    gauge!("github_etl_fetcher_expected_loss_ratio").set(ratio);
}

/// Sets the gauge of when the newest event of the sources of one kind was created.
pub(super) fn newest_of_kind(kind: &'static str, created: DateTime<Utc>) {
    #[expect(clippy::cast_precision_loss, reason = "times are whole seconds")]
    gauge!("github_etl_fetcher_last_event_timestamp_seconds", "source" => kind)
        .set(created.timestamp() as f64);
}

/// Sets the gauges of whether the feeds of one kind have gone stale or thin.
#[expect(clippy::cast_precision_loss, reason = "counts of types and sources")]
pub(super) fn freshness_of_kind(kind: &'static str, freshness: KindFreshness) {
    gauge!("github_etl_fetcher_stale", "source" => kind).set(f64::from(u8::from(freshness.is_silent)));
    gauge!("github_etl_fetcher_stale_sources", "source" => kind).set(freshness.stale_sources as f64);
    gauge!("github_etl_fetcher_thin_types", "source" => kind).set(freshness.thin_types as f64);
}

/// Sets the gauge of coverage over all sources.
pub(super) fn overall_coverage(ratio: f64) {
    gauge!("github_etl_fetcher_coverage_ratio").set(ratio);
}

/// Sets the gauge of coverage over the sources of one kind.
pub(super) fn coverage_of_kind(kind: &'static str, ratio: f64) {
    gauge!("github_etl_fetcher_source_coverage_ratio", "source" => kind).set(ratio);
}

/// Describes each metric, once at the start.
pub(super) fn describe() {
    crate::status::describe_sources();
    for (name, what) in [
        ("github_etl_fetcher_polls_total", "Polls by outcome"),
        ("github_etl_fetcher_events_published_total", "Events published and confirmed"),
        ("github_etl_fetcher_events_already_seen_total", "Events met again, and not published again"),
        (
            "github_etl_fetcher_not_events_total",
            "Elements that are not events, published for the dead letters",
        ),
        ("github_etl_fetcher_too_large_total", "Elements larger than RabbitMQ takes, left out"),
        ("github_etl_fetcher_gaps_total", "Stretches of a feed that polling missed"),
        ("github_etl_fetcher_gap_seconds_total", "Seconds of a feed that polling missed"),
    ] {
        describe_counter!(name, what);
    }
    describe_gauge!(
        "github_etl_fetcher_on_duty",
        "1 while this fetcher polls, 0 while it waits for another one"
    );
    describe_gauge!("github_etl_extra_up", "1 when the last attempt to publish there succeeded, else 0");
    describe_gauge!("github_etl_extra_lacking_messages", "Messages that are not published there yet");
    describe_gauge!("github_etl_fetcher_coverage_ratio", "Seconds of all feeds seen / elapsed");
    describe_gauge!(
        "github_etl_fetcher_expected_loss_ratio",
        "Part of the events that will be missed, because the quota does not suffice for all sources"
    );
    describe_gauge!(
        "github_etl_fetcher_source_coverage_ratio",
        "Seconds of the feeds of a kind seen / elapsed"
    );
    describe_gauge!(
        "github_etl_fetcher_rate_limit_remaining",
        "Requests left of GitHub's quota, over all tokens that GitHub takes"
    );
    describe_gauge!(
        "github_etl_fetcher_rate_limit_requests",
        "Requests that GitHub's quota has in all, over all tokens that GitHub takes"
    );
    describe_gauge!(
        "github_etl_fetcher_rate_limit_reset_timestamp_seconds",
        "When GitHub's quota starts afresh, of several that of the first token to do so"
    );
    describe_gauge!(
        "github_etl_fetcher_token_rate_limit_remaining",
        "Requests left of a token's quota, by the token's number"
    );
    describe_gauge!("github_etl_fetcher_token_sources", "Sources that a token asks for, by its number");
    describe_gauge!(
        "github_etl_fetcher_tokens",
        "Tokens by state; without any token, the lack of one counts as one"
    );
    describe_gauge!(
        "github_etl_fetcher_last_event_timestamp_seconds",
        "When the newest event that the feeds of a kind have shown was created"
    );
    describe_gauge!(
        "github_etl_fetcher_stale",
        "1 while the feeds of a kind show nothing new for much longer than ever before, else 0"
    );
    describe_gauge!(
        "github_etl_fetcher_stale_sources",
        "Sources of a kind whose own feed is stale: silent for too long, or showing old events"
    );
    describe_gauge!(
        "github_etl_fetcher_thin_types",
        "Types of events that have all but gone from the feeds of a kind"
    );
    describe_histogram!("github_etl_fetcher_poll_duration_seconds", "Time a poll takes, publishing included");
}
