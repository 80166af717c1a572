//! The loop over the sources, and one poll: request, publish, remember.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::coverage::{Coverage, FeedGap};
use super::duty::Turn;
use super::feed::{Feed, PollEnd};
use super::freshness::Freshness;
use super::keeper::Keeper;
use super::listing;
use super::report::{self, Counts, Quota, Report};
use super::tokens::TokenPool;
use super::walk::Element;
use crate::broker::{Broker, BrokerError, Outgoing, Part, PublishError, Publisher, Route};
use crate::config::{FetchArgs, Source};
use crate::duration::Rounded;
use crate::github::Client;
use crate::retry;
use crate::status::{Board, FetcherFigures, PollFigures};
use crate::telemetry::traces::{Kind, Span};

/// Declared by the fetcher: the exchange, and the load queue, so that events are stored before the first loader starts.
const PARTS: &[Part] = &[Part::Exchange, Part::LoadQueue];

/// How long a fetcher that polls once waits for another one to end.
const ONCE_WAIT: Duration = Duration::from_secs(3);

/// The resources and the state of the fetcher.
pub(super) struct Poller {
    client: Client,
    broker: Broker,
    publisher: Publisher,
    keeper: Keeper,
    tokens: TokenPool,
    freshness: Freshness,
    feeds: Vec<Feed>,
    figures: Arc<FetcherFigures>,
    /// The user's own interval, in place of GitHub's.
    poll_interval: Option<Duration>,
    has_warned_of_interval: bool,
    shutdown: CancellationToken,
}

impl Poller {
    /// A poller that has not asked anyone anything yet; every source is due.
    pub(super) fn new(
        args: &FetchArgs,
        client: Client,
        broker: Broker,
        board: &Board,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            feeds: distinct(&args.sources)
                .map(|source| Feed::new(source.clone(), &client, args.sweep_every))
                .collect(),
            publisher: broker.publisher(PARTS, board.health(), true),
            keeper: Keeper::new(&broker, board),
            figures: board.fetcher(),
            tokens: TokenPool::new(client.tokens()),
            freshness: Freshness::default(),
            client,
            broker,
            poll_interval: args.poll_interval,
            has_warned_of_interval: false,
            shutdown,
        }
    }

    /// Polls the sources as they become due, whenever this fetcher is on duty.
    pub(super) async fn poll_for_ever(&mut self) -> Result<Infallible, PublishError> {
        self.publisher.open(&self.shutdown).await?;
        loop {
            // Without a limit it waits until it is on duty.
            let _ = self.keeper.begin(&mut self.feeds, None, &self.shutdown).await?;
            listing::tell_all(self.figures.sources(), &self.feeds, Duration::ZERO);
            let error = self.poll_on_duty().await?;
            self.keeper.lose(error);
        }
    }

    /// Polls the sources as they become due, until this fetcher loses its duty.
    async fn poll_on_duty(&mut self) -> Result<BrokerError, PublishError> {
        loop {
            let now = Instant::now();
            let waits =
                self.feeds.iter().enumerate().map(|(index, feed)| (index, self.until_polled(feed, now)));
            // Of several that may be polled now, the one that has been due longest.
            let next = waits.min_by_key(|(index, wait)| (*wait, self.feeds[*index].due));
            let Some((index, wait)) = next else {
                self.shutdown.cancelled().await;
                return Err(retry::Interrupted.into());
            };
            let waiting = tokio::select! {
                kept = self.keeper.keep_until(now + wait, &self.feeds) => kept,
                () = self.shutdown.cancelled() => return Err(retry::Interrupted.into()),
            };
            if let Err(error) = waiting {
                return Ok(error);
            }
            self.poll(index).await?;
        }
    }

    /// Polls each source once; returns the faults of those that could not be polled completely, by name. None if another fetcher
    /// polls.
    pub(super) async fn poll_each_once(&mut self) -> Result<Option<Vec<String>>, PublishError> {
        self.publisher.open(&self.shutdown).await?;
        if self.keeper.begin(&mut self.feeds, Some(ONCE_WAIT), &self.shutdown).await? == Turn::Others {
            return Ok(None);
        }
        let mut faults = Vec::new();
        for index in 0..self.feeds.len() {
            let end = self.poll(index).await?;
            if let Some(fault) = end.fault() {
                faults.push(format!("{}: {fault}", self.feeds[index].source));
            }
            if let Some(wait) = self.tokens.all_closed_for(Instant::now()) {
                let left_out = self.feeds.len() - index - 1;
                if left_out > 0 || matches!(end, PollEnd::Limited { .. }) {
                    let wait_s = wait.as_secs_f64().ceil();
                    faults.push(format!("no more requests for {wait_s} s, sources not asked: {left_out}"));
                }
                break;
            }
        }
        Ok(Some(faults))
    }

    /// Saves the memory, and closes the connections to RabbitMQ.
    pub(super) async fn close(&mut self) {
        self.keeper.close(&self.feeds).await;
        self.publisher.close().await;
    }

    /// Polls one source: reads its pages and publishes new events. Remembers them after all are confirmed.
    async fn poll(&mut self, index: usize) -> Result<PollEnd, PublishError> {
        // No poll while RabbitMQ cannot take its events.
        self.publisher.look_for_load_queue(&self.shutdown).await?;
        let started = Instant::now();
        let feed = &mut self.feeds[index];
        let mut span = Span::root("poll", Kind::Internal);
        span.say("github_etl.source", &feed.source);
        let mut fetch = span.child("fetch", Kind::Client);
        let (walk, end) = feed.walk(&self.client, &mut self.tokens, &self.shutdown).await?;
        fetch.say("github_etl.outcome", end.label());
        fetch.count("github_etl.pages", walk.pages as usize);
        if let Some(fault) = end.fault() {
            fetch.fail(fault);
        }
        drop(fetch);
        let gaps = if end == PollEnd::Whole { walk.gaps(&feed.memory) } else { Vec::new() };
        let mut counts = Counts::of(&walk);
        let mut found = walk.into_found();
        let elements = std::mem::take(&mut found.elements);
        if matches!(end, PollEnd::Whole | PollEnd::NotModified) {
            self.watch_freshness(index, &elements);
        }
        counts.leave_out(self.publish(index, elements, &span).await?);
        // GH Archive has the missed events under the name that their repository had by then.
        let feed = &self.feeds[index];
        let source = feed.address.renamed_to().unwrap_or(&feed.source);
        self.keeper.record(gaps.iter().map(|gap| gap.record(source, chrono::Utc::now())));
        self.keeper.settle().await;
        self.feeds[index].remember(found, &end, &gaps);
        self.keeper.has_news();
        self.schedule(index, &end);
        self.tell(index, &end, counts, &gaps, started.elapsed());
        Ok(end)
    }

    /// Judges by a good poll with these new elements whether the source, and all of its kind, have gone stale or thin.
    fn watch_freshness(&mut self, index: usize, elements: &[Element]) {
        let now = Instant::now();
        let types: Vec<_> =
            elements.iter().filter_map(|element| Some(element.event.as_ref()?.kind.as_str())).collect();
        let feed = &mut self.feeds[index];
        if feed.freshness.note(&feed.source, types.len(), now) {
            feed.forget_etag();
        }
        let kind = feed.source.kind();
        let of_kind = self.freshness.note(&feed.source, types.into_iter(), now);
        let stale = self.feeds.iter().filter(|feed| feed.source.kind() == kind && feed.freshness.is_stale());
        report::freshness_of_kind(kind, of_kind, stale.count());
    }

    /// Publishes and waits for every confirm. Gives the number of messages that RabbitMQ finds too large. They are left out,
    /// because retries would block all later polls.
    async fn publish(
        &mut self,
        index: usize,
        elements: Vec<Element>,
        poll: &Span,
    ) -> Result<usize, PublishError> {
        let source = &self.feeds[index].source;
        let to_exchange = |kind| Route::Event { kind };
        let message =
            |element: Element| Outgoing::event(&self.broker, to_exchange, element.event, element.body);
        let mut messages: Vec<_> = elements.into_iter().map(message).collect();
        let _span = self.broker.begin_publish(Some(poll), &mut messages);
        let mut too_large = self.publisher.publish_all(&messages, &self.shutdown).await?;
        // While another load queue is bound, RabbitMQ returns no event that the deleted one did not get.
        while !messages.is_empty() && !self.publisher.look_for_load_queue(&self.shutdown).await? {
            too_large = self.publisher.publish_all(&messages, &self.shutdown).await?;
        }
        for error in &too_large {
            tracing::error!(source = %source, "{source}: {error}; the event is left out, GH Archive will have it");
        }
        let is_left_out = |message: &Outgoing| too_large.iter().any(|one| std::ptr::eq(one.message, message));
        self.keeper.copy(messages.iter().filter(|message| !is_left_out(message)));
        Ok(too_large.len())
    }

    fn schedule(&mut self, index: usize, end: &PollEnd) {
        let now = Instant::now();
        let source = &self.feeds[index].source;
        let token = self.tokens.token_of(source);
        let of_token = self.feeds.iter().filter(|feed| self.tokens.token_of(&feed.source) == token);
        let pace = self.tokens.pace(source, of_token.map(Feed::requests).sum(), now);
        let asked = self.feeds[index].interval;
        let interval = self.poll_interval.unwrap_or_else(|| asked.max(pace));
        if interval < asked && !self.has_warned_of_interval {
            self.has_warned_of_interval = true;
            tracing::warn!(
                "--poll-interval {} is below the {} that GitHub asks for; it may limit or block us",
                Rounded(interval),
                Rounded(asked)
            );
        }
        let mut others = self.feeds.iter().enumerate().filter(|(other, _)| *other != index);
        let others_answer = others.any(|(_, feed)| feed.trouble.is_over());
        self.feeds[index].schedule(end, interval, others_answer, now);
    }

    /// How long until `feed` is polled, by the current limits.
    fn until_polled(&self, feed: &Feed, now: Instant) -> Duration {
        let closed = self.tokens.closed_for(&feed.source, now).unwrap_or_default();
        feed.due.saturating_duration_since(now).max(closed)
    }

    fn tell(&mut self, index: usize, end: &PollEnd, counts: Counts, gaps: &[FeedGap], took: Duration) {
        let (now, now_utc) = (Instant::now(), chrono::Utc::now());
        let next_poll_in = self.until_polled(&self.feeds[index], now);
        let news = self.feeds[index].trouble.note(end, next_poll_in, now);
        let feed = &self.feeds[index];
        report::tell_news(&feed.source, news);
        let closed_for = self.budget.closed_for(now).unwrap_or_default();
        listing::tell(self.figures.sources(), &self.feeds, feed, counts.published, closed_for);
        let of_kind = |other: &&Feed| other.source.kind() == feed.source.kind();
        let of_kind = self.feeds.iter().filter(of_kind);
        if let Some(newest) = of_kind.clone().filter_map(|feed| feed.memory.newest()).max() {
            report::newest_of_kind(feed.source.kind(), newest);
        }
        let of_kind = of_kind.map(|feed| feed.coverage);
        report::coverage_of_kind(feed.source.kind(), Coverage::ratio_of_all(of_kind, now_utc));
        let coverage = Coverage::ratio_of_all(self.feeds.iter().map(|feed| feed.coverage), now_utc);
        report::overall_coverage(coverage);
        let quota = self.tokens.quota(now);
        let quota = Quota {
            left: quota.remaining,
            limit: quota.limit,
            resets_at: quota.resets_in.map(|wait| now_utc + wait),
        };
        report::tokens(self.tokens.reports(now));
        self.figures.polled(PollFigures {
            events_new: counts.published as u64,
            gaps: gaps.len() as u64,
            gap_seconds: gaps.iter().map(FeedGap::seconds).sum(),
            coverage,
            quota_remaining: quota.left,
            quota_limit: quota.limit,
            quota_resets_at: quota.resets_at,
        });
        Report {
            source: &feed.source,
            end,
            counts,
            gaps,
            quota,
            coverage: feed.coverage.ratio(now_utc),
            took,
            next_poll_in,
            is_for_all: self.tokens.all_closed_for(now).is_some(),
        }
        .tell();
    }
}

/// The sources without repetitions: polling one twice would only use up requests.
fn distinct(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources
        .iter()
        .enumerate()
        .filter(|(index, source)| !sources[..*index].contains(source))
        .map(|(_, source)| source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_given_twice_is_polled_once_in_its_first_place() {
        let sources: Vec<Source> = ["orgs/x", "events", "orgs/x"].map(|text| text.parse().unwrap()).into();
        assert_eq!(distinct(&sources).map(Source::to_string).collect::<Vec<_>>(), ["orgs/x", "events"]);
    }
}
