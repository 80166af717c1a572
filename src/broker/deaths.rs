//! Reads RabbitMQ's own headers: how often it delivered a message, and where it dead-lettered it.

use lapin::types::{AMQPValue, FieldTable};

use super::Envelope;
use super::envelope::{DELIVERY_COUNT, count_in, header};

impl Envelope {
    /// How many deliveries of the message RabbitMQ counts toward the delivery limit of its quorum queue.
    pub fn counted_deliveries(&self) -> u32 {
        count_in(&self.0, DELIVERY_COUNT)
    }

    /// The queues from which RabbitMQ dead-lettered the message, the last one first
    /// (<https://www.rabbitmq.com/docs/dlx#effects>). A publisher can forge them.
    pub fn died_in(&self) -> Vec<String> {
        let deaths = match header(&self.0, "x-death") {
            Some(AMQPValue::FieldArray(deaths)) => deaths.as_slice(),
            _ => &[],
        };
        let queue_of = |death: &AMQPValue| match death {
            AMQPValue::FieldTable(death) => of_table(death, "queue"),
            _ => None,
        };
        let first = header(&self.0, "x-first-death-queue").and_then(text);
        let last = header(&self.0, "x-last-death-queue").and_then(text);
        last.into_iter().chain(deaths.iter().filter_map(queue_of)).chain(first).collect()
    }
}

fn of_table(table: &FieldTable, name: &str) -> Option<String> {
    table.inner().get(name).and_then(text)
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::types::FieldArray;

    use super::*;

    impl Envelope {
        /// A message that RabbitMQ has dead-lettered from `queue`.
        pub(crate) fn dead_in(queue: &str) -> Self {
            let mut headers = FieldTable::default();
            headers.insert("x-first-death-queue".into(), AMQPValue::LongString(queue.into()));
            Self(BasicProperties::default().with_headers(headers))
        }
    }

    fn string(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    fn envelope(headers: &[(&str, AMQPValue)]) -> Envelope {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        Envelope(BasicProperties::default().with_headers(table))
    }

    #[test]
    fn the_queues_of_deaths_come_the_last_one_first() {
        let death = |queue: &str| {
            let mut table = FieldTable::default();
            table.insert("queue".into(), string(queue));
            AMQPValue::FieldTable(table)
        };
        let deaths: FieldArray = vec![death("n.load.dead"), death("n.load"), AMQPValue::Void].into();
        let died = envelope(&[
            ("x-first-death-queue", string("n.load.retry.1s")),
            ("x-death", AMQPValue::FieldArray(deaths)),
        ]);
        assert_eq!(died.died_in(), ["n.load.dead", "n.load", "n.load.retry.1s"]);
        let last = envelope(&[("x-first-death-queue", string("a")), ("x-last-death-queue", string("b"))]);
        assert_eq!(last.died_in(), ["b", "a"]);
        assert!(envelope(&[("x-death", string("a"))]).died_in().is_empty());
        assert!(Envelope(BasicProperties::default()).died_in().is_empty());
    }
}
