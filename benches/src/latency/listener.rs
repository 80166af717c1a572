//! Hears from Redis when each mark is set.

use std::collections::HashMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::servers::RedisServer;

/// Longest wait for the next mark.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A thread that listens.
pub struct Listener(JoinHandle<Result<HashMap<String, Instant>>>);

impl Listener {
    /// Listens until `count` marks are set.
    pub fn start(redis: &RedisServer, count: usize) -> Result<Self> {
        let mut connection = redis.connect();
        connection.set_read_timeout(Some(SILENCE_MAX)).context("set a time limit for Redis")?;
        // Redis knows of the subscription before anything is published.
        let (subscribed, ready) = std::sync::mpsc::channel();
        let listening = std::thread::spawn(move || {
            let mut subscription = connection.as_pubsub();
            subscription.subscribe("__keyevent@0__:set").context("listen to Redis")?;
            subscribed.send(()).context("tell that Redis is listened to")?;
            let mut marks = HashMap::with_capacity(count);
            while marks.len() < count {
                let message = subscription.get_message().with_context(|| {
                    format!("{} of {count} events are loaded, and no other for {SILENCE_MAX:?}", marks.len())
                })?;
                let at = Instant::now();
                let key: String = message.get_payload()?;
                if key.contains(":event-log:") {
                    marks.insert(key, at);
                }
            }
            Ok(marks)
        });
        // An error of the thread is told by `finish`.
        let _ = ready.recv();
        Ok(Self(listening))
    }

    /// When each key was set.
    pub fn finish(self) -> Result<HashMap<String, Instant>> {
        self.0.join().map_err(|_| anyhow!("the listener panicked"))?
    }
}
