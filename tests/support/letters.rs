//! Dead letters, as loaders and RabbitMQ leave them.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use super::corner::{Corner, properties};

pub fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub fn table(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect::<BTreeMap<_, _>>().into()
}

/// The properties of a dead letter that a loader gave up for `reason`.
pub fn failed(reason: &str) -> BasicProperties {
    properties("m").with_headers(table(&[
        ("x-etl-reason", text(reason)),
        ("x-etl-attempts", AMQPValue::LongLongInt(5)),
        ("x-etl-first-failed-at", text("2026-01-01T00:00:00Z")),
        ("x-etl-original-routing-key", text("PushEvent")),
    ]))
}

/// The same message after RabbitMQ has dead-lettered it from `queue`, because it was delivered too often.
pub fn moved_from(queue: &str, properties: BasicProperties) -> BasicProperties {
    let death = table(&[
        ("queue", text(queue)),
        ("reason", text("delivery_limit")),
        ("count", AMQPValue::LongLongInt(1)),
        ("exchange", text("")),
        ("routing-keys", AMQPValue::FieldArray(vec![text(queue)].into())),
    ]);
    let deaths: FieldArray = vec![AMQPValue::FieldTable(death)].into();
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert("x-death".into(), AMQPValue::FieldArray(deaths));
    headers.insert("x-first-death-queue".into(), text(queue));
    headers.insert("x-first-death-reason".into(), text("delivery_limit"));
    properties.with_headers(headers)
}

impl Corner {
    /// Publishes bodies straight to a queue.
    pub fn publish_to(&self, queue: &str, properties: &BasicProperties, bodies: &[Vec<u8>]) {
        self.amqp().publish("", &self.queue(queue), properties, bodies);
    }
}
