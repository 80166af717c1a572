//! Loaders among the nodes of a cluster, and a steady load with publisher confirms that survives the faults.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use github_event_etl::broker::{Broker, Envelope, Names, Outgoing, Part, Route};
use github_event_etl::config::AmqpUrl;
use github_event_etl::health::Health;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::corner::{Corner, redis_url};
use super::events::event;
use super::rabbit_cluster::{LentCluster, RabbitCluster};
use super::rabbitmq::RabbitNode;
use super::run::Run;
use super::wait::{block_on, eventually, eventually_within};

/// 300 events a second.
const TICK: Duration = Duration::from_millis(100);
const EVENTS_A_TICK: usize = 30;
/// How soon events are loaded again, once a majority of the nodes is there.
pub const RECOVERY_MAX: Duration = Duration::from_secs(25);
/// Nodes that come back on a busy machine.
const BACK_MAX: Duration = Duration::from_secs(120);

/// A cluster with two loaders at work. Dropped in this order: the corner is cleared away on a cluster that is still there.
pub struct ClusterRun {
    load: Option<Load>,
    pub run: Run,
    pub cluster: LentCluster,
    story: &'static str,
}

/// Publishes in a thread of its own until it is finished.
struct Load {
    stopping: Arc<AtomicBool>,
    confirmed: Arc<Mutex<Confirmed>>,
    thread: JoinHandle<()>,
}

/// What RabbitMQ has confirmed.
#[derive(Default)]
struct Confirmed {
    bodies: Vec<Vec<u8>>,
    /// When the publish of the last of them began.
    newest: Option<Instant>,
}

impl ClusterRun {
    /// Declares everything while all nodes are up, and begins to publish and to load.
    pub fn begin(story: &'static str) -> Self {
        let cluster = RabbitCluster::lent();
        let corner = Corner::at(story, &cluster.nodes[0].url(), &redis_url());
        let load = Load::start(&cluster.url(), &corner.namespace);
        let mut run = Run::of(corner).rabbitmq_at(cluster.url());
        run.loader(&[]);
        run.loader(&[]);
        run.wait_until_ready();
        eventually("some events are loaded", || run.corner.loaded() >= 5 * EVENTS_A_TICK);
        Self { load: Some(load), run, cluster, story }
    }

    /// Waits until events are loaded whose publish begins now, and all that were confirmed before them. Prints how long that takes after
    /// `since`, when a majority of the nodes was there.
    #[track_caller]
    pub fn recovers(&self, what: &str, since: Instant) {
        let now = Instant::now();
        let load = self.load.as_ref().expect("it is taken at the end only");
        let mut confirmed = None;
        eventually_within(2 * RECOVERY_MAX, what, || {
            confirmed = confirmed.or_else(|| load.confirmed_since(now));
            confirmed.is_some_and(|count| self.run.corner.loaded() >= count)
        });
        let took = since.elapsed();
        eprintln!("{}: {what}: loading again after {:.1} s", self.story, took.as_secs_f64());
        assert!(took <= RECOVERY_MAX, "{what}: {took:?}");
    }

    /// Waits until two nodes listen. Gives that moment.
    #[track_caller]
    pub fn wait_for_majority(&self) -> Instant {
        let listening = || self.cluster.nodes.iter().filter(|node| node.listens()).count();
        eventually_within(BACK_MAX, "two nodes listen", || listening() >= 2);
        Instant::now()
    }

    /// Waits until all nodes are up, in the view of each.
    #[track_caller]
    pub fn wait_for_all(&self) {
        for node in &self.cluster.nodes {
            node.wait_until_up();
            node.ctl(&["await_online_nodes", "3"]);
        }
    }

    /// Stops publishing, and compares Redis with a model of all that was confirmed.
    #[track_caller]
    pub fn finish(mut self) {
        let load = self.load.take().expect("it is taken here only");
        let confirmed = load.finish();
        eprintln!("{}: {} events confirmed", self.story, confirmed.len());
        self.run.expect(confirmed);
        self.reconnect();
        self.run.finish();
    }

    /// Connects the corner to a node that is up.
    pub fn reconnect(&mut self) {
        self.run.corner.amqp_url = self.cluster.node_that_is_up().url();
        self.run.corner.reconnect();
    }
}

impl Load {
    fn start(amqp_url: &str, namespace: &str) -> Self {
        let url = AmqpUrl::parse(&amqp_url.to_owned().into()).unwrap();
        let broker = Broker::new(&url, Names::new(&namespace.parse().unwrap(), "load"), "test").unwrap();
        let confirmed = Arc::new(Mutex::new(Confirmed::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (confirmed, stopping) = (Arc::clone(&confirmed), Arc::clone(&stopping));
            move || block_on(publish_steadily(&broker, &confirmed, &stopping))
        });
        Self { stopping, confirmed, thread }
    }

    /// How many events are confirmed, if one of them was published after `time`.
    fn confirmed_since(&self, time: Instant) -> Option<usize> {
        let confirmed = self.confirmed.lock().unwrap();
        confirmed.newest.is_some_and(|began| began >= time).then_some(confirmed.bodies.len())
    }

    /// Ends it when all that was begun is confirmed, and gives it.
    fn finish(self) -> Vec<Vec<u8>> {
        self.stopping.store(true, Ordering::SeqCst);
        eventually("all is confirmed", || self.thread.is_finished());
        self.thread.join().unwrap();
        std::mem::take(&mut self.confirmed.lock().unwrap().bodies)
    }
}

/// A failed check must not leave the other thread at work, nor a node that the corner waits for when it is cleared away.
impl Drop for ClusterRun {
    fn drop(&mut self) {
        self.cluster.nodes.iter().for_each(RabbitNode::resume);
        if std::thread::panicking() {
            let node = self.cluster.node_that_is_up();
            let columns = ["name", "leader", "messages_ready", "messages_unacknowledged", "consumers"];
            eprintln!("{}", node.ctl(&[&["list_queues"], &columns[..]].concat()));
            eprintln!("{}", node.ctl(&["list_consumers"]));
        }
        if let Some(load) = &self.load {
            load.stopping.store(true, Ordering::SeqCst);
        }
    }
}

/// Publishes as a program does, which retries until all is confirmed. It is seldom early: what a fault has held up is not made up.
async fn publish_steadily(broker: &Broker, confirmed: &Mutex<Confirmed>, stopping: &AtomicBool) {
    let mut publisher = broker.publisher(&[Part::Exchange, Part::LoadQueue], &Health::default(), true);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let never = CancellationToken::new();
    let mut first = 7_000_000_000_usize;
    while !stopping.load(Ordering::SeqCst) {
        ticks.tick().await;
        let began = Instant::now();
        let bodies: Vec<_> = (first..first + EVENTS_A_TICK).map(|id| event(id).bytes()).collect();
        first += EVENTS_A_TICK;
        let outgoing = |body: &Vec<u8>| Outgoing {
            route: Route::Event { kind: "PushEvent".into() },
            body: body.clone(),
            envelope: Envelope::json("test"),
        };
        let messages: Vec<_> = bodies.iter().map(outgoing).collect();
        publisher.publish_all(&messages, &never).await.unwrap();
        let mut confirmed = confirmed.lock().unwrap();
        confirmed.bodies.extend(bodies);
        confirmed.newest = Some(began);
    }
    publisher.close().await;
}
