//! Feeds that go stale or thin by the simulator's faults. Answers come by HTTP; the time that passes between two polls is made up.

use std::time::Duration;

use github_event_etl_simulator::{SimulateArgs, Simulator};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::feed::{Feed, PollEnd};
use super::super::fixture_tests as fixture;
use super::super::freshness::KindFreshness;
use super::Feeds;
use crate::config::Source;
use crate::github::Client;

/// The feed of all events, polled at a fixed interval.
struct Polling {
    feeds: Feeds,
    client: Client,
    now: Instant,
    every: Duration,
    _simulator: DropGuard,
}

impl Polling {
    /// `per_poll` events enter with each poll, and the page has a place for them beside known ones.
    async fn of(per_poll: u32, fault: &str, every: Duration) -> Self {
        let simulator = Simulator::new(SimulateArgs {
            per_poll: Some(per_poll),
            rate_limit: Some(1_000_000),
            faults: vec![fault.parse().unwrap()],
            ..SimulateArgs::default()
        });
        let (simulator, shutdown) = (simulator.unwrap(), CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = fixture::client_of(&format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn({
            let shutdown = shutdown.clone();
            async move { simulator.run(listener, shutdown).await }
        });
        let mut feeds = Feeds::new(0, None, Duration::from_secs(3600));
        feeds.all.push(Feed::new(Source::Events, &client, Duration::from_secs(3600)));
        feeds.changed();
        Self { feeds, client, now: Instant::now(), every, _simulator: shutdown.drop_guard() }
    }

    async fn poll(&mut self) -> (PollEnd, KindFreshness) {
        self.now += self.every;
        let Feeds { all, tokens, .. } = &mut self.feeds;
        let walked = all[0].walk(&self.client, tokens, &CancellationToken::new()).await;
        let Ok((walk, end)) = walked else { panic!("nobody stops the walk") };
        let found = walk.into_found();
        let events = found.elements.iter().filter_map(|element| element.event.as_ref());
        let types: Vec<_> = events.map(|event| event.kind.as_str()).collect();
        let of_kind = self.feeds.judge_freshness(0, &types, self.now);
        self.feeds.all[0].remember(found, &end, &[]);
        (end, of_kind)
    }

    fn has_etag(&mut self) -> bool {
        let Feeds { all, tokens, .. } = &mut self.feeds;
        all[0].first_request(tokens, Instant::now()).etag.is_some()
    }
}

#[tokio::test]
async fn a_feed_that_answers_304_whatever_is_new_is_told_and_asked_for_without_its_etag() {
    let mut polling = Polling::of(5, "not-modified:after=100,first=30", Duration::from_secs(60)).await;
    let (mut polls, mut silent_polls) = (0, 0);
    let silent = loop {
        let (end, of_kind) = polling.poll().await;
        polls += 1;
        assert!(polls < 130, "nothing was told");
        silent_polls += u32::from(end == PollEnd::NotModified);
        if of_kind.is_silent {
            break of_kind;
        }
        assert!(polling.has_etag());
    };
    assert_eq!(silent_polls, 10, "ten minutes are a long silence, if there was an event every minute");
    assert_eq!((silent.stale_sources, polling.has_etag()), (1, false));
    while polling.poll().await.0 == PollEnd::NotModified {}
    let (_, after) = polling.poll().await;
    assert_eq!(after, KindFreshness::default());
}

#[tokio::test]
async fn a_type_that_vanishes_from_the_feed_is_told_within_hours_and_its_return_too() {
    let every = Duration::from_secs(600);
    let mut polling = Polling::of(50, "without-type:type=PushEvent,after=160,first=60", every).await;
    let mut thin = Vec::new();
    for _ in 0..300 {
        thin.push(polling.poll().await.1.thin_types);
    }
    let told = thin.iter().position(|types| *types > 0).expect("nothing was told");
    let over = thin.iter().rposition(|types| *types > 0).unwrap();
    assert!((160..160 + 6 * 6).contains(&told), "told at poll {told}");
    assert!((160 + 60 - 3..160 + 60 + 6 * 6).contains(&over), "over at poll {over}");
    assert!(thin[told..=over].iter().all(|types| *types == 1), "{thin:?}");
}
