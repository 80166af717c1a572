//! Traces: which poll an event came from, and how long publishing, processing and the script took.
//!
//! Without `OTEL_EXPORTER_OTLP_ENDPOINT` (`export`) nothing is recorded, and messages get no header.
//!
//! At tens of thousands of events a second a span for each would cost more than loading it. So spans are of batches: one for
//! each poll, with what it fetched and published; one for each batch that a loader works on and each publish that its events
//! came from, because these are few; one for each round trip of scripts. An event's message carries its publish's
//! [`TraceParent`]. Only this module names `opentelemetry`.

use std::fmt;
use std::sync::OnceLock;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// The tracer. It is set once, at the start of a program that exports spans.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Publishes that get a span of their own in one batch of a loader; the others are links of the first one's.
const PARENTS_MAX: usize = 8;
/// Publishes that a span links to at most.
const LINKS_MAX: usize = 64;

/// Sets the tracer. The provider is global and set once.
pub(super) fn begin(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

/// True when spans are wanted.
pub fn are_on() -> bool {
    TRACER.get().is_some()
}

/// A place in a trace, as messages carry it: `traceparent` of <https://www.w3.org/TR/trace-context/>, version 00.
///
/// `TraceContextPropagator` of `opentelemetry_sdk` is not used: it takes ids of any length and with a sign (`00-1-2-3`), and writes an
/// empty `tracestate` beside each `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    is_sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent`. None if it is not valid: anyone who publishes messages can write one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let has_form = version == "00" && (trace.len(), span.len(), flags.len()) == (32, 16, 2);
        if !has_form || parts.next().is_some() || ![trace, span, flags].into_iter().all(is_hex) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(Self { trace, span, is_sampled })
    }

    fn of(context: &SpanContext) -> Self {
        Self { trace: context.trace_id(), span: context.span_id(), is_sampled: context.is_sampled() }
    }

    fn context(&self) -> SpanContext {
        let flags = if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        SpanContext::new(self.trace, self.span, flags, true, TraceState::NONE)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

/// The span's kind.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Internal,
    /// Sends a request to another program and waits for the answer.
    Client,
    /// Sends messages.
    Producer,
    /// Processes messages.
    Consumer,
}

/// A span, which ends when it is dropped. It is disabled if the program exports no spans.
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// A disabled span.
    pub fn none() -> Self {
        Self(None)
    }

    /// The first span of a new trace.
    pub fn root(name: impl Into<String>, kind: Kind) -> Self {
        if are_on() { Self::start(name.into(), kind, &Context::new()) } else { Self(None) }
    }

    /// A span in the trace of `parent`, or the first of a new trace if the parent is unknown.
    fn after(parent: Option<&TraceParent>, name: String, kind: Kind) -> Self {
        let context = Context::new();
        let parent = parent.map(|parent| context.with_remote_span_context(parent.context()));
        Self::start(name, kind, &parent.unwrap_or(context))
    }

    /// A span of a part of this one.
    pub fn child(&self, name: impl Into<String>, kind: Kind) -> Self {
        let Some(span) = &self.0 else { return Self(None) };
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        Self::start(name.into(), kind, &context)
    }

    fn start(name: String, kind: Kind, parent: &Context) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let kind = match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        Self(Some(Box::new(tracer.build_with_context(builder, parent))))
    }

    /// Sets an attribute with a count.
    pub fn count(&mut self, key: &'static str, count: usize) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }

    /// Sets an attribute with a text.
    pub fn say(&mut self, key: &'static str, value: impl fmt::Display) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value.to_string()));
        }
    }

    /// Marks the span as failed, with the reason.
    pub fn fail(&mut self, why: impl fmt::Display) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(why.to_string()));
        }
    }

    /// Links the span to other spans, at most `LINKS_MAX`. The others are left out.
    pub fn link(&mut self, others: impl IntoIterator<Item = TraceParent>) {
        let Some(span) = &mut self.0 else { return };
        let mut linked: Vec<TraceParent> = Vec::new();
        for other in others {
            if linked.len() < LINKS_MAX && !linked.contains(&other) {
                span.add_link(other.context(), Vec::new());
                linked.push(other);
            }
        }
    }

    /// Where it is, for messages.
    pub fn traceparent(&self) -> Option<TraceParent> {
        let span = self.0.as_ref()?;
        Some(TraceParent::of(span.span_context())).filter(|_| span.span_context().is_valid())
    }
}

/// The spans of a batch of messages that is worked on: one for each publish that they came from. They end when this is dropped.
pub struct Processing(Vec<Span>);

impl Processing {
    /// Begins the spans of a batch of `queue`. `carried` are the `traceparent`s of its messages. They are read only if spans are exported.
    pub fn begin<'a>(queue: &str, carried: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        if !are_on() {
            return Self(Vec::new());
        }
        let mut publishes: Vec<(Option<TraceParent>, usize)> = Vec::new();
        for carried in carried {
            let parent = carried.and_then(TraceParent::parse);
            match publishes.iter_mut().find(|(known, _)| *known == parent) {
                Some((_, count)) => *count += 1,
                None => publishes.push((parent, 1)),
            }
        }
        let (own, others) = publishes.split_at(publishes.len().min(PARENTS_MAX));
        let span = |(parent, count): &(Option<TraceParent>, usize)| {
            let mut span = Span::after(parent.as_ref(), format!("process {queue}"), Kind::Consumer);
            span.say("messaging.system", "rabbitmq");
            span.say("messaging.operation.type", "process");
            span.say("messaging.destination.name", queue);
            span.count("messaging.batch.message_count", *count);
            span
        };
        let mut spans: Vec<_> = own.iter().map(span).collect();
        if let Some(first) = spans.first_mut() {
            first.link(others.iter().filter_map(|(parent, _)| parent.clone()));
        }
        Self(spans)
    }

    /// A span of one round trip for `calls` scripts: a part of the first of them, linked to the others.
    pub fn script(&self, calls: usize) -> Span {
        let Some((first, others)) = self.0.split_first() else { return Span::none() };
        let mut span = first.child("EVALSHA load_event", Kind::Client);
        span.say("db.system.name", "redis");
        span.say("db.operation.name", "EVALSHA");
        span.count("db.operation.batch.size", calls);
        span.link(others.iter().filter_map(Span::traceparent));
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        for text in [PARENT, &PARENT.replace("-01", "-00")] {
            assert_eq!(TraceParent::parse(text).unwrap().to_string(), text);
        }
        // Flags of the future are not ours to pass on.
        assert_eq!(TraceParent::parse(&PARENT.replace("-01", "-ff")).unwrap().to_string(), PARENT);
    }

    #[test]
    fn what_is_not_one_is_ignored() {
        let upper = PARENT.to_uppercase();
        let (zero_trace, zero_span) = (
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("{}-{}-01", &PARENT[..35], "0".repeat(16)),
        );
        let (longer, future) = (format!("{PARENT}-00"), PARENT.replacen("00", "01", 1));
        let odd = PARENT.replace("4b", "+b");
        for text in
            ["", "-", "00-1-2-3", "é", &PARENT[..54], &upper, &zero_trace, &zero_span, &longer, &future, &odd]
        {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn without_a_collector_there_is_nothing() {
        let mut span = Span::root("poll", Kind::Internal);
        span.count("n", 1);
        span.link(TraceParent::parse(PARENT));
        assert_eq!((span.traceparent(), span.child("x", Kind::Client).traceparent()), (None, None));
        let unread = std::iter::once_with(|| -> Option<&str> { panic!("looked at") });
        assert_eq!(Processing::begin("load", unread).script(1).traceparent(), None);
    }
}
