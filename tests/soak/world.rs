//! The servers and programs of a soak, and what is asked of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use github_event_etl_simulator::Generator;
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus as Rng;
use tokio_util::sync::CancellationToken;

use crate::faults::Fault;
use crate::interrupt;
use crate::load::{EventName, Load, Model, outgoing, publisher};
use crate::support::dump::{assert_same, dump};
use crate::support::event_log;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::process::peak_memory_mib;
use crate::support::program::Program;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::wait::block_on;

pub const NAMESPACE: &str = "soak";
const LOADERS: usize = 3;
/// The promise is 25 s on an idle machine; this one may be busy, and the slowest is in the report.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
const DRAIN_MAX: Duration = Duration::from_secs(300);
/// GitHub's events for each second of faults; polling can fetch twice as many.
const FETCHED_PER_SECOND: u64 = 10;
const FETCHER_FLAGS: [&str; 2] = ["--poll-interval", "500ms"];

pub struct World {
    pub rabbitmq: RabbitNode,
    pub redis: RedisServer,
    pub tally: Tally,
    loaders: Vec<Program>,
    fetcher: Option<Program>,
    pub github: GitHub,
    pub recording: Vec<Vec<u8>>,
    /// The layout of the event log: an odd seed has sets.
    event_log: &'static str,
}

/// What is known of programs that may be gone.
#[derive(Default)]
pub struct Tally {
    /// The most memory of each kind of program, in MiB.
    pub peaks_mib: BTreeMap<&'static str, f64>,
    /// Deliveries that changed nothing, as far as the loaders have said.
    pub duplicates: u64,
}

impl World {
    pub fn start(seed: u64, duration: Duration) -> Self {
        let rabbitmq = RabbitNode::start();
        // A killed process leaves what it wrote to the kernel, so this flush is enough here; a machine's death is no fault of ours.
        let redis = RedisServer::start(&["--appendfsync", "everysec"]);
        // The load has the same ids at other times, so every one of these events meets a reused id.
        let mut generator = Generator::new(seed);
        let hours_ago = chrono::Utc::now() - Duration::from_secs(3 * 3600);
        let count = FETCHED_PER_SECOND * duration.as_secs();
        let recording: Vec<_> = (0..count).map(|_| generator.next_event(hours_ago).into_bytes()).collect();
        let github = GitHub::recorded(&recording, &["--per-poll", "10"]);
        let tally = Tally::default();
        let event_log = event_log::LAYOUTS[(seed % 2) as usize];
        println!("seed {seed}: the event log is {event_log}");
        let mut world =
            Self { rabbitmq, redis, tally, loaders: Vec::new(), fetcher: None, github, recording, event_log };
        world.loaders = (0..LOADERS).map(|_| world.spawn("loader", &["--stream-maxlen", "0"])).collect();
        world.fetcher = Some(world.spawn("fetcher", &FETCHER_FLAGS));
        world
    }

    fn spawn(&self, program: &str, arguments: &[&str]) -> Program {
        self.spawn_in(NAMESPACE, &self.github, program, arguments)
    }

    /// Starts a program that uses other names, and reads from another GitHub.
    pub fn spawn_in(&self, namespace: &str, github: &GitHub, program: &str, arguments: &[&str]) -> Program {
        let (amqp_url, redis_url) = (self.rabbitmq.url(), self.redis.url());
        let variables = [
            ("AMQP_URL", amqp_url.as_str()),
            ("REDIS_URL", &redis_url),
            ("ETL_NAMESPACE", namespace),
            ("GITHUB_API_URL", &github.url),
            ("LOADER_EVENT_LOG", self.event_log),
        ];
        Program::start(program, &variables, arguments)
    }

    pub fn loader_pid(&self, rng: &mut Rng) -> u32 {
        self.loaders[rng.random_range(0..self.loaders.len())].pid()
    }

    /// Takes one loader, ends it by `end`, and starts another.
    pub fn replace_loader(&mut self, rng: &mut Rng, end: fn(&mut Self, Program)) {
        self.note_peaks();
        let loader = self.loaders.swap_remove(rng.random_range(0..self.loaders.len()));
        end(self, loader);
        let loader = self.spawn("loader", &["--stream-maxlen", "0"]);
        self.loaders.push(loader);
    }

    pub fn kill(&mut self, program: Program) {
        self.tally.heard(&program.stderr());
        program.kill();
    }

    pub fn terminate(&mut self, program: Program) {
        let ended = program.stop();
        self.tally.heard(&ended.stderr);
    }

    pub fn replace_fetcher(&mut self) {
        self.note_peaks();
        if let Some(fetcher) = self.fetcher.take() {
            self.kill(fetcher);
        }
        self.fetcher = Some(self.spawn("fetcher", &FETCHER_FLAGS));
    }

    /// Memory is read while a process lives.
    pub fn note_peaks(&mut self) {
        let loaders = self.loaders.iter().map(|loader| ("loader", loader.pid()));
        let fetcher = self.fetcher.iter().map(|fetcher| ("fetcher", fetcher.pid()));
        let servers = [("RabbitMQ", self.rabbitmq.pid()), ("Redis", self.redis.pid())];
        for (kind, pid) in loaders.chain(fetcher).chain(servers) {
            let peak = self.tally.peaks_mib.entry(kind).or_default();
            *peak = peak.max(peak_memory_mib(pid));
        }
    }

    /// Asks over a connection of its own, because faults break connections.
    pub fn ask_redis<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let (name, arguments) = command.split_first().unwrap();
        let answer = redis::cmd(name).arg(arguments).query(&mut self.redis_connection());
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    pub fn redis_connection(&self) -> redis::Connection {
        self.redis.connect()
    }

    /// Events loaded so far.
    pub fn loaded(&self) -> usize {
        self.ask_redis(&["XLEN", &format!("{NAMESPACE}:event-stream")])
    }

    /// It is in the event log: in the set of its second, or by a mark under its id or, where another event had that first, under
    /// its id and time.
    fn has_loaded(&self, EventName { id, created_at }: &EventName) -> bool {
        if self.event_log == "per-second" {
            return self.ask_redis(&["SISMEMBER", &format!("{NAMESPACE}:event-log:{created_at}"), id]);
        }
        let key = format!("{NAMESPACE}:event-log:{id}");
        let marks: Vec<Option<String>> = self.ask_redis(&["MGET", &key, &format!("{key}@{created_at}")]);
        marks.iter().flatten().any(|mark| mark.contains(created_at))
    }

    /// Waits until an event that was published after `healed` is loaded.
    pub fn wait_until_loading(&self, load: &Load, healed: Instant, fault: Fault) {
        let what = format!("a new event is loaded after {fault:?}");
        self.wait(&what, RECOVERY_MAX, || {
            load.confirmed_since(healed).is_some_and(|name| self.has_loaded(&name))
        });
    }

    /// Waits until the fetcher has stored all that GitHub showed, and adds it to the model.
    pub fn finish_fetching(&self, model: &mut Model) {
        let count = self.recording.len() as u64;
        self.wait("all is fetched", DRAIN_MAX, || self.github.served().events.fetched == count);
        // The next answer without news means that all before was confirmed.
        let before = self.github.served().with_status(304);
        self.wait("a 304 follows", RECOVERY_MAX, || self.github.served().with_status(304) > before);
        for body in &self.recording {
            model.oracle.see(body);
            model.published += 1;
        }
    }

    /// Waits until no queue holds anything, looking twice because a message may be on its way from one to another.
    pub fn wait_until_drained(&self) {
        let is_empty = || self.queues().iter().all(|(_, count)| *count == 0);
        self.wait("the queues are empty", DRAIN_MAX, || is_empty() && is_empty());
    }

    /// The programs that went through it all load a new event.
    pub fn probe(&self, model: &mut Model) {
        let body = event("the-probe").bytes();
        block_on(async {
            let mut publisher = publisher(&self.rabbitmq.url());
            publisher.publish_all(&[outgoing(body.clone())], &CancellationToken::new()).await.unwrap();
            publisher.close().await;
        });
        model.oracle.see(&body);
        model.published += 1;
        self.wait("the probe is loaded", RECOVERY_MAX, || self.has_loaded(&EventName::of(&body)));
    }

    /// Ends every program as a supervisor does.
    pub fn stop(&mut self) {
        self.note_peaks();
        for program in std::mem::take(&mut self.loaders).into_iter().chain(self.fetcher.take()) {
            self.terminate(program);
        }
    }

    /// Redis holds the model's events, each once; nothing waits anywhere.
    pub fn compare(&self, model: &Model) {
        assert_same("Redis", &dump(&mut self.redis_connection(), NAMESPACE), &model.oracle.lines());
        let queues = self.queues();
        for (name, count) in &queues {
            assert!(*count == 0, "{count} messages are left in {name}");
        }
        assert!(queues.len() > 5, "{queues:?}");
    }

    /// Every queue through which messages go, with its messages, those in hand included: neither the archive nor the fetcher's
    /// memory.
    fn queues(&self) -> Vec<(String, u64)> {
        let text = self.rabbitmq.ctl(&["list_queues", "--no-table-headers", "name", "messages"]);
        let rows = text.lines().filter_map(|line| line.split_once('\t'));
        let stays = |name: &str| name.ends_with(".archive") || name.ends_with(".fetcher");
        let rows = rows.filter(|(name, _)| !stays(name));
        rows.map(|(name, count)| (name.to_owned(), count.trim().parse().unwrap())).collect()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, time_max: Duration, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + time_max;
        while !condition() {
            interrupt::check();
            assert!(Instant::now() < deadline, "not within {time_max:?}: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The last lines of every program.
    fn logs(&self) -> String {
        let programs = self.loaders.iter().chain(&self.fetcher);
        let last = |log: String| log.lines().rev().take(12).collect::<Vec<_>>().join("\n");
        programs
            .map(|program| format!("{} (newest first):\n{}\n", program.pid(), last(program.stderr())))
            .collect()
    }
}

impl Tally {
    /// Adds what a program's last summary says.
    fn heard(&mut self, log: &str) {
        assert!(!log.contains("panicked"), "{log}");
        let summary = log.lines().rev().find(|line| line.contains("loaded ") && line.contains("duplicates "));
        let count = summary.and_then(|line| line.split_once(", duplicates ")?.1.split(',').next());
        self.duplicates += count.map_or(0, |count| count.parse::<u64>().unwrap());
    }
}
