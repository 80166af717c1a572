//! A second pipeline beside the first one, under names of its own, which is deleted and brought up again under the same names.

use github_event_etl::broker::Names;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus as Rng;

use crate::support::amqp::Amqp;
use crate::support::dump::{assert_same, dump};
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::wait::{block_on, eventually};
use crate::world::World;

const NAMES: &str = "soak-side";
const EVENTS: usize = 100;

/// Brings it up, looks whether it works, and deletes its names; sometimes RabbitMQ is killed before or after that.
pub fn renew(world: &mut World, rng: &mut Rng) {
    let events = &world.recording[..EVENTS.min(world.recording.len())];
    let github = GitHub::recorded(events, &["--rate", "0"]);
    world.spawn_in(NAMES, &github, "fetcher", &["--once"]).succeed();
    world.spawn_in(NAMES, &github, "loader", &["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis beside", &dump(&mut world.redis_connection(), NAMES), &Oracle::of(events).lines());
    let (before, after) = (rng.random_bool(0.3), rng.random_bool(0.3));
    for (kill, delete) in [(before, true), (after, false)] {
        if kill {
            world.note_peaks();
            world.rabbitmq.kill();
            world.rabbitmq.restart();
        }
        if delete {
            delete_names(world);
        }
    }
}

fn delete_names(world: &World) {
    let names = Names::new(&NAMES.parse().unwrap(), "load");
    let archive = names.archive();
    let others = [names.load().to_owned(), names.dead(), names.gaps(), names.unrouted(), names.memory()];
    for name in others.into_iter().chain([archive.clone()]).chain(names.retries().map(|(name, _)| name)) {
        // RabbitMQ 3.10 refuses to delete a stream that it has lost, and closes the connection's channel. After a restart, it also
        // refuses to delete a quorum queue that has no leader yet.
        eventually(&format!("{name} is deleted"), || {
            let amqp = Amqp::connect(&world.rabbitmq.url());
            let deleting = amqp.channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
            block_on(deleting).is_ok() || name == archive
        });
    }
    let amqp = Amqp::connect(&world.rabbitmq.url());
    for exchange in ["", ".unrouted", ".status"] {
        let name = format!("{NAMES}{exchange}");
        block_on(amqp.channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()))
            .unwrap();
    }
}
