//! The archive in a soak: broken at the start by a kill in its first seconds, made anew, and complete or honest at the end.

use std::collections::HashSet;
use std::thread::sleep;
use std::time::Duration;

use lapin::BasicProperties;
use rand::rngs::Xoshiro256PlusPlus as Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::support::amqp::{Amqp, Message};
use crate::world::{NAMESPACE, World};

/// A RabbitMQ that is killed at this age never has its young streams again.
const AGE_MAX_MS: u64 = 4000;
/// A stream of this age survives a kill (DESIGN.md, section 3).
const AGE_SAFE: Duration = Duration::from_secs(6);
const END: &str = "the soak's end";

/// What the archive must hold.
pub struct Archive {
    /// Events that had been fetched when it was made anew.
    fetched_before: usize,
}

/// Kills RabbitMQ in the first seconds after the programs have started.
pub fn kill_at_birth(world: &mut World, seed: u64) {
    let age = Rng::seed_from_u64(seed).random_range(0..AGE_MAX_MS);
    sleep(Duration::from_millis(age));
    world.rabbitmq.kill();
    world.rabbitmq.restart();
    println!("RabbitMQ was killed {age} ms after the programs had started");
}

impl Archive {
    /// Makes the archive anew, as its user would. No other fault strikes until the new stream has the age to survive it: what
    /// a kill does to a young stream is what [`kill_at_birth`] is for.
    pub fn reset(world: &World) -> Self {
        let reset =
            || world.spawn_in(NAMESPACE, &world.github, "replay", &["archive", "--reset", "--yes"]).wait();
        let mut ended = reset();
        if ended.code != Some(0) {
            world.rabbitmq.follow_advice(&ended.stderr);
            ended = reset();
        }
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        sleep(AGE_SAFE);
        Self { fetched_before: usize::try_from(world.github.served().events.fetched).unwrap() }
    }

    /// Every event that was fetched since then is in the archive, or one of its records counts it.
    pub fn compare(&self, world: &World) {
        let messages = read(world);
        let lacking: u64 =
            messages.iter().filter(|message| message.kind() == "archive-lack").map(events).sum();
        let bodies: HashSet<&[u8]> = messages.iter().map(|message| message.body.as_slice()).collect();
        let fetched = &world.recording[self.fetched_before.min(world.recording.len())..];
        let missing = fetched.iter().filter(|body| !bodies.contains(body.as_slice())).count() as u64;
        println!("the archive holds {} messages, lacks {missing} events and says {lacking}", messages.len());
        assert!(missing <= lacking, "the archive lacks {missing} events, and its records count {lacking}");
    }
}

fn events(record: &Message) -> u64 {
    let record: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
    record["events"].as_u64().unwrap()
}

fn read(world: &World) -> Vec<Message> {
    let amqp = Amqp::connect(&world.rabbitmq.url());
    let archive = format!("{NAMESPACE}.archive");
    amqp.publish("", &archive, &BasicProperties::default(), &[END.into()]);
    amqp.read_stream(&archive, |read| read.last().is_some_and(|message| message.body == END.as_bytes()))
}
