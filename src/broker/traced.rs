//! Begins the span of a publish and writes its `traceparent` into every message.

use super::{Broker, Outgoing};
use crate::telemetry::traces::{self, Kind, Span, TraceParent};

impl Broker {
    /// Begins the span of publishing `messages`, a part of `parent` or the first of a trace, and lets them carry it. It links to
    /// where they were published before: that may be long ago, and has another trace. It ends when it is dropped.
    pub fn begin_publish(&self, parent: Option<&Span>, messages: &mut [Outgoing]) -> Span {
        let Some(first) = messages.first().filter(|_| traces::are_on()) else { return Span::none() };
        let exchange = first.route.exchange_and_key(&self.names).0.into_owned();
        let name = format!("publish {exchange}");
        let mut span = match parent {
            Some(parent) => parent.child(name, Kind::Producer),
            None => Span::root(name, Kind::Producer),
        };
        span.say("messaging.system", "rabbitmq");
        span.say("messaging.operation.type", "send");
        span.say("messaging.destination.name", exchange);
        span.count("messaging.batch.message_count", messages.len());
        span.link(messages.iter().filter_map(|message| TraceParent::parse(message.envelope.traceparent()?)));
        if let Some(traceparent) = span.traceparent() {
            let traceparent = traceparent.to_string();
            messages.iter_mut().for_each(|message| message.envelope.set_traceparent(&traceparent));
        }
        span
    }
}
