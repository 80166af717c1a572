//! An orderly stop finishes what RabbitMQ has delivered, or hands it back as if it had never been taken.

use std::time::{Duration, Instant};

use lapin::types::{AMQPValue, FieldTable};

use crate::support::amqp::{Amqp, Message};
use crate::support::corner::{Corner, amqp_url, properties};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::process::signal;
use crate::support::program::{Ended, Program};
use crate::support::rabbitmq::{LentNode, RabbitNode};
use crate::support::redis_server::RedisServer;
use crate::support::stranger::mute;
use crate::support::wait::eventually;

fn bodies(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| event(n).bytes()).collect()
}

fn header(message: &Message, name: &str) -> Option<AMQPValue> {
    message.properties.headers().as_ref().and_then(|headers| headers.inner().get(name).cloned())
}

/// Asserts that RabbitMQ holds these events and does not count that anybody has had them.
#[track_caller]
fn are_back_unharmed(corner: &Corner, mut bodies: Vec<Vec<u8>>) {
    corner.wait_until_ready("load", bodies.len() as u32);
    let back = corner.take_all("load");
    for message in &back {
        // Some versions tell a count of none.
        let count = header(message, "x-delivery-count").unwrap_or(AMQPValue::LongLongInt(0));
        assert!(!message.redelivered && count == AMQPValue::LongLongInt(0), "{message:?}");
        let routing_key = header(message, "x-etl-original-routing-key");
        assert_eq!(routing_key, Some(AMQPValue::LongString("PushEvent".into())), "{message:?}");
        assert_eq!(message.properties.clone().with_headers(FieldTable::default()), as_published());
    }
    let mut found: Vec<_> = back.into_iter().map(|message| message.body).collect();
    found.sort();
    bodies.sort();
    assert!(found == bodies, "{} bodies are back, should be {}", found.len(), bodies.len());
}

fn as_published() -> lapin::BasicProperties {
    properties("m").with_headers(FieldTable::default())
}

#[test]
fn all_that_was_delivered_is_loaded_and_acked_behind_holes_too() {
    let corner = Corner::new("stopall");
    corner.publish(&bodies(6000));
    // Small batches, many in flight: they end in any order, so there are holes at any moment.
    let loader = corner.loader(&["--stream-maxlen", "0", "--batch-size", "8"]);
    eventually("some events are loaded", || corner.loaded() > 500);
    let ended = loader.stop();
    let loaded = corner.loaded();
    assert!(loaded < 6000, "the loader was done before it was told to stop");
    assert!(ended.stderr.contains(&format!("done: loaded {loaded}, duplicates 0,")), "{}", ended.stderr);
    corner.wait_until_ready("load", 6000 - loaded as u32);
    let left = corner.take_all("load");
    let again = left.iter().filter(|message| message.redelivered).count();
    assert_eq!(again, 0, "of {} messages, so many were delivered and not acked", left.len());
}

#[test]
fn a_loader_that_is_stopped_while_it_starts_has_taken_nothing() {
    let corner = Corner::new("stopearly");
    corner.publish(&bodies(8000));
    for age_ms in (0..150).step_by(5) {
        let loader = corner.loader(&["--stream-maxlen", "0", "--batch-size", "1", "--prefetch", "100"]);
        std::thread::sleep(Duration::from_millis(age_ms));
        // The first ones die of the signal, before they listen for it.
        loader.terminate(Duration::from_secs(10));
    }
    let left = corner.take_all("load");
    assert!(!left.is_empty(), "the loaders were done before they were told to stop");
    assert_eq!(corner.loaded() + left.len(), 8000);
    let again = left.iter().filter(|message| message.redelivered).count();
    assert_eq!(
        again,
        0,
        "of {} messages, so many were delivered to a loader that did not see them",
        left.len()
    );
}

#[test]
fn what_a_hanging_redis_does_not_take_goes_back_uncounted() {
    let corner = Corner::new("stophang");
    let redis = RedisServer::start(&[]);
    let loader = corner.loader_at(&corner.amqp_url, &redis.url(), &["--batch-size", "8"]);
    loader.wait_for("consuming");
    signal(redis.pid(), "STOP");
    // More than are in flight at once.
    let bodies = bodies(400);
    corner.publish(&bodies);
    eventually("the loader has taken them", || corner.ready("load") == 0);
    let ended = loader.stop();
    signal(redis.pid(), "CONT");
    assert!(ended.stderr.contains("400 messages are back in"), "{}", ended.stderr);
    are_back_unharmed(&corner, bodies);
}

#[test]
fn what_redis_refuses_goes_back_uncounted_and_at_once() {
    let redis = RedisServer::start(&[]);
    let corner = Corner::at("stopfull", &amqp_url(), &redis.url());
    let loader = corner.loader(&[]);
    loader.wait_for("consuming");
    redis.run("CONFIG SET maxmemory 1");
    let bodies = bodies(300);
    corner.publish(&bodies);
    loader.wait_for("is away");
    eventually("the loader has taken them", || corner.ready("load") == 0);
    let asked = Instant::now();
    loader.stop();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}: a Redis that refuses is not waited for",
        asked.elapsed()
    );
    are_back_unharmed(&corner, bodies);
}

#[test]
fn deliveries_that_were_held_for_long_again_and_again_are_no_suspects() {
    let redis = RedisServer::start(&[]);
    let corner = Corner::at("holdtwice", &amqp_url(), &redis.url());
    let loader = corner.loader(&["--hold-max", "1s"]);
    loader.wait_for("consuming");
    // The probe is a duplicate to the script, which needs no memory; only new events are refused.
    redis.run("ACL SETUSER default -xadd");
    let bodies = bodies(200);
    corner.publish(&bodies);
    let held = || loader.stderr().matches("they go back to").count();
    eventually("they have gone back three times", || held() >= 3);
    loader.stop();
    are_back_unharmed(&corner, bodies);
}

#[test]
fn a_suspect_that_a_living_loader_hands_back_is_as_suspect_as_before() {
    let redis = RedisServer::start(&[]);
    let corner = Corner::at("stopsuspect", &amqp_url(), &redis.url());
    let loader = corner.loader(&[]);
    loader.wait_for("consuming");
    redis.run("ACL SETUSER default -evalsha");
    // For all that a loader can tell, it has been delivered five times to loaders who died.
    let mut headers = FieldTable::default();
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(5));
    corner.publish_with(&properties("m").with_headers(headers), &bodies(1));
    loader.wait_for("is away");
    loader.stop();
    corner.wait_until_ready("load", 1);
    let handed_back = Amqp::connect(&corner.amqp_url).peek(&corner.queue("load")).unwrap();
    assert_eq!(handed_back.header("x-etl-redeliveries"), "5");
    redis.run("ACL SETUSER default +evalsha");
    redis.run("CONFIG RESETSTAT");
    corner.drain();
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut redis.connect()).unwrap();
    // EXPIRE is used once by the check of rights at the start, and once by a note about a crash suspect.
    assert!(stats.contains("cmdstat_expire:calls=2,"), "no loader noted it before it loaded it: {stats}");
}

/// Everything that a program talks to; all of it hangs when told to.
struct World {
    rabbitmq: LentNode,
    redis: RedisServer,
    collector: String,
}

impl World {
    fn new() -> Self {
        let collector = format!("http://127.0.0.1:{}", mute());
        Self { rabbitmq: RabbitNode::lent(), redis: RedisServer::start(&[]), collector }
    }

    fn start(&self, program: &str, corner: &Corner, arguments: &[&str], api_url: &str) -> Program {
        let variables = [
            ("AMQP_URL", corner.amqp_url.as_str()),
            ("REDIS_URL", &corner.redis_url),
            ("ETL_NAMESPACE", &corner.namespace),
            ("GITHUB_API_URL", api_url),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.collector),
        ];
        Program::start(program, &variables, arguments)
    }

    /// Ends the program while everything hangs, and gives how long that took.
    fn ends(&self, program: Program) -> (Ended, Duration) {
        let servers = [self.rabbitmq.pid(), self.redis.pid()];
        servers.iter().for_each(|pid| signal(*pid, "STOP"));
        let asked = Instant::now();
        let ended = program.terminate(Duration::from_secs(30));
        servers.iter().for_each(|pid| signal(*pid, "CONT"));
        (ended, asked.elapsed())
    }
}

#[test]
fn the_whole_stop_takes_less_than_ten_seconds_with_every_server_and_the_collector_hanging() {
    let world = World::new();
    let corner = Corner::at("allhang", &world.rabbitmq.url(), &world.redis.url());
    let github = GitHub::generated(&["--rate", "50"]);
    let failing: Vec<_> =
        (0..200).map(|n| event(format!("wrong-{n}")).at("2015-02-02T02:02:02Z").bytes()).collect();
    for program in ["loader", "standalone"] {
        let arguments: &[&str] = if program == "loader" {
            &[]
        } else {
            &["--dashboard-listen", "off", "--poll-interval", "200ms"]
        };
        let program_under_way = world.start(program, &corner, arguments, &github.url);
        program_under_way.wait_for("consuming");
        // The failure lane has a connection too, and something to tell RabbitMQ.
        world.redis.run(&format!("SET {}:event-count:2015-02-02-02 mine", corner.namespace));
        corner.publish(&failing);
        eventually("failures wait for another try", || corner.ready("load.retry.3s") > 0);
        // Enough to be caught in the middle: a crash suspect is loaded alone, and the loader must remove its note.
        let mut headers = FieldTable::default();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(2));
        let before = corner.loaded();
        let first = if program == "loader" { 0 } else { 5000 };
        let suspects: Vec<_> = (first..first + 1000).map(|n| event(n).bytes()).collect();
        corner.publish_with(&properties("m").with_headers(headers), &suspects);
        eventually("suspects are loaded", || corner.loaded() > before + 10);
        let (ended, took) = world.ends(program_under_way);
        assert_eq!(ended.code, Some(0), "{program}: {}", ended.stderr);
        assert!(took < Duration::from_secs(10), "{program} took {took:?}: {}", ended.stderr);
        eprintln!("{program} took {took:?}:\n{}", ended.stderr);
    }
}
