//! The shape of every fault run: load, fault, heal, wait until healthy, drain, compare with a clean run, load one event
//! more, compare again.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::corner::Corner;
use super::dump::{assert_same, mark_line};
use super::events::event;
use super::oracle::Oracle;
use super::program::Program;
use super::status::Status;
use super::wait::eventually;

/// Several loads and faults in one corner, with the loaders that work on them.
pub struct Run {
    loaders: Vec<Loader>,
    pub corner: Corner,
    seed: u64,
    pub random: Xoshiro256PlusPlus,
    /// All that was published or fetched and must stand in Redis.
    bodies: Vec<Vec<u8>>,
    /// What must be in the dead letters, each once or more.
    dead: Vec<Vec<u8>>,
    /// The servers' addresses as the loaders know them.
    amqp_url: String,
    redis_url: String,
}

/// A loader, and the address of its metrics and health.
struct Loader {
    program: Program,
    status: Status,
}

/// What the loaders of a run say they have done, added up.
#[derive(Debug, Default)]
pub struct Totals {
    pub loaded: usize,
    pub duplicates: usize,
    pub retried: usize,
}

/// Slow enough to be caught in the middle.
pub const SLOW: [&str; 6] = ["--prefetch", "40", "--batch-size", "1", "--concurrency", "1"];

/// The longest time in which nothing may be loaded while Redis gets another primary. Servers wait up to 3 s here before they act. A loader
/// waits at most 3 s for an answer, and then less than 4 s between attempts.
const OUTAGE_MAX: Duration = Duration::from_secs(20);
/// More than any fault here takes.
const BUSY_MAX: Duration = Duration::from_secs(120);

impl Run {
    /// A run on the shared servers.
    pub fn new(story: &str) -> Self {
        Self::of(Corner::new(story))
    }

    /// A run on other servers. `ETL_TEST_SEED` repeats one.
    pub fn of(corner: Corner) -> Self {
        let seed =
            std::env::var("ETL_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        Self {
            loaders: Vec::new(),
            seed,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            bodies: Vec::new(),
            dead: Vec::new(),
            amqp_url: corner.amqp_url.clone(),
            redis_url: corner.redis_url.clone(),
            corner,
        }
    }

    /// The loaders started from now on find RabbitMQ here.
    pub fn rabbitmq_at(mut self, url: String) -> Self {
        self.amqp_url = url;
        self
    }

    /// The loaders started from now on find Redis here.
    pub fn redis_at(mut self, url: String) -> Self {
        self.redis_url = url;
        self
    }

    /// Starts a loader.
    pub fn loader(&mut self, flags: &[&str]) -> &Program {
        let status = Status::new();
        let flags = [&["--stream-maxlen", "0", "--metrics-listen", &status.address], flags].concat();
        let program = self.corner.loader_at(&self.amqp_url, &self.redis_url, &flags);
        self.loaders.push(Loader { program, status });
        self.last()
    }

    /// The loader started last.
    pub fn last(&self) -> &Program {
        &self.loaders.last().expect("a loader was started").program
    }

    /// Where the loader started last tells its health.
    pub fn last_status(&self) -> &Status {
        &self.loaders.last().expect("a loader was started").status
    }

    /// Takes the loader started last out of the run.
    pub fn take_last(&mut self) -> Program {
        self.loaders.pop().expect("a loader was started").program
    }

    /// Kills one of the loaders, the seed says which.
    pub fn kill_one(&mut self) {
        let one = self.random.random_range(0..self.loaders.len());
        self.loaders.swap_remove(one).program.kill();
    }

    /// Makes events, some of them twice.
    pub fn events(&mut self, count: usize) -> Vec<Vec<u8>> {
        let kinds = ["PushEvent", "PullRequestEvent", "WatchEvent", "IssuesEvent"];
        let first = 5_000_000_000 + self.bodies.len();
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let random = &mut self.random;
            let (hour, second) = (random.random_range(10..13), random.random_range(0..3600));
            let time = format!("2015-01-01T{hour}:{:02}:{:02}Z", second / 60, second % 60);
            let login = format!("dev-{}", random.random_range(0..20));
            let kind = kinds[random.random_range(0..kinds.len())];
            let body = event(first + events.len()).kind(kind).at(&time).by(&login).bytes();
            let copies = if random.random_bool(0.05) { 2 } else { 1 };
            events.extend(vec![body; copies]);
        }
        events
    }

    /// Publishes that many events, all of which must be loaded in the end.
    pub fn publish(&mut self, count: usize) {
        let events = self.events(count);
        self.corner.publish(&events);
        self.expect(events);
    }

    /// Publishes that many events and starts a loader that is slow enough to be caught in the middle of them, as it is now.
    #[track_caller]
    pub fn begin(&mut self, count: usize, flags: &[&str]) -> &Program {
        self.publish(count);
        self.loader(&[&SLOW[..], flags].concat());
        self.wait_for_more(50);
        self.last()
    }

    /// Publishes all of it once more.
    pub fn publish_again(&mut self) {
        self.corner.publish(&self.bodies);
    }

    /// These reach the queue otherwise, and must be loaded in the end.
    pub fn expect(&mut self, events: Vec<Vec<u8>>) {
        self.bodies.extend(events);
    }

    /// Publishes what must end in the dead letters, no two the same.
    pub fn publish_dead(&mut self, bodies: Vec<Vec<u8>>) {
        self.corner.publish(&bodies);
        self.dead.extend(bodies);
    }

    /// Different events that must stand in Redis by now.
    pub fn distinct(&self) -> usize {
        Oracle::of(&self.bodies).distinct()
    }

    /// How many of the messages published so far are second copies.
    pub fn copies(&self) -> usize {
        self.bodies.len() - self.distinct()
    }

    /// Waits until `more` events are loaded than now, and asserts that this is not all: a fault must find work under way.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize) {
        let before = self.corner.loaded();
        eventually("some events are loaded", || self.corner.loaded() >= before + more);
        assert!(self.corner.loaded() < self.distinct(), "all was loaded before anything failed");
    }

    /// Waits until every loader says that it is ready.
    pub fn wait_until_ready(&self) {
        eventually("all loaders are ready", || self.loaders.iter().all(|loader| loader.status.is_ready()));
    }

    /// Waits until no loader says so.
    pub fn wait_until_unready(&self) {
        self.wait_until_unready_because("");
    }

    /// Waits until every loader says that it is not, with these words among its reasons.
    pub fn wait_until_unready_because(&self, words: &str) {
        let says = |loader: &Loader| loader.status.is_unready_because(words);
        eventually(&format!("all loaders wait because of '{words}'"), || self.loaders.iter().all(says));
    }

    /// Keeps the loader started last busy until `is_over` and until it has loaded some more after that. Gives the longest time
    /// in which it loaded nothing.
    #[track_caller]
    pub fn busy_until(&mut self, what: &str, mut is_over: impl FnMut() -> bool) -> Duration {
        let began = Instant::now();
        let (mut loaded, mut loaded_at, mut longest) = (self.loads_told(), began, Duration::ZERO);
        let mut enough = None;
        while enough.is_none_or(|enough| loaded < enough) {
            assert!(began.elapsed() < BUSY_MAX, "not within {} s: {what}", BUSY_MAX.as_secs());
            if self.corner.ready("load") < 50 {
                self.publish(50);
            }
            let now = self.loads_told();
            if now > loaded {
                longest = longest.max(loaded_at.elapsed());
                (loaded, loaded_at) = (now, Instant::now());
            }
            if enough.is_none() && is_over() {
                enough = Some(loaded + 100);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        longest
    }

    /// Keeps the loader started last busy until Redis has `another` primary, at this address, and some more. Gives the longest time in which
    /// it loaded nothing.
    #[track_caller]
    pub fn another_takes_over(&mut self, another: impl Fn() -> Option<String>) -> Duration {
        let outage = self.busy_until("another is the primary", || another().is_some());
        assert!(outage < OUTAGE_MAX, "nothing was loaded for {outage:?}");
        let address = another().expect("it still is");
        self.last().wait_for(&format!("Redis's primary is {address} now; it was"));
        outage
    }

    /// Events that the loader started last says it has loaded.
    fn loads_told(&self) -> u64 {
        let metrics = self.last_status().get("/metrics").unwrap();
        let name = r#"github_etl_loader_events_total{outcome="loaded"} "#;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Everything is mended: ends the loaders when the queue is empty, and gives how many of the events Redis does not have. Of those that
    /// it does not have, it has nothing; replaying the archive makes it whole.
    #[track_caller]
    pub fn loses_whole_events_and_a_replay_mends_it(&mut self) -> usize {
        self.wait_until_ready();
        self.corner.wait_until_ready("load", 0);
        for loader in self.loaders.drain(..) {
            loader.program.stop();
        }
        assert_eq!((self.corner.ready("load"), self.corner.ready("load.dead")), (0, 0));
        let held = self.corner.dump();
        let marks: HashSet<&str> = held.iter().filter_map(|line| line.strip_suffix(" (expires)")).collect();
        let is_held = |body: &&Vec<u8>| {
            let event: serde_json::Value = serde_json::from_slice(body).unwrap();
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            marks.contains(mark_line(&text("id"), &text("created_at")).as_str())
        };
        let lost: Vec<_> = self.bodies.iter().enumerate().filter(|(_, body)| !is_held(body)).collect();
        if let (Some((first, _)), Some((last, _))) = (lost.first(), lost.last()) {
            println!("lost are events {first} to {last} of {}", self.bodies.len());
        }
        let there: Vec<_> = self.bodies.iter().filter(is_held).cloned().collect();
        let there = Oracle::of(&there);
        assert_same("Redis after the loss", &held, &there.lines());
        // In the fetcher's place, which archives what it publishes.
        self.corner.archive(&self.bodies);
        let state = tempfile::tempdir().unwrap();
        self.corner.replay(state.path(), &["archive", "--since", "1h"]).succeed();
        self.corner.drain();
        assert_same("Redis after the replay", &self.corner.dump(), &Oracle::of(&self.bodies).lines());
        self.distinct() - there.distinct()
    }

    /// Everything is mended: waits until the loaders are ready and the queue is empty, compares with what a clean run leaves,
    /// and sees one event more go through.
    #[track_caller]
    pub fn recovers(&mut self) {
        self.wait_until_ready();
        self.drains();
        self.publish(1);
        self.drains();
    }

    /// Waits until all is loaded and the queue is empty, and compares with what a clean run leaves.
    #[track_caller]
    pub fn drains(&self) {
        let distinct = self.distinct();
        eventually("all events are loaded", || self.corner.loaded() >= distinct);
        self.corner.wait_until_ready("load", 0);
        assert_same("Redis", &self.corner.dump(), &Oracle::of(&self.bodies).lines());
    }

    /// [`Self::recovers`], then stops the loaders: each ends well, nothing is left unacked or waiting for a retry, and the
    /// dead letters are those expected and no others.
    #[track_caller]
    pub fn finish(&mut self) -> Totals {
        self.recovers();
        self.stop()
    }

    /// The second half of [`Self::finish`].
    #[track_caller]
    pub fn stop(&mut self) -> Totals {
        let wanted = self.dead.len();
        eventually(&format!("{wanted} dead letters"), || self.corner.ready("load.dead") as usize >= wanted);
        let mut totals = Totals::default();
        for loader in self.loaders.drain(..) {
            let ended = loader.program.stop();
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
            totals.add(&ended.stderr);
        }
        for queue in ["load".to_owned()].into_iter().chain(self.corner.retries("load")) {
            assert_eq!(self.corner.ready(&queue), 0, "{queue}");
        }
        let mut dead: Vec<_> = self.corner.take_all("load.dead").into_iter().map(|dead| dead.body).collect();
        dead.sort();
        // A loader that dies between a dead letter's confirm and its ack leaves another copy.
        dead.dedup();
        self.dead.sort();
        assert!(dead == self.dead, "{} dead letters, should be {}", dead.len(), self.dead.len());
        assert_same("Redis at the end", &self.corner.dump(), &Oracle::of(&self.bodies).lines());
        self.dead.clear();
        totals
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("to repeat the same load: ETL_TEST_SEED={}", self.seed);
        for (place, loader) in self.loaders.iter().enumerate() {
            let log = loader.program.stderr();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("loader {place} said last:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }
}

impl Totals {
    /// Adds what a loader said when it ended.
    fn add(&mut self, log: &str) {
        let (_, done) = log.rsplit_once("done: ").unwrap_or_else(|| panic!("no summary in\n{log}"));
        let counts: BTreeMap<_, _> = done.split(", ").filter_map(|part| part.split_once(' ')).collect();
        let count = |name| counts[name].parse::<usize>().unwrap();
        self.loaded += count("loaded");
        self.duplicates += count("duplicates");
        self.retried += count("retried");
    }
}
