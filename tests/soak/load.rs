//! A steady load that survives the faults, and a model that knows all of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use github_event_etl::broker::{Broker, Envelope, Names, Outgoing, Part, Publisher, Route};
use github_event_etl::config::AmqpUrl;
use github_event_etl::health::Health;
use github_event_etl_simulator::Generator;
use rand::rngs::Xoshiro256PlusPlus as Rng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::support::oracle::Oracle;
use crate::support::wait::block_on;
use crate::world::{NAMESPACE, World};

const EVENTS_PER_SECOND: u64 = 200;
const TICK: Duration = Duration::from_millis(100);
/// Events that may come again, as from a fetcher that was killed before it remembered.
const RECENT_MAX: usize = 2_000;
/// After healing, what is still to be published must be confirmed within this time.
const FINISH_MAX: Duration = Duration::from_secs(120);

/// Publishes in a thread of its own until it is finished.
pub struct Load {
    stopping: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
    thread: JoinHandle<()>,
}

/// All that was published.
#[derive(Clone)]
pub struct Model {
    pub oracle: Oracle,
    /// Messages published, an event that came twice counted twice.
    pub published: u64,
}

/// What tells an event from all others.
#[derive(Clone, Debug)]
pub struct EventName {
    pub id: String,
    pub created_at: String,
}

struct State {
    model: Model,
    /// An event that is confirmed, and when its publish began.
    newest: Option<(EventName, Instant)>,
}

impl Load {
    pub fn start(seed: u64, world: &World) -> Self {
        let model = Model { oracle: Oracle::new(), published: 0 };
        let state = Arc::new(Mutex::new(State { model, newest: None }));
        let stopping = Arc::new(AtomicBool::new(false));
        let source = Source::new(seed);
        let publisher = publisher(&world.rabbitmq.url());
        let thread = std::thread::spawn({
            let (state, stopping) = (Arc::clone(&state), Arc::clone(&stopping));
            move || block_on(publish_steadily(source, publisher, &state, &stopping))
        });
        Self { stopping, state, thread }
    }

    /// An event that was published after `time` and confirmed.
    pub fn confirmed_since(&self, time: Instant) -> Option<EventName> {
        let state = self.state.lock().unwrap();
        state.newest.as_ref().filter(|(_, began)| *began >= time).map(|(name, _)| name.clone())
    }

    /// Messages published and different events among them, so far.
    pub fn so_far(&self) -> (u64, usize) {
        let state = self.state.lock().unwrap();
        (state.model.published, state.model.oracle.distinct())
    }

    /// Ends it when all that was begun is confirmed.
    pub fn finish(self) -> Model {
        self.stopping.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + FINISH_MAX;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "not confirmed within {FINISH_MAX:?} of the last fault");
            std::thread::sleep(TICK);
        }
        self.thread.join().unwrap();
        self.state.lock().unwrap().model.clone()
    }
}

/// A publisher as the programs have it, which retries until all is confirmed.
pub fn publisher(amqp_url: &str) -> Publisher {
    let url = AmqpUrl::parse(&amqp_url.to_owned().into()).unwrap();
    let names = Names::new(&NAMESPACE.parse().unwrap(), "load");
    Broker::new(&url, names, "soak").unwrap().publisher(
        &[Part::Exchange, Part::LoadQueue],
        &Health::default(),
        true,
    )
}

/// An event on its way to the exchange.
pub fn outgoing(body: Vec<u8>) -> Outgoing {
    Outgoing { route: Route::Event { kind: "PushEvent".into() }, body, envelope: Envelope::json("soak") }
}

async fn publish_steadily(
    mut source: Source,
    mut publisher: Publisher,
    state: &Mutex<State>,
    stopping: &AtomicBool,
) {
    // What was missed while RabbitMQ was away comes at once when it is back, as from a real source.
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let never = CancellationToken::new();
    while !stopping.load(Ordering::SeqCst) {
        ticks.tick().await;
        let began = Instant::now();
        let bodies = source.next_tick();
        let messages: Vec<_> = bodies.iter().cloned().map(outgoing).collect();
        publisher.publish_all(&messages, &never).await.unwrap();
        let mut state = state.lock().unwrap();
        for body in &bodies {
            state.model.oracle.see(body);
            state.model.published += 1;
        }
        state.newest = bodies.first().map(|body| (EventName::of(body), began));
    }
    publisher.close().await;
}

/// Seeded events, some of which come again at once or later.
struct Source {
    generator: Generator,
    rng: Rng,
    recent: VecDeque<Vec<u8>>,
}

impl Source {
    fn new(seed: u64) -> Self {
        Self {
            generator: Generator::new(seed),
            rng: Rng::seed_from_u64(seed.wrapping_add(1)),
            recent: VecDeque::new(),
        }
    }

    /// New events, then some that were published before.
    fn next_tick(&mut self) -> Vec<Vec<u8>> {
        let count = EVENTS_PER_SECOND * u64::try_from(TICK.as_millis()).unwrap() / 1000;
        let mut bodies = Vec::new();
        for _ in 0..count {
            let body = self.generator.next_event(chrono::Utc::now()).into_bytes();
            let copies = if self.rng.random_bool(0.05) { self.rng.random_range(2..=3) } else { 1 };
            bodies.extend(std::iter::repeat_n(body.clone(), copies));
            self.recent.push_back(body);
        }
        for _ in 0..self.rng.random_range(0..3) {
            let which = self.rng.random_range(0..self.recent.len());
            bodies.push(self.recent[which].clone());
        }
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        bodies
    }
}

impl EventName {
    pub fn of(body: &[u8]) -> Self {
        let event: serde_json::Value = serde_json::from_slice(body).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        Self { id: text("id"), created_at: text("created_at") }
    }
}
