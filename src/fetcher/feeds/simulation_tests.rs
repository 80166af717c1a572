//! A simulation of days of polling in seconds: thousands of repositories and a quota, with the fetcher's own feeds, walks, memory,
//! budget and schedule. Only GitHub's answers and the clock are made here.
//!
//! `cargo test --lib simulation -- --nocapture` prints the tables of docs/SOURCES.md.

mod world_tests;

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::super::feed::asking::Asking;
use super::super::feed::{Feed, PollEnd};
use super::super::fixture_tests as fixture;
use super::super::moment::Moment;
use super::super::schedule::PLAN_EVERY;
use super::{Done, Feeds};
use crate::github::{Answer, Client, Hints, Outcome, Page, Quota};
use world_tests::World;

/// What one token is given.
const TOKEN: u64 = 5000;
/// The time that a request takes.
const REQUEST: Duration = Duration::from_millis(150);
const HOUR_S: u32 = 3600;
const PAGE: usize = 100;
const KNOWN: usize = 3;
const VISIBLE: usize = 300;

/// Which feed is polled next.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Schedule,
    /// One after the other, at the pace of the quota.
    RoundRobin,
}

/// A run of the simulation.
struct Run {
    world: World,
    feeds: Feeds,
    client: Client,
    order: Order,
    started: Moment,
    /// Seconds since the start.
    now_s: f64,
    left: u64,
    hour: u32,
    /// Events published, by source: their numbers.
    seen: Vec<HashSet<usize>>,
    delays_s: Vec<f64>,
    gaps: Vec<Vec<(i64, i64)>>,
    counted: u64,
    not_modified: u64,
}

/// The figures of a run.
#[derive(Debug)]
struct Figures {
    events: usize,
    seen_percent: f64,
    p50_s: f64,
    p95_s: f64,
    counted_per_hour: u64,
    not_modified_per_hour: u64,
    /// Events that were missed and lie in no recorded gap.
    untold: usize,
}

impl Run {
    fn new(world: World, order: Order) -> Self {
        let (client, sources) = (fixture::client(), world.events.len());
        Self {
            feeds: fixture::feeds(sources, &client),
            client,
            order,
            started: Moment { instant: Instant::now(), utc: world.begins },
            now_s: 0.0,
            left: TOKEN,
            hour: 0,
            seen: vec![HashSet::new(); sources],
            delays_s: Vec::new(),
            gaps: vec![Vec::new(); sources],
            counted: 0,
            not_modified: 0,
            world,
        }
    }

    fn moment(&self) -> Moment {
        let passed = Duration::from_secs_f64(self.now_s);
        Moment {
            instant: self.started.instant + passed,
            utc: self.started.utc + TimeDelta::from_std(passed).unwrap(),
        }
    }

    fn run(mut self, hours: u32) -> Figures {
        while self.now_s < f64::from(hours * HOUR_S) {
            let now = self.moment().instant;
            let (index, due) = match self.order {
                Order::Schedule => self.feeds.next(now).unwrap(),
                Order::RoundRobin => {
                    let (index, feed) =
                        self.feeds.all.iter().enumerate().min_by_key(|(_, feed)| feed.due).unwrap();
                    (index, feed.due.max(now + self.feeds.tokens.all_closed_for(now).unwrap_or_default()))
                }
            };
            // The plan is looked at every few seconds.
            let wait = due.saturating_duration_since(now);
            if self.order == Order::Schedule && wait > PLAN_EVERY {
                self.now_s += PLAN_EVERY.as_secs_f64();
                continue;
            }
            self.now_s += wait.as_secs_f64();
            self.poll(index);
        }
        self.figures(hours)
    }

    fn poll(&mut self, index: usize) {
        let began = self.moment();
        let answered_before = self.feeds.all[index].answered();
        let Feeds { all, tokens, .. } = &mut self.feeds;
        let mut request = all[index].first_request(tokens, began.instant);
        let mut walk = all[index].begin_walk(tokens, began.instant);
        let mut page = 0;
        let end = loop {
            self.now_s += REQUEST.as_secs_f64();
            let answer = self.answer(index, page, request.etag.take());
            let now = self.moment();
            let Feeds { all, tokens, .. } = &mut self.feeds;
            match all[index].take(&mut walk, request, answer, tokens, now) {
                Asking::Next(next) => (page, request) = (page + 1, next),
                Asking::Over(end) => break end,
            }
        };
        let now = self.moment();
        let feed = &mut self.feeds.all[index];
        let gaps = if end == PollEnd::Whole { feed.gaps(&walk, now.utc) } else { Vec::new() };
        let (seen, swept) = (walk.seen(), walk.sweeps());
        let found = walk.into_found();
        for event in found.elements.iter().filter_map(|element| element.event.as_ref()) {
            let number = event.id.parse().unwrap();
            self.seen[index].insert(number);
            if event.created >= self.started.utc {
                self.delays_s.push((now.utc - event.created).as_seconds_f64());
            }
        }
        self.gaps[index].extend(gaps.iter().map(|gap| (gap.from.timestamp(), gap.to.timestamp())));
        feed.remember(found, &end, &gaps);
        let requests_took = now.instant - began.instant;
        self.feeds.polled(
            index,
            &Done { end: &end, seen: &seen, gaps: &gaps, answered_before, swept, requests_took },
            now,
        );
        if self.order == Order::RoundRobin {
            let round = self.feeds.all.iter().map(Feed::requests).sum();
            let pace = self
                .feeds
                .tokens
                .pace(&self.feeds.all[index].source, round, now.instant)
                .max(self.feeds.all[index].interval);
            let feed = &mut self.feeds.all[index];
            feed.follows_plan = false;
            feed.due = if end.fault().is_none() { feed.answered() + pace } else { feed.due };
        }
    }

    /// GitHub's answer to a request for a page of a repository's feed.
    fn answer(&mut self, index: usize, page: usize, etag: Option<String>) -> Answer {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few days")]
        let second = self.now_s as u32;
        if second / HOUR_S != self.hour {
            (self.hour, self.left) = (second / HOUR_S, TOKEN);
        }
        let resets_in = Duration::from_secs(u64::from(HOUR_S - second % HOUR_S));
        let happened = self.world.happened(index, self.now_s);
        let current = format!("\"{happened}\"");
        let outcome = if self.left == 0 {
            Outcome::Limited { status: 403, wait: Some(resets_in) }
        } else if page == 0 && etag.as_ref() == Some(&current) {
            self.not_modified += 1;
            Outcome::NotModified
        } else {
            self.left -= 1;
            self.counted += 1;
            Outcome::Page(self.page(index, happened, page, current))
        };
        let quota = Some(Quota { remaining: self.left, limit: Some(TOKEN), resets_in });
        Answer { outcome, hints: Hints { quota, ..Hints::default() }, moved_to: None }
    }

    fn page(&self, index: usize, happened: usize, page: usize, etag: String) -> Page {
        let (newest, oldest) =
            (happened.saturating_sub(page * PAGE), happened.saturating_sub((page + 1) * PAGE));
        let body = |number: usize| {
            let created = self.world.time(self.world.events[index][number]).format("%Y-%m-%dT%H:%M:%SZ");
            format!(r#"{{"id":"{number}","type":"PushEvent","created_at":"{created}"}}"#).into_bytes()
        };
        // What follows on a few known events is not read, so it need not be made.
        let known = (oldest..newest).rev().filter(|number| self.seen[index].contains(number)).nth(KNOWN);
        let oldest_made = known.unwrap_or(oldest);
        let elements = (oldest_made..newest).rev().map(body).collect();
        let is_last = oldest_made == oldest && (oldest == 0 || (page + 1) * PAGE >= VISIBLE);
        let next = (!is_last).then(|| self.client.first_page(&"events".parse().unwrap()));
        Page { elements, etag: Some(etag), next }
    }

    fn figures(mut self, hours: u32) -> Figures {
        // The events of the last hour may still be read.
        let until_s = f64::from((hours - 1) * HOUR_S);
        let (mut events, mut missed, mut untold) = (0, 0, 0);
        for (index, all) in self.world.events.iter().enumerate() {
            for (number, created) in all.iter().enumerate() {
                if !(0.0..until_s).contains(&f64::from(*created)) {
                    continue;
                }
                events += 1;
                if self.seen[index].contains(&number) {
                    continue;
                }
                missed += 1;
                let second = self.world.time(*created).timestamp();
                let is_told = self.gaps[index].iter().any(|(from, to)| (*from..=*to).contains(&second));
                untold += usize::from(!is_told);
            }
        }
        self.delays_s.sort_by(f64::total_cmp);
        let quantile = |part: usize| self.delays_s[self.delays_s.len() * part / 100];
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let seen_percent = 100.0 * (events - missed) as f64 / events as f64;
        Figures {
            events,
            seen_percent,
            p50_s: quantile(50),
            p95_s: quantile(95),
            counted_per_hour: self.counted / u64::from(hours),
            not_modified_per_hour: self.not_modified / u64::from(hours),
            untold,
        }
    }
}

fn table_head() {
    println!(
        "| repositories | order | events | seen | p50 | p95 | requests an hour | 304 an hour |\n|---|---|---|---|---|---|---|---|"
    );
}

fn run(repositories: usize, order: Order, hours: u32) -> Figures {
    let figures = Run::new(World::new(repositories, hours, 7), order).run(hours);
    let name = if order == Order::Schedule { "schedule" } else { "round robin" };
    println!(
        "| {repositories} | {name} | {} | {:.2} % | {:.0} s | {:.0} s | {} | {} |",
        figures.events,
        figures.seen_percent,
        figures.p50_s,
        figures.p95_s,
        figures.counted_per_hour,
        figures.not_modified_per_hour
    );
    figures
}

#[test]
fn one_token_sees_nearly_all_events_of_a_thousand_repositories_and_round_robin_does_not() {
    table_head();
    let schedule = run(1000, Order::Schedule, 4);
    let round_robin = run(1000, Order::RoundRobin, 4);
    assert!(schedule.seen_percent >= 99.0 && schedule.untold == 0, "{schedule:?}");
    assert!(schedule.seen_percent >= round_robin.seen_percent, "{round_robin:?}");
    assert!(schedule.p50_s < round_robin.p50_s / 2.0 && schedule.p95_s < round_robin.p95_s / 2.0);
    assert!(schedule.counted_per_hour <= TOKEN, "{schedule:?}");
}

/// The tables of docs/SOURCES.md, which take minutes without optimisation.
#[test]
#[ignore = "only for the document: cargo test --lib --config 'profile.dev.package.github-event-etl.opt-level=2' tables -- --ignored --nocapture"]
fn tables_of_the_document() {
    table_head();
    for repositories in [1000, 2000] {
        run(repositories, Order::Schedule, 24);
        run(repositories, Order::RoundRobin, 24);
    }
    for repositories in [4000, 8000, 16_000] {
        run(repositories, Order::Schedule, 12);
    }
}
