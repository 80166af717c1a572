//! The loop over the sources, and one poll: request, publish, remember.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::coverage::{Coverage, FeedGap};
use super::duty::Turn;
use super::feed::{Feed, PollEnd};
use super::feeds::{Done, Feeds};
use super::keeper::Keeper;
use super::listing;
use super::moment::Moment;
use super::report::{self, Counts, Quota, Report};
use super::schedule::PLAN_EVERY;
use super::sources::{Listed, Sources};
use super::summary::Summary;
use super::walk::Element;
use crate::broker::{Broker, BrokerError, Outgoing, Part, PublishError, Publisher, Route};
use crate::config::{FetchArgs, UsageError};
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
    sources: Sources,
    feeds: Feeds,
    summary: Summary,
    figures: Arc<FetcherFigures>,
    sweep_every: Duration,
    /// The user's own interval, in place of GitHub's.
    poll_interval: Option<Duration>,
    has_warned_of_interval: bool,
    shutdown: CancellationToken,
}

impl Poller {
    /// A poller that has not asked anyone anything yet; every source is due.
    ///
    /// # Errors
    /// [`UsageError`] when the sources file cannot be read.
    pub(super) async fn new(
        args: &FetchArgs,
        client: Client,
        broker: Broker,
        board: &Board,
        shutdown: CancellationToken,
    ) -> Result<Self, UsageError> {
        let (sources, wanted) = Sources::open(&args.sources(), args.sources_file.as_deref()).await?;
        let mut poller = Self {
            sources,
            summary: Summary::new(Instant::now()),
            feeds: Feeds::new(client.tokens(), args.poll_interval, args.sweep_every),
            sweep_every: args.sweep_every,
            publisher: broker.publisher(PARTS, board.health(), true),
            keeper: Keeper::new(&broker, board),
            figures: board.fetcher(),
            client,
            broker,
            poll_interval: args.poll_interval,
            has_warned_of_interval: false,
            shutdown,
        };
        poller.change_sources(wanted);
        Ok(poller)
    }

    /// Polls these sources from now on. Those that stay keep what is known of them.
    fn change_sources(&mut self, wanted: Vec<Listed>) {
        let mut before: HashMap<_, _> =
            self.feeds.all.drain(..).map(|feed| (feed.source.to_string(), feed)).collect();
        let stay_or_begin = |listed: Listed| {
            let known = before.remove(&listed.source.to_string());
            let mut feed = known.unwrap_or_else(|| {
                let mut feed = Feed::new(listed.source, &self.client, self.sweep_every);
                self.keeper.recall(&mut feed);
                feed
            });
            feed.weight = listed.weight;
            feed
        };
        self.feeds.all = wanted.into_iter().map(stay_or_begin).collect();
        before.values().for_each(|feed| self.feeds.tokens.forget(&feed.source));
        self.keeper.leave(before.into_values());
        self.feeds.changed();
    }

    /// Looks whether the sources file has changed.
    async fn look_at_sources(&mut self) {
        let Some(wanted) = self.sources.look().await else { return };
        let before: HashSet<_> = self.feeds.all.iter().map(|feed| feed.source.clone()).collect();
        let stay = wanted.iter().filter(|listed| before.contains(&listed.source)).count();
        let (added, left) = (wanted.len() - stay, before.len() - stay);
        tracing::info!(
            added,
            left,
            stay,
            "the sources file has changed: {added} sources are new, {left} are not polled any more, {stay} stay"
        );
        self.change_sources(wanted);
        listing::tell_all(self.figures.sources(), &self.feeds);
        self.keeper.has_news();
    }

    /// Polls the sources as they become due, whenever this fetcher is on duty.
    pub(super) async fn poll_for_ever(&mut self) -> Result<Infallible, PublishError> {
        self.publisher.open(&self.shutdown).await?;
        loop {
            // Without a limit it waits until it is on duty.
            let _ = self.keeper.begin(&mut self.feeds, None, &self.shutdown).await?;
            listing::tell_all(self.figures.sources(), &self.feeds);
            let error = self.poll_on_duty().await?;
            self.keeper.lose(error);
        }
    }

    /// Polls the sources as they become due, until this fetcher loses its duty.
    async fn poll_on_duty(&mut self) -> Result<BrokerError, PublishError> {
        loop {
            self.look_at_sources().await;
            let now = Instant::now();
            let next = self.feeds.next(now);
            let until = next.map_or(now + PLAN_EVERY, |(_, due)| due.min(now + PLAN_EVERY));
            let until = self.sources.look_at().map_or(until, |look_at| until.min(look_at));
            let waiting = tokio::select! {
                kept = self.keeper.keep_until(until, &mut self.feeds.all) => kept,
                () = self.shutdown.cancelled() => return Err(retry::Interrupted.into()),
            };
            if let Err(error) = waiting {
                return Ok(error);
            }
            if let Some((index, _)) = next.filter(|(_, due)| *due <= until) {
                self.poll(index).await?;
            }
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
        for index in 0..self.feeds.all.len() {
            self.feeds.plan_if_old(Instant::now());
            let end = self.poll(index).await?;
            if let Some(fault) = end.fault() {
                faults.push(format!("{}: {fault}", self.feeds.all[index].source));
            }
            if let Some(wait) = self.feeds.tokens.all_closed_for(Instant::now()) {
                let left_out = self.feeds.all.len() - index - 1;
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
        self.keeper.close(&mut self.feeds.all).await;
        self.publisher.close().await;
    }

    /// Polls one source: reads its pages and publishes new events. Remembers them after all are confirmed.
    async fn poll(&mut self, index: usize) -> Result<PollEnd, PublishError> {
        // No poll while RabbitMQ cannot take its events.
        self.publisher.look_for_load_queue(&self.shutdown).await?;
        let started = Instant::now();
        let Feeds { all, tokens, .. } = &mut self.feeds;
        let feed = &mut all[index];
        let answered_before = feed.answered();
        let mut span = Span::root("poll", Kind::Internal);
        span.say("github_etl.source", &feed.source);
        let mut fetch = span.child("fetch", Kind::Client);
        let (walk, end) = feed.walk(&self.client, tokens, &self.shutdown).await?;
        fetch.say("github_etl.outcome", end.label());
        fetch.count("github_etl.pages", walk.pages as usize);
        if let Some(fault) = end.fault() {
            fetch.fail(fault);
        }
        drop(fetch);
        let requests_took = started.elapsed();
        let gaps = if end == PollEnd::Whole { feed.gaps(&walk, chrono::Utc::now()) } else { Vec::new() };
        let mut counts = Counts::of(&walk);
        let (seen, swept) = (walk.seen(), walk.sweeps());
        let mut found = walk.into_found();
        let elements = std::mem::take(&mut found.elements);
        if matches!(end, PollEnd::Whole | PollEnd::NotModified) {
            self.watch_freshness(index, &elements);
        }
        counts.leave_out(self.publish(index, elements, &span).await?);
        // GH Archive has the missed events under the name that their repository had by then.
        let feed = &self.feeds.all[index];
        let source = feed.address.renamed_to().unwrap_or(&feed.source);
        self.keeper.record(gaps.iter().map(|gap| gap.record(source, chrono::Utc::now())));
        self.keeper.settle().await;
        self.feeds.all[index].remember(found, &end, &gaps);
        self.keeper.has_news();
        let took = started.elapsed();
        let done = Done { end: &end, seen: &seen, gaps: &gaps, answered_before, swept, requests_took };
        self.feeds.polled(index, &done, Moment::now());
        self.warn_of_interval(index);
        self.tell(index, &end, counts, &gaps, took);
        Ok(end)
    }

    /// Judges by a good poll with these new elements whether what GitHub shows is fresh and whole.
    fn watch_freshness(&mut self, index: usize, elements: &[Element]) {
        let types: Vec<_> =
            elements.iter().filter_map(|element| Some(element.event.as_ref()?.kind.as_str())).collect();
        let of_kind = self.feeds.judge_freshness(index, &types, Instant::now());
        report::freshness_of_kind(self.feeds.all[index].source.kind(), of_kind);
    }

    /// Publishes and waits for every confirm. Gives the number of messages that RabbitMQ finds too large. They are left out,
    /// because retries would block all later polls.
    async fn publish(
        &mut self,
        index: usize,
        elements: Vec<Element>,
        poll: &Span,
    ) -> Result<usize, PublishError> {
        let source = &self.feeds.all[index].source;
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

    fn warn_of_interval(&mut self, index: usize) {
        let asked = self.feeds.all[index].interval;
        let interval = self.poll_interval.unwrap_or(asked);
        if interval < asked && !self.has_warned_of_interval {
            self.has_warned_of_interval = true;
            tracing::warn!(
                "--poll-interval {} is below the {} that GitHub asks for; it may limit or block us",
                Rounded(interval),
                Rounded(asked)
            );
        }
    }

    fn tell(&mut self, index: usize, end: &PollEnd, counts: Counts, gaps: &[FeedGap], took: Duration) {
        let (now, now_utc) = (Instant::now(), chrono::Utc::now());
        let next_poll_in = self.feeds.until_polled(index, now);
        let news = self.feeds.all[index].trouble.note(end, next_poll_in, now);
        let feed = &self.feeds.all[index];
        let sources = self.feeds.all.len();
        self.summary.tell_news(&feed.source, news, sources);
        let forecast = self.feeds.forecast();
        self.summary.polled(end, counts, gaps.len(), sources, forecast, now);
        report::expected_loss(forecast.map_or(0.0, |forecast| forecast.lost));
        listing::tell(self.figures.sources(), &self.feeds, index, counts.published, forecast);
        let of_kind = |other: &&Feed| other.source.kind() == feed.source.kind();
        let of_kind = self.feeds.all.iter().filter(of_kind);
        if let Some(newest) = of_kind.clone().filter_map(|feed| feed.memory.newest()).max() {
            report::newest_of_kind(feed.source.kind(), newest);
        }
        let of_kind = of_kind.map(|feed| feed.known_coverage(now_utc));
        report::coverage_of_kind(feed.source.kind(), Coverage::ratio_of_all(of_kind, now_utc));
        let all = self.feeds.all.iter().map(|feed| feed.known_coverage(now_utc));
        let coverage = Coverage::ratio_of_all(all, now_utc);
        report::overall_coverage(coverage);
        let quota = self.feeds.tokens.quota(now);
        let quota = Quota {
            left: quota.remaining,
            limit: quota.limit,
            resets_at: quota.resets_in.map(|wait| now_utc + wait),
        };
        report::tokens(self.feeds.tokens.reports(now));
        self.figures.polled(PollFigures {
            events_new: counts.published as u64,
            gaps: gaps.len() as u64,
            gap_seconds: gaps.iter().map(FeedGap::seconds).sum(),
            coverage,
            expected_loss: forecast.map(|forecast| forecast.lost),
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
            coverage: feed.known_coverage(now_utc).ratio(now_utc),
            took,
            next_poll_in,
            is_one_of_many: Summary::is_for(sources),
            is_for_all: self.feeds.tokens.all_closed_for(now).is_some(),
        }
        .tell();
    }
}
