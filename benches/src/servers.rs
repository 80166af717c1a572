//! The private servers of one side, as the integration tests have them.

// Modules of the tests, which own these servers. The benchmark needs a part of each.
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/support/process.rs"]
pub mod process;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/support/rabbitmq.rs"]
mod rabbitmq;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;

use std::fmt;
use std::time::{Duration, Instant};

pub use rabbitmq::RabbitNode;
pub use redis_server::RedisServer;

/// When Redis flushes its append-only file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aof {
    /// There is none.
    Off,
    /// Before it answers: the setting that we ship.
    Always,
}

impl fmt::Display for Aof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "no append-only file",
            Self::Always => "appendfsync always",
        })
    }
}

/// A Redis that has just started.
pub fn redis(aof: Aof) -> RedisServer {
    match aof {
        Aof::Off => RedisServer::start(&["--appendonly", "no"]),
        Aof::Always => RedisServer::start(&["--appendfsync", "always"]),
    }
}

/// Waits until RabbitMQ is at rest: writing a backlog to segment files belongs to publishing, not to a side.
pub fn wait_until_quiet(rabbitmq: &RabbitNode) {
    const LOOK: Duration = Duration::from_millis(250);
    /// A machine with other work may keep a node busy; then the measurement is noisy anyway.
    const PATIENCE: Duration = Duration::from_secs(20);
    let start = Instant::now();
    let mut before = process::cpu_seconds(rabbitmq.pid());
    while start.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
        let now = process::cpu_seconds(rabbitmq.pid());
        // At most one tick of the kernel's clock, four times a second.
        if now - before < 0.015 {
            return;
        }
        before = now;
    }
}
