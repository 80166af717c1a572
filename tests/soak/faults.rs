//! What goes wrong in a soak, and how it is healed.

use std::thread::sleep;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus as Rng;
use rand::seq::SliceRandom as _;

use crate::side;
use crate::support::process::signal;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    LoaderKilled,
    LoaderTerminated,
    LoaderPaused,
    FetcherKilled,
    RabbitKilled,
    RabbitKilledYoung,
    RabbitPaused,
    RabbitConnectionsClosed,
    RabbitMemoryAlarm,
    RedisKilled,
    RedisKilledYoung,
    RedisPaused,
    RedisFull,
    RedisClientsKilled,
    RedisClientsPaused,
    RedisScriptsFlushed,
    RedisSleeping,
    NamesDeleted,
}

impl Fault {
    const ALL: [Self; 18] = [
        Self::LoaderKilled,
        Self::LoaderTerminated,
        Self::LoaderPaused,
        Self::FetcherKilled,
        Self::RabbitKilled,
        Self::RabbitKilledYoung,
        Self::RabbitPaused,
        Self::RabbitConnectionsClosed,
        Self::RabbitMemoryAlarm,
        Self::RedisKilled,
        Self::RedisKilledYoung,
        Self::RedisPaused,
        Self::RedisFull,
        Self::RedisClientsKilled,
        Self::RedisClientsPaused,
        Self::RedisScriptsFlushed,
        Self::RedisSleeping,
        Self::NamesDeleted,
    ];

    /// Returns when nothing of it is left; what it did to the programs may still be felt.
    pub fn strike_and_heal(self, world: &mut World, rng: &mut Rng) {
        match self {
            Self::LoaderKilled => world.replace_loader(rng, World::kill),
            Self::LoaderTerminated => world.replace_loader(rng, World::terminate),
            Self::LoaderPaused => pause(world.loader_pid(rng), between(rng, 1..8)),
            Self::FetcherKilled => world.replace_fetcher(),
            Self::RabbitKilled => {
                world.note_peaks();
                world.rabbitmq.kill();
                sleep(between(rng, 0..5));
                world.rabbitmq.restart();
            }
            Self::RabbitKilledYoung => {
                world.note_peaks();
                world.rabbitmq.kill();
                for _ in 0..rng.random_range(1..3) {
                    world.rabbitmq.live_for(between(rng, 0..8));
                }
                world.rabbitmq.restart();
            }
            Self::RabbitPaused => pause(world.rabbitmq.pid(), between(rng, 5..30)),
            Self::RabbitConnectionsClosed => {
                world.rabbitmq.ctl(&["close_all_connections", "--global", "soak"]);
            }
            Self::RabbitMemoryAlarm => {
                world.rabbitmq.ctl(&["set_vm_memory_high_watermark", "0"]);
                sleep(between(rng, 1..10));
                world.rabbitmq.ctl(&["set_vm_memory_high_watermark", "0.4"]);
            }
            Self::RedisKilled => {
                world.note_peaks();
                world.redis.kill();
                sleep(between(rng, 0..5));
                world.redis.restart();
            }
            Self::RedisKilledYoung => {
                world.note_peaks();
                world.redis.kill();
                for _ in 0..rng.random_range(1..5) {
                    world.redis.live_for(between(rng, 0..2));
                }
                world.redis.restart();
            }
            Self::RedisPaused => pause(world.redis.pid(), between(rng, 2..8)),
            Self::RedisFull => {
                world.ask_redis::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(between(rng, 1..8));
                world.ask_redis::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            Self::RedisClientsKilled => {
                world.ask_redis::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]);
            }
            Self::RedisClientsPaused => {
                let pause = between(rng, 1..8);
                world.ask_redis::<()>(&["CLIENT", "PAUSE", &pause.as_millis().to_string()]);
                sleep(pause);
            }
            Self::RedisScriptsFlushed => world.ask_redis::<()>(&["SCRIPT", "FLUSH"]),
            Self::RedisSleeping => {
                let seconds = between(rng, 1..6).as_secs_f64().to_string();
                world.ask_redis::<()>(&["DEBUG", "SLEEP", &seconds]);
            }
            Self::NamesDeleted => side::renew(world, rng),
        }
    }
}

/// Every kind comes up before any comes up again, so that a short soak sees them all.
#[derive(Default)]
pub struct Bag(Vec<Fault>);

impl Bag {
    pub fn draw(&mut self, rng: &mut Rng) -> Fault {
        if self.0.is_empty() {
            self.0 = Fault::ALL.to_vec();
            self.0.shuffle(rng);
        }
        self.0.pop().unwrap()
    }
}

/// A process that hangs, with its sockets open.
fn pause(pid: u32, time: Duration) {
    signal(pid, "STOP");
    sleep(time);
    signal(pid, "CONT");
}

fn between(rng: &mut Rng, seconds: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(seconds.start * 1000..seconds.end * 1000))
}
