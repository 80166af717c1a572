//! Traces: an event's way from fetch to load can be followed, and nobody pays who does not want to know.

use std::collections::BTreeSet;
use std::time::Instant;

use lapin::types::{AMQPValue, FieldTable};

use crate::support::corner::{Corner, properties};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::otlp::{Collector, Span};
use crate::support::program::Program;
use crate::support::redis_server::free_port;
use crate::support::status::Status;
use crate::support::wait::eventually;

const OF_OLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Runs a program here with these variables as well, until it ends.
#[track_caller]
fn run(corner: &Corner, program: &str, more: &[(&str, &str)], arguments: &[&str]) -> String {
    let state = tempfile::tempdir().unwrap();
    let own = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
        ("REPLAY_STATE_DIR", state.path().to_str().unwrap()),
    ];
    let ended = Program::start(program, &[&own, more].concat(), arguments).succeed();
    ended.stderr
}

fn drain(corner: &Corner, collector: &Collector) {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    run(corner, "loader", &endpoint, &["--drain", "--stream-maxlen", "0"]);
}

/// What the messages of a queue carry; they stay there until the corner's connection ends.
fn carried(corner: &Corner, queue: &str) -> Vec<Option<String>> {
    let queue = corner.queue(queue);
    let messages = std::iter::from_fn(|| corner.amqp().peek(&queue));
    let carried = messages.map(|message| {
        let headers = message.properties.headers().clone()?;
        match headers.inner().get("traceparent")? {
            AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
            other => panic!("{other:?}"),
        }
    });
    carried.collect()
}

fn publish_with_traceparent(corner: &Corner, value: AMQPValue, bodies: &[Vec<u8>]) {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), value);
    corner.publish_with(&properties("m").with_headers(headers), bodies);
}

fn only(mut spans: Vec<Span>) -> Span {
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[test]
fn an_event_can_be_followed_from_the_poll_to_the_script() {
    let (corner, collector) = (Corner::new("traces"), Collector::start());
    let github = GitHub::generated(&["--per-poll", "120"]);
    let variables = [
        ("GITHUB_API_URL", github.url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/", collector.url)),
    ];
    run(&corner, "fetcher", &variables, &["--once"]);
    drain(&corner, &collector);
    assert!(corner.loaded() > 100, "{}", corner.loaded());

    let (poll, fetch) = (only(collector.named("fetcher", "poll")), only(collector.named("fetcher", "fetch")));
    let publish = only(collector.named("fetcher", &format!("publish {}", corner.namespace)));
    assert_eq!((&poll.parent, &fetch.parent, &publish.parent), (&String::new(), &poll.id, &poll.id));
    let processes = collector.named("loader", &format!("process {}.load", corner.namespace));
    let scripts = collector.named("loader", "EVALSHA load_event");
    assert!(!processes.is_empty() && scripts.len() >= processes.len(), "{:?}", collector.spans());
    for process in &processes {
        assert_eq!((&process.trace, &process.parent), (&poll.trace, &publish.id));
    }
    let ids: BTreeSet<_> = processes.iter().map(|process| &process.id).collect();
    for script in &scripts {
        assert!(script.trace == poll.trace && ids.contains(&script.parent), "{script:?}");
    }
    // Of batches, not of events.
    assert!(collector.spans().len() < corner.loaded() / 2, "{}", collector.spans().len());
}

#[test]
fn without_the_variable_no_message_gets_a_header_and_nothing_is_connected_to() {
    let (corner, collector) = (Corner::new("untraced"), Collector::start());
    let github = GitHub::generated(&["--per-poll", "20"]);
    let variables = [("GITHUB_API_URL", github.url.as_str())];
    run(&corner, "fetcher", &variables, &["--once"]);
    let off = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_SDK_DISABLED", "true")];
    run(&corner, "fetcher", &[&variables[..], &off[..]].concat(), &["--once"]);
    let carried = carried(&corner, "load");
    assert!(carried.len() >= 40 && carried.iter().all(Option::is_none), "{carried:?}");
    assert_eq!(collector.connections(), 0);
}

#[test]
fn a_traceparent_that_is_none_is_ignored_and_several_publishes_of_one_batch_have_a_span_each() {
    let (corner, collector) = (Corner::new("odd-traces"), Collector::start());
    let odd = [
        AMQPValue::LongString("00-nonsense".into()),
        AMQPValue::LongString(vec![0xff; 55].into()),
        AMQPValue::LongString("x".repeat(100_000).into()),
        AMQPValue::LongLongInt(7),
        AMQPValue::Void,
    ];
    for (n, value) in odd.into_iter().enumerate() {
        publish_with_traceparent(&corner, value, &[event(n).bytes()]);
    }
    publish_with_traceparent(
        &corner,
        AMQPValue::LongString(OF_OLD.into()),
        &[event(10).bytes(), event(11).bytes()],
    );
    drain(&corner, &collector);
    assert_eq!((corner.loaded(), corner.ready("load.dead")), (7, 0));
    let processes = collector.named("loader", "process");
    let (known, new): (Vec<_>, Vec<_>) = processes.iter().partition(|span| !span.parent.is_empty());
    assert!(!new.is_empty() && !known.is_empty(), "{processes:?}");
    for span in known {
        assert_eq!((span.trace.as_str(), span.parent.as_str()), (&OF_OLD[3..35], &OF_OLD[36..52]));
    }
}

#[test]
fn a_replay_links_to_what_it_repeats_and_is_a_trace_of_its_own() {
    let (corner, collector) = (Corner::new("retraced"), Collector::start());
    publish_with_traceparent(&corner, AMQPValue::LongString(OF_OLD.into()), &[b"not an event".to_vec()]);
    corner.drain();
    assert_eq!(corner.ready("load.dead"), 1);
    run(&corner, "replay", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)], &["dead"]);
    let publish = only(collector.named("replay", "publish"));
    assert_eq!((publish.parent.as_str(), publish.links.as_slice()), ("", &[OF_OLD[3..35].to_owned()][..]));
    assert_ne!(publish.trace, OF_OLD[3..35]);
    assert_eq!(carried(&corner, "load"), [Some(format!("00-{}-{}-01", publish.trace, publish.id))]);
}

#[test]
fn a_collector_that_is_away_holds_nothing_up_and_is_told_of_once() {
    let corner = Corner::new("uncollected");
    corner.publish(&(0..50).map(|n| event(n).bytes()).collect::<Vec<_>>());
    let endpoint = format!("http://user:secret@127.0.0.1:{}", free_port());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let started = Instant::now();
    let log = run(&corner, "loader", &variables, &["--drain", "--stream-maxlen", "0"]);
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
    assert_eq!(corner.loaded(), 50);
    let away = log.lines().filter(|line| line.contains("the collector of spans at 127.0.0.1:")).count();
    assert_eq!(away, 1, "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn a_program_without_its_collector_is_ready_and_says_what_it_does_without() {
    let (corner, status) = (Corner::new("degraded"), Status::new());
    let endpoint = format!("http://user:secret@127.0.0.1:{}", free_port());
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ];
    let loader = Program::start("loader", &variables, &["--metrics-listen", &status.address]);
    corner.publish(&[event(1).bytes()]);
    let answer = || status.get("/readyz").unwrap_or_default();
    eventually("it says so", || answer().contains(r#""degraded":{"the collector of spans at 127.0.0.1:"#));
    assert!(status.is_ready() && !answer().contains("secret"), "{}", answer());
    let ended = loader.stop();
    assert!(ended.stderr.contains("events go on without it"), "{}", ended.stderr);
}
