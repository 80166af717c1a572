//! The status of each source, for dashboards and metrics.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::time::Instant;

use super::feed::Feed;
use super::feeds::{Feeds, Forecast};
use crate::status::{SourceFigures, SourceState, SourceStatus};

/// Tells the status of the feed that was polled just now, and now and then of all. `forecast` is what the feeds' plans lead to.
pub(super) fn tell(
    figures: &SourceFigures,
    feeds: &Feeds,
    polled: usize,
    published: usize,
    forecast: Option<Forecast>,
) {
    if figures.wants_all() {
        tell_all(figures, feeds);
    }
    if let Some(forecast) = forecast {
        figures.budget_covers_all(forecast.lost <= 0.0);
    }
    figures.polled(status_of(feeds, polled, Instant::now(), Utc::now()), published as u64);
}

/// Tells the status of all feeds, when the duty begins or the feeds are others.
pub(super) fn tell_all(figures: &SourceFigures, feeds: &Feeds) {
    let (now, now_utc) = (Instant::now(), Utc::now());
    figures.replace((0..feeds.all.len()).map(|index| status_of(feeds, index, now, now_utc)));
}

fn status_of(feeds: &Feeds, index: usize, now: Instant, now_utc: DateTime<Utc>) -> SourceStatus {
    let feed = &feeds.all[index];
    let next_in = feeds.until_polled(index, now);
    let next_poll_at = TimeDelta::from_std(next_in).ok().and_then(|wait| now_utc.checked_add_signed(wait));
    let token = feeds.tokens.token_of(&feed.source).filter(|_| feeds.tokens.are_several());
    let coverage = feed.known_coverage(now_utc);
    let (gaps, gap_seconds) = feed.coverage.gaps();
    SourceStatus {
        source: feed.source.to_string(),
        state: state_of(feed),
        last_poll_at: coverage.last_poll(now_utc),
        next_poll_at: next_poll_at.map(|at| at.trunc_subsecs(0)),
        newest_event_at: feed.memory.newest().map(|at| at.trunc_subsecs(0)),
        // Rounded down: what is not all is not shown as all.
        coverage: (!coverage.is_empty()).then(|| (coverage.ratio(now_utc) * 100_000.0).floor() / 100_000.0),
        gaps,
        gap_seconds,
        weight: feed.weight,
        events_per_hour: feed
            .activity
            .learned_at()
            .map(|_| (feed.activity.per_hour() * 100.0).round() / 100.0),
        moved_to: feed.address.renamed_to().map(ToString::to_string),
        // People count from 1.
        token: token.and_then(|token| u32::try_from(token.index() + 1).ok()),
        trouble: feed.trouble.reason().map(SourceStatus::one_line),
        ..SourceStatus::default()
    }
}

/// The state by the last poll. Without a poll of this process, it is that of a source that the process before could poll.
fn state_of(feed: &Feed) -> SourceState {
    match feed.trouble.label() {
        Some("refused") => SourceState::Refused,
        Some("missing") => SourceState::Missing,
        Some(_) => SourceState::Failing,
        None if feed.coverage.is_empty() => SourceState::NeverPolled,
        None if feed.address.renamed_to().is_some() => SourceState::Moved,
        None if feed.freshness.is_stale() => SourceState::Stale,
        None => SourceState::Polled,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::coverage::FeedGap;
    use super::super::feed::PollEnd;
    use super::super::fixture_tests as fixture;
    use super::super::walk::Walk;
    use super::*;

    fn feeds() -> Feeds {
        let mut feeds = Feeds::new(0, None, Duration::from_secs(600));
        feeds.all.push(fixture::feed("repos/o/r", &fixture::client()));
        feeds.changed();
        feeds
    }

    fn after(feeds: &mut Feeds, end: PollEnd, gaps: &[FeedGap]) -> SourceStatus {
        let now = Instant::now();
        feeds.all[0].remember(Walk::default().into_found(), &end, gaps);
        let _ = feeds.all[0].trouble.note(&end, Duration::ZERO, now);
        status_of(feeds, 0, now, Utc::now())
    }

    #[test]
    fn a_source_has_the_state_of_its_last_poll() {
        let mut feeds = feeds();
        let new = status_of(&feeds, 0, Instant::now(), Utc::now());
        assert_eq!((new.source.as_str(), new.state), ("repos/o/r", SourceState::NeverPolled));
        assert_eq!((new.coverage, new.last_poll_at, new.trouble), (None, None, None));
        for (end, state) in [
            (PollEnd::Limited { status: None }, SourceState::NeverPolled),
            (PollEnd::Failed { reason: "it answered\n502".into() }, SourceState::Failing),
            (PollEnd::Whole, SourceState::Polled),
            (PollEnd::Refused { status: 403 }, SourceState::Refused),
            (PollEnd::Limited { status: Some(429) }, SourceState::Refused),
            (PollEnd::Missing { status: 404 }, SourceState::Missing),
            (PollEnd::Denied, SourceState::Failing),
            (PollEnd::NotModified, SourceState::Polled),
        ] {
            let words = format!("{end:?}");
            let status = after(&mut feeds, end, &[]);
            assert_eq!(status.state, state, "{words}");
            assert_eq!(
                status.trouble.is_some(),
                !matches!(state, SourceState::Polled | SourceState::NeverPolled)
            );
            assert!(status.trouble.is_none_or(|line| !line.contains('\n')));
        }
    }

    #[test]
    fn gaps_and_times_are_told() {
        let mut feeds = feeds();
        after(&mut feeds, PollEnd::Whole, &[]);
        let (from, to) = (Utc::now() - TimeDelta::seconds(60), Utc::now());
        let gap = FeedGap { from, to, events_in_poll: 300, repo_id: None };
        let told = after(&mut feeds, PollEnd::Whole, &[gap]);
        assert_eq!((told.gaps, told.gap_seconds, told.coverage), (1, 60, Some(0.0)));
        assert!(told.last_poll_at.is_some_and(|at| (Utc::now() - at).num_seconds() < 5));
        feeds.all[0].due = Instant::now() + Duration::from_secs(30);
        let status = status_of(&feeds, 0, Instant::now(), Utc::now());
        let due_in = (status.next_poll_at.unwrap() - Utc::now()).num_seconds();
        assert!((27..=30).contains(&due_in));
    }
}
