//! A test's own corner of the shared servers: a namespace that nobody else uses, gone when the test ends.

use std::path::Path;
use std::process::Stdio;

use github_event_etl::broker::{Broker, Names, Part};
use github_event_etl::config::AmqpUrl;
use github_event_etl::health::Health;
use lapin::BasicProperties;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio_util::sync::CancellationToken;

use super::amqp::{Amqp, Message, text};
use super::dump;
use super::primary;
use super::program::Program;
use super::rabbitmq::RabbitNode;
use super::wait::{DEADLINE, block_on, eventually};

/// What is said when the variables are missing.
const HINT: &str = "run `make test`, or `make servers` and export what it prints";

pub fn amqp_url() -> String {
    std::env::var("ETL_TEST_AMQP_URL").unwrap_or_else(|_| panic!("ETL_TEST_AMQP_URL is not set: {HINT}"))
}

pub fn redis_url() -> String {
    std::env::var("ETL_TEST_REDIS_URL").unwrap_or_else(|_| panic!("ETL_TEST_REDIS_URL is not set: {HINT}"))
}

/// A namespace of its own.
pub struct Corner {
    pub namespace: String,
    pub amqp_url: String,
    pub redis_url: String,
    amqp: Amqp,
    queues: Vec<String>,
}

impl Corner {
    /// A corner with its exchange and the load queue `load`.
    pub fn new(story: &str) -> Self {
        Self::with_queues(story, &["load"])
    }

    /// A corner with these load queues.
    pub fn with_queues(story: &str, queues: &[&str]) -> Self {
        let corner = Self::undeclared(story, queues);
        queues.iter().for_each(|queue| corner.declare(queue));
        corner
    }

    /// A corner of servers that are not the shared ones, with the load queue `load`.
    pub fn at(story: &str, amqp_url: &str, redis_url: &str) -> Self {
        Self::at_with_queues(story, amqp_url, redis_url, &["load"])
    }

    /// The same with these load queues.
    pub fn at_with_queues(story: &str, amqp_url: &str, redis_url: &str, queues: &[&str]) -> Self {
        let corner = Self::undeclared_at(story, queues, amqp_url.into(), redis_url.into());
        queues.iter().for_each(|queue| corner.declare(queue));
        corner
    }

    /// A corner in which nothing exists yet.
    pub fn undeclared(story: &str, queues: &[&str]) -> Self {
        Self::undeclared_at(story, queues, amqp_url(), redis_url())
    }

    /// The same on servers that are not the shared ones.
    pub fn undeclared_at(story: &str, queues: &[&str], amqp_url: String, redis_url: String) -> Self {
        let namespace = format!("test-{story}-{:08x}", rand::random::<u32>());
        // In a Redis Cluster, a namespace needs braces.
        let namespace =
            if redis_url.starts_with("redis-cluster") { format!("{{{namespace}}}") } else { namespace };
        let queues = queues.iter().map(ToString::to_string).collect();
        Self { namespace, amqp: Amqp::connect(&amqp_url), amqp_url, redis_url, queues }
    }

    /// A new connection of our own: RabbitMQ broke the last one, or does not listen to it because it has published.
    pub fn reconnect(&mut self) {
        self.amqp = Amqp::connect(&self.amqp_url);
    }

    /// Declares all that programs need, as they do.
    fn declare(&self, queue: &str) {
        const ALL: &[Part] =
            &[Part::Exchange, Part::LoadQueue, Part::Replay, Part::Archive, Part::Gaps, Part::Status];
        self.declare_parts(queue, ALL);
    }

    /// Declares some of it.
    pub fn declare_parts(&self, queue: &str, parts: &'static [Part]) {
        let url = AmqpUrl::parse(&self.amqp_url.clone().into()).unwrap();
        let names = Names::new(&self.namespace.parse().unwrap(), queue);
        let broker = Broker::new(&url, names, "test").unwrap();
        block_on(async {
            let mut publisher = broker.publisher(parts, &Health::default(), true);
            let shutdown = CancellationToken::new();
            let opened = tokio::time::timeout(DEADLINE, publisher.open(&shutdown)).await;
            opened.unwrap_or_else(|_| panic!("{parts:?} cannot be declared")).unwrap();
            publisher.close().await;
        });
    }

    /// Declares the exchange and the archive, bound to each other, as versions before 0.2 did.
    pub fn declare_bound_archive(&self) {
        let (exchange, archive) = (&self.namespace, self.queue("archive"));
        self.amqp.declare_exchange(exchange, &[("alternate-exchange", text(&self.queue("unrouted")))]);
        self.amqp.declare_queue(
            &archive,
            &[
                ("x-queue-type", text("stream")),
                ("x-max-age", text("7D")),
                ("x-max-length-bytes", AMQPValue::LongLongInt(20_000_000_000)),
                ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(100_000_000)),
            ],
        );
        self.amqp.bind(&archive, exchange, "#");
    }

    /// Breaks the archive for ever: a RabbitMQ that is killed right after the first declaration of its first stream never has the
    /// stream again. Declare quorum queues afterwards, because they do not survive such a kill, either.
    pub fn break_archive(&mut self, node: &mut RabbitNode) {
        self.declare_bound_archive();
        node.kill();
        node.restart();
        self.reconnect();
    }

    /// The full name of a queue, as in `corner.queue("load.dead")`.
    pub fn queue(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    /// The retry queues of a load queue, by their names below the namespace.
    pub fn retries(&self, load: &str) -> Vec<String> {
        let names = Names::new(&self.namespace.parse().unwrap(), load);
        let prefix = format!("{}.", self.namespace);
        names.retries().map(|(name, _)| name.strip_prefix(&prefix).unwrap().to_owned()).collect()
    }

    /// Removes, when the test ends, what belongs to a load queue that a program has declared.
    pub fn forget(&mut self, queue: &str) {
        self.queues.push(queue.to_owned());
    }

    /// Publishes bodies to the exchange as pushes, and waits until RabbitMQ has them.
    pub fn publish(&self, bodies: &[Vec<u8>]) {
        self.publish_with(&properties("m"), bodies);
    }

    pub fn publish_with(&self, properties: &BasicProperties, bodies: &[Vec<u8>]) {
        self.amqp.publish(&self.namespace, "PushEvent", properties, bodies);
    }

    /// Writes bodies into the archive stream as the fetcher does, and waits until RabbitMQ has them.
    pub fn archive(&self, bodies: &[Vec<u8>]) {
        self.amqp.publish("", &self.queue("archive"), &properties("m"), bodies);
    }

    /// Writes a record into the archive, as the fetcher does when it could not write events.
    pub fn archive_record(&self, body: &str) {
        let properties = properties("").with_type("archive-lack".into());
        self.amqp.publish("", &self.queue("archive"), &properties, &[body.into()]);
    }

    /// The bodies that the archive holds, which are `count`.
    #[track_caller]
    pub fn archived(&self, count: usize) -> Vec<Vec<u8>> {
        let read = self.amqp.read_stream(&self.queue("archive"), |read| read.len() >= count);
        read.into_iter().map(|message| message.body).collect()
    }

    /// Publishes bodies of events to a loader that runs, each after the one before is loaded: batches overtake one another, so
    /// only this way the stream holds them in this order.
    pub fn load_in_order(&self, bodies: &[Vec<u8>]) {
        for body in bodies {
            let before = self.loaded();
            self.publish(std::slice::from_ref(body));
            eventually("it is loaded", || self.loaded() == before + 1);
        }
    }

    /// Starts a loader here.
    pub fn loader(&self, arguments: &[&str]) -> Program {
        self.loader_at(&self.amqp_url, &self.redis_url, arguments)
    }

    /// Starts a loader here that finds the servers at other addresses.
    pub fn loader_at(&self, amqp_url: &str, redis_url: &str, arguments: &[&str]) -> Program {
        let variables =
            [("AMQP_URL", amqp_url), ("REDIS_URL", redis_url), ("ETL_NAMESPACE", &self.namespace)];
        Program::start("loader", &variables, arguments)
    }

    /// Starts a fetcher or the standalone pipeline here; it polls `api_url` as often as it may.
    pub fn polling(&self, program: &str, amqp_url: &str, api_url: &str, arguments: &[&str]) -> Program {
        let variables = [
            ("AMQP_URL", amqp_url),
            ("REDIS_URL", &self.redis_url),
            ("ETL_NAMESPACE", &self.namespace),
            ("GITHUB_API_URL", api_url),
        ];
        Program::start(program, &variables, &[&["--poll-interval", "100ms"], arguments].concat())
    }

    /// Starts a fetcher here that polls `api_url` at the pace of GitHub and its own schedule.
    pub fn scheduled_fetcher(&self, api_url: &str, arguments: &[&str]) -> Program {
        let variables = [
            ("AMQP_URL", self.amqp_url.as_str()),
            ("ETL_NAMESPACE", &self.namespace),
            ("GITHUB_API_URL", api_url),
            ("GITHUB_TOKEN", "a-token"),
        ];
        Program::start("fetcher", &variables, arguments)
    }

    /// Starts a fetcher here that polls `api_url`.
    pub fn fetcher(&self, api_url: &str, arguments: &[&str]) -> Program {
        self.polling("fetcher", &self.amqp_url, api_url, arguments)
    }

    /// Starts a replay here that remembers where it is in `state`.
    pub fn replay(&self, state: &Path, arguments: &[&str]) -> Program {
        self.replay_fed(state, arguments, Stdio::null())
    }

    /// The same, with something to read.
    pub fn replay_fed(&self, state: &Path, arguments: &[&str], stdin: Stdio) -> Program {
        let variables = [
            ("AMQP_URL", self.amqp_url.as_str()),
            ("ETL_NAMESPACE", &self.namespace),
            ("REPLAY_STATE_DIR", state.to_str().unwrap()),
        ];
        Program::start_fed("replay", &variables, arguments, stdin)
    }

    /// Loads all that is in the queue, in an uncapped stream.
    #[track_caller]
    pub fn drain(&self) {
        self.loader(&["--drain", "--stream-maxlen", "0"]).succeed();
    }

    pub fn redis(&self) -> redis::Connection {
        primary::connect(&self.redis_url, &self.namespace).expect(HINT)
    }

    /// All that Redis holds here.
    pub fn dump(&self) -> Vec<String> {
        dump::dump(&mut self.redis(), &self.namespace)
    }

    /// Events loaded so far, by an uncapped stream.
    pub fn loaded(&self) -> usize {
        self.try_loaded().unwrap()
    }

    /// The same, of a Redis that may not answer.
    pub fn try_loaded(&self) -> redis::RedisResult<usize> {
        let mut connection = primary::connect(&self.redis_url, &self.namespace)?;
        redis::cmd("XLEN").arg(format!("{}:event-stream", self.namespace)).query(&mut connection)
    }

    /// Messages ready in a queue.
    pub fn ready(&self, name: &str) -> u32 {
        self.amqp.ready(&self.queue(name))
    }

    /// The same; nothing when the queue does not exist.
    pub fn try_ready(&self, name: &str) -> Option<u32> {
        let amqp = Amqp::connect(&self.amqp_url);
        let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let queue = self.queue(name);
        let looking = amqp.channel.queue_declare(queue.as_str().into(), look, FieldTable::default());
        block_on(looking).ok().map(|queue| queue.message_count())
    }

    /// What the fetcher remembers, when no fetcher runs.
    pub fn memory(&self) -> serde_json::Value {
        let message = Amqp::connect(&self.amqp_url).consume_one(&self.queue("fetcher"));
        serde_json::from_slice(&message.body).unwrap()
    }

    /// Waits until a queue holds exactly this many messages that nobody has in hand.
    pub fn wait_until_ready(&self, name: &str, count: u32) {
        eventually(&format!("{count} messages in {name}"), || self.ready(name) == count);
    }

    /// Takes all that a queue holds.
    pub fn take_all(&self, name: &str) -> Vec<Message> {
        self.amqp.take_all(&self.queue(name))
    }

    pub fn amqp(&self) -> &Amqp {
        &self.amqp
    }
}

/// The properties of a message as the fetcher sets them, with this id.
pub fn properties(message_id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(message_id.into())
        .with_type("PushEvent".into())
        .with_timestamp(1_420_113_601)
        .with_app_id("test".into())
}

impl Drop for Corner {
    fn drop(&mut self) {
        // Best effort: a test that failed may have broken the channel.
        let own = self.queues.iter().flat_map(|queue| {
            [queue.clone(), format!("{queue}.dead")].into_iter().chain(self.retries(queue))
        });
        let names: Vec<String> =
            own.chain(["archive", "fetcher", "gaps", "unrouted"].map(str::to_owned)).collect();
        let Ok(amqp) = Amqp::try_connect(&self.amqp_url) else { return };
        for name in names {
            let queue = self.queue(&name);
            let _ = block_on(amqp.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()));
        }
        let replays = self.queues.iter().map(|queue| format!(".{queue}.replay"));
        let ends = ["", ".status", ".unrouted"].map(str::to_owned).into_iter().chain(replays);
        for exchange in ends.map(|end| format!("{}{end}", self.namespace)) {
            let delete =
                amqp.channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default());
            let _ = block_on(delete);
        }
        // Servers of its own end with the test.
        let Ok(client) = redis::Client::open(self.redis_url.as_str()) else { return };
        // A test that failed may have left it stopped.
        let patience = std::time::Duration::from_secs(3);
        let Ok(mut connection) = client.get_connection_with_timeout(patience) else { return };
        for chunk in dump::keys(&mut connection, &self.namespace).chunks(500) {
            let _ = redis::cmd("UNLINK").arg(chunk).query::<()>(&mut connection);
        }
    }
}
