//! Readiness tells the truth about Redis, and what cannot be loaded does not stay in our hands.

use github_event_etl::store::Suspect;
use lapin::types::{AMQPValue, FieldTable};

use crate::support::corner::{Corner, amqp_url, properties};
use crate::support::dump::{assert_same, keys};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::proxy::Proxy;
use crate::support::redis_server::RedisServer;
use crate::support::status::Status;
use crate::support::wait::eventually;

/// A loader on a Redis of its own, and what it says of itself.
struct Scene {
    corner: Corner,
    redis: RedisServer,
    status: Status,
    loader: Program,
}

impl Scene {
    fn start(story: &str, flags: &[&str]) -> Self {
        let (redis, status) = (RedisServer::start(&[]), Status::new());
        let corner = Corner::at(story, &amqp_url(), &redis.url());
        let own = ["--stream-maxlen", "0", "--metrics-listen", &status.address];
        let loader = corner.loader(&[&own, flags].concat());
        eventually("the loader is ready", || status.is_ready());
        Self { corner, redis, status, loader }
    }

    fn fill_redis(&self, is_full: bool) {
        self.redis.run(&format!("CONFIG SET maxmemory {}", u8::from(is_full)));
    }

    fn writes_refused(&self) -> usize {
        let info: String = redis::cmd("INFO").arg("errorstats").query(&mut self.redis.connect()).unwrap();
        let count = info.lines().find_map(|line| line.strip_prefix("errorstat_OOM:count="));
        count.map_or(0, |count| count.trim().parse().unwrap())
    }

    fn duplicates(&self) -> u64 {
        let metrics = self.status.get("/metrics").unwrap();
        let name = r#"github_etl_loader_events_total{outcome="duplicate"} "#;
        metrics.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
    }

    fn notes(&self) -> usize {
        let keys = keys(&mut self.redis.connect(), &self.corner.namespace);
        keys.iter().filter(|key| key.contains("crash-suspect")).count()
    }

    /// Asserts that all is loaded and acked, and that the log tells one outage as one.
    #[track_caller]
    fn ends_well(self, bodies: &[Vec<u8>]) {
        eventually("all is loaded", || self.corner.loaded() == Oracle::of(bodies).distinct());
        eventually("the loader is ready again", || self.status.is_ready());
        let ended = self.loader.stop();
        assert_eq!(ended.stderr.matches("is away").count(), 1, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("is back after").count(), 1, "{}", ended.stderr);
        self.corner.wait_until_ready("load", 0);
        assert_eq!(self.corner.ready("load.dead"), 0);
        assert_same("Redis", &self.corner.dump(), &Oracle::of(bodies).lines());
    }
}

/// Publishes what RabbitMQ has delivered twice before, to loaders who died, for all that a loader can tell.
fn publish_suspects(corner: &Corner, bodies: &[Vec<u8>]) {
    let mut headers = FieldTable::default();
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(2));
    corner.publish_with(&properties("m").with_headers(headers), bodies);
}

fn bodies(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    range.map(|n| event(n).bytes()).collect()
}

#[test]
fn a_full_redis_that_still_answers_duplicates_is_not_called_back() {
    let scene = Scene::start("fullready", &[]);
    let (old, new) = (bodies(0..20), bodies(20..30));
    scene.corner.publish(&old);
    eventually("the old ones are loaded", || scene.corner.loaded() == 20);
    scene.fill_redis(true);
    scene.corner.publish(&new);
    scene.loader.wait_for("is away");
    assert!(!scene.status.is_ready());
    scene.corner.publish(&old);
    eventually("the old ones are known as duplicates", || scene.duplicates() == 20);
    assert!(!scene.status.is_ready(), "duplicates need no room, so they do not show that there is some");
    scene.fill_redis(false);
    scene.ends_well(&[old, new].concat());
}

#[test]
fn a_few_that_are_settled_are_acked_while_redis_refuses_others() {
    // Fewer than an ack otherwise waits for, and the prefetch has no place for more until they are acked.
    let flags = ["--batch-size", "1", "--concurrency", "64", "--prefetch", "20"];
    let scene = Scene::start("fewacked", &flags);
    let (old, new) = (bodies(0..4), bodies(4..20));
    scene.corner.publish(&old);
    eventually("the old ones are loaded", || scene.corner.loaded() == 4);
    scene.fill_redis(true);
    scene.corner.publish(&[old.clone(), new.clone(), old.clone()].concat());
    eventually("the last ones have come", || scene.duplicates() == 8);
    scene.fill_redis(false);
    scene.ends_well(&[old, new].concat());
}

#[test]
fn an_idle_loader_notices_that_redis_has_gone_and_that_it_is_back() {
    let mut scene = Scene::start("idleready", &[]);
    let redis = format!("Redis at 127.0.0.1:{}", scene.redis.port);
    scene.redis.kill();
    scene.loader.wait_for(&format!("{redis} is away"));
    assert!(!scene.status.is_ready());
    scene.redis.restart();
    scene.loader.wait_for(&format!("{redis} is back after"));
    let bodies = bodies(0..5);
    scene.corner.publish(&bodies);
    scene.ends_well(&bodies);
}

#[test]
fn what_cannot_be_loaded_for_long_goes_back_to_the_queue_until_redis_takes_writes() {
    let scene = Scene::start("hold", &["--hold-max", "1s"]);
    scene.fill_redis(true);
    let bodies = bodies(0..20);
    scene.corner.publish(&bodies);
    scene.loader.wait_for("they go back to");
    let queue = scene.corner.queue("load");
    scene.corner.wait_until_ready("load", 20);
    let refused = scene.writes_refused();
    eventually("it has asked Redis again", || scene.writes_refused() >= refused + 2);
    assert_eq!(scene.corner.amqp().consumers(&queue), 0, "it waits for Redis before it takes them again");
    scene.fill_redis(false);
    scene.ends_well(&bodies);
}

#[test]
fn a_redis_that_refused_the_note_of_a_suspect_is_called_back_when_it_takes_it() {
    let scene = Scene::start("noteready", &[]);
    scene.fill_redis(true);
    let bodies = bodies(0..10);
    publish_suspects(&scene.corner, &bodies);
    scene.loader.wait_for("is away");
    scene.fill_redis(false);
    scene.ends_well(&bodies);
}

#[test]
fn a_loader_that_lives_takes_back_its_note_of_a_suspect_that_it_could_not_load() {
    let scene = Scene::start("retract", &[]);
    scene.redis.run("ACL SETUSER default -evalsha");
    publish_suspects(&scene.corner, &bodies(0..1));
    eventually("the suspect is noted", || scene.notes() == 1);
    scene.loader.wait_for("is away");
    scene.loader.stop();
    let left = keys(&mut scene.redis.connect(), &scene.corner.namespace);
    assert!(!left.iter().any(|key| key.contains("crash-suspect")), "{left:?}");
    scene.corner.wait_until_ready("load", 1);
}

#[test]
fn a_note_whose_key_is_somebody_elses_holds_up_nothing() {
    let scene = Scene::start("notekey", &[]);
    let bodies = bodies(0..3);
    let name = format!("{:?}", Suspect::of(&bodies[1]));
    let name = name.split('"').nth(1).unwrap();
    let key = format!("{}:crash-suspect:{name}", scene.corner.namespace);
    scene.redis.run(&format!("SET {key} mine"));
    publish_suspects(&scene.corner, &bodies);
    eventually("all are loaded", || scene.corner.loaded() == 3);
    assert!(scene.status.is_ready());
    scene.loader.wait_for("loading continues without the note");
    scene.corner.wait_until_ready("load", 0);
}

#[test]
fn four_loaders_in_one_process_are_each_waited_for_and_told_of_as_one() {
    let (corner, github, status) = (Corner::new("fourready"), GitHub::generated(&[]), Status::new());
    let mut proxy = Proxy::away(&corner.amqp_url);
    let flags = ["--loaders", "4", "--dashboard-listen", "off", "--metrics-listen", &status.address];
    let program = corner.polling("standalone", &proxy.url(&corner.amqp_url), &github.url, &flags);
    // The fetcher's connection is one of five: each loader has one for failures, which is opened when needed.
    for away in ["(os error 111) (4 of 4 connections)", "(os error 111) (1 of 5 connections)"] {
        eventually(away, || status.is_unready_because(away));
    }
    proxy.start();
    eventually("all are up", || status.is_ready());
    let ended = program.stop();
    for server in ["(consuming)", "(publishing)"] {
        for word in ["is away", "is back after"] {
            let told = ended.stderr.lines().filter(|line| line.contains(server) && line.contains(word));
            assert_eq!(told.count(), 1, "{server} {word}: {}", ended.stderr);
        }
    }
}
