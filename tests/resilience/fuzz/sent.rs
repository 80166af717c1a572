//! Arbitrary messages among good events, and what must have become of them.

use std::collections::BTreeMap;

use lapin::types::AMQPValue;

use super::Random;
use super::messages::message;
use crate::support::corner::{Corner, properties};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::raw_amqp::RawPublisher;

/// Arbitrary messages are sent in portions of so many, with as many good events behind each.
const PORTION: usize = 10;

/// All that RabbitMQ has taken.
#[derive(Default)]
pub struct Sent {
    good: Vec<Vec<u8>>,
    /// Good events in arbitrary messages.
    events: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
    refused: Vec<String>,
}

impl Sent {
    /// Sends `count` arbitrary messages to an exchange.
    pub fn through(exchange: &str, corner: &Corner, random: &mut Random, count: usize) -> Self {
        Self::send(exchange, None, corner, random, count)
    }

    /// Sends them straight to a queue.
    pub fn to_queue(name: &str, corner: &Corner, random: &mut Random, count: usize) -> Self {
        Self::send("", Some(&corner.queue(name)), corner, random, count)
    }

    fn send(exchange: &str, key: Option<&str>, corner: &Corner, random: &mut Random, count: usize) -> Self {
        let (mut raw, message) = (RawPublisher::new(&corner.amqp_url), message());
        let mut sent = Self::default();
        for number in 0..count {
            let message = random.draw(&message);
            let body = message.body.bytes(number);
            let routing_key = key.map_or(&message.routing_key[..], str::as_bytes);
            // RabbitMQ refuses some of them itself.
            if let Err(words) = raw.try_publish(exchange, routing_key, &message.properties, &body) {
                sent.refused.push(words);
            } else if message.body.is_event() {
                sent.events.push(body);
            } else {
                sent.others.push(body);
            }
            if number % PORTION == 0 {
                let good: Vec<_> = (0..PORTION).map(|k| event(number * PORTION + k).bytes()).collect();
                corner.amqp().publish(exchange, key.unwrap_or("PushEvent"), &properties("m"), &good);
                sent.good.extend(good);
            }
        }
        assert!(sent.refused.len() < count / 2, "RabbitMQ refused too many of {count}: {:?}", sent.refused);
        sent
    }

    /// How many messages RabbitMQ has taken.
    pub fn count(&self) -> usize {
        self.good.len() + self.events.len() + self.others.len()
    }

    /// Asserts that each good event is loaded and every other message either loaded or a dead letter with a reason, once.
    #[track_caller]
    pub fn arrived(&self, corner: &Corner, log: &str) {
        let mut dead: BTreeMap<Vec<u8>, String> = BTreeMap::new();
        for letter in corner.take_all("load.dead") {
            let headers = letter.properties.headers().clone().unwrap_or_default();
            let reason = headers.inner().get("x-etl-reason").cloned();
            let shown = String::from_utf8_lossy(&letter.body).into_owned();
            let Some(AMQPValue::LongString(reason)) = reason else {
                panic!("no reason: {shown} {:?}\n{log}", letter.properties)
            };
            let reason = reason.to_string();
            assert_ne!(reason, "", "{shown}");
            let again = dead.insert(letter.body, reason);
            assert_eq!(again, None, "twice in the dead letters: {shown}\n{log}");
        }
        for good in &self.good {
            assert!(!dead.contains_key(good), "{:?}\n{log}", dead[good]);
        }
        for other in &self.others {
            let shown = String::from_utf8_lossy(other);
            assert!(dead.remove(other).is_some(), "neither loaded nor dead: {shown}\n{log}");
        }
        let mut loaded = self.good.clone();
        for event in &self.events {
            match dead.remove(event) {
                None => loaded.push(event.clone()),
                Some(reason) => {
                    let shown = String::from_utf8_lossy(event);
                    assert!(
                        reason.contains("unreadable: "),
                        "a good event is dead: {reason}: {shown}\n{log}"
                    );
                }
            }
        }
        assert!(dead.is_empty(), "{dead:?}");
        assert_same("Redis", &corner.dump(), &Oracle::of(&loaded).lines());
    }
}
