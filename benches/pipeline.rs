//! How fast one loader drains a quorum queue into Redis, beside a consumer that only acks, in the same run.
//!
//! `make bench`, or `cargo bench --bench pipeline -- [--events N] [--rounds N] [--aof off|everysec|always] [--loader=FLAG]`.
//! Ratios are what counts: machines are noisy, but both sides of a round share the noise. Each side has a RabbitMQ node of its
//! own, just started, because what earlier backlogs have left in a node's log and segment files changes what a drain costs. Some
//! drains still cost RabbitMQ half as much again. Why is not known: its schedulers then wake each other three times as often, but
//! with a single one it happens too.

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use github_event_etl::broker::{Broker, Envelope, Names, Outgoing, Part, Route};
use github_event_etl::config::AmqpUrl;
use github_event_etl::health::Health;
use github_event_etl::simulator::Generator;
use secrecy::SecretString;
use support::process;
use support::rabbitmq::RabbitNode;
use support::redis_server::RedisServer;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "bench";
const MEAN_BYTES: u32 = 2_900;
const PREFETCH: u16 = 1000;
const ACK_EVERY: u64 = 256;

#[derive(Parser)]
struct Args {
    /// Events in a round.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Rounds; the figures' medians are printed last.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Redis's append-only file: off, or flushed everysec or always; repeatable. The stack we ship has it flushed always.
    #[arg(long, default_values = ["off", "always"])]
    aof: Vec<String>,
    /// Consume and ack this many messages and exit: the other side of the comparison, in a process of its own.
    #[arg(long, hide = true)]
    ack_only: Option<u64>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// A flag for the loader; repeatable, as in --loader=--batch-size=256.
    #[arg(long, allow_hyphen_values = true)]
    loader: Vec<String>,
}

/// One side of a round.
#[derive(Clone, Copy)]
struct Figures {
    events_per_s: f64,
    client_cpu_s: f64,
    redis_cpu_s: f64,
    rabbitmq_cpu_s: f64,
    client_peak_mib: f64,
}

fn main() {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(count) = args.ack_only {
        runtime.block_on(ack_only(&std::env::var("AMQP_URL").unwrap(), count));
        return;
    }
    let events = generate(args.events);
    let mean_kb = events.iter().map(Vec::len).sum::<usize>() as f64 / events.len() as f64 / 1000.0;
    println!("{} events, {mean_kb:.2} KB on average; prefetch {PREFETCH}", events.len());
    for aof in &args.aof {
        let redis = match aof.as_str() {
            "off" => RedisServer::start(&["--appendonly", "no"]),
            flush => RedisServer::start(&["--appendfsync", flush]),
        };
        println!("\nRedis's append-only file: {aof}");
        let rounds: Vec<_> =
            (1..=args.rounds).map(|n| runtime.block_on(round(n, &args, &events, &redis))).collect();
        summarize(&rounds);
    }
}

/// Drains the same backlog twice: acking only, and loading.
async fn round(number: usize, args: &Args, events: &[Vec<u8>], redis: &RedisServer) -> (Figures, Figures) {
    let acking = {
        let rabbitmq = node_with(events).await;
        measure(&rabbitmq, redis, args.events, spawn_ack_only(&rabbitmq, args.events), false)
    };
    show(&format!("round {number}: ack only"), &acking);
    redis::cmd("FLUSHALL").exec(&mut connection(redis)).unwrap();
    let rabbitmq = node_with(events).await;
    let loading = measure(&rabbitmq, redis, args.events, spawn_loader(&rabbitmq, redis, &args.loader), true);
    show(&format!("round {number}: loader  "), &loading);
    println!("round {number}: the loader reaches {:.0}% of acking only", 100.0 * ratio(&loading, &acking));
    (acking, loading)
}

/// A RabbitMQ node of its own that holds the backlog and is at rest.
async fn node_with(events: &[Vec<u8>]) -> RabbitNode {
    let rabbitmq = RabbitNode::start();
    publish(&rabbitmq.url(), events).await;
    wait_until_quiet(&rabbitmq);
    rabbitmq
}

/// Waits until RabbitMQ has written the backlog to its segment files: that work belongs to publishing, not to either side.
fn wait_until_quiet(rabbitmq: &RabbitNode) {
    const LOOK: Duration = Duration::from_millis(500);
    let mut before = process::cpu_seconds(rabbitmq.pid());
    loop {
        std::thread::sleep(LOOK);
        let now = process::cpu_seconds(rabbitmq.pid());
        if now - before < 0.05 * LOOK.as_secs_f64() {
            return;
        }
        before = now;
    }
}

fn generate(count: u64) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(1).with_mean_size(MEAN_BYTES);
    let start = chrono::Utc::now();
    (0..count).map(|n| generator.next_event(start + Duration::from_millis(n)).into_bytes()).collect()
}

fn broker(url: &str) -> Broker {
    let url = AmqpUrl::parse(&SecretString::from(url.to_owned())).unwrap();
    Broker::new(&url, Names::new(&NAMESPACE.parse().unwrap(), "load"), "bench").unwrap()
}

async fn publish(url: &str, events: &[Vec<u8>]) {
    let broker = broker(url);
    let mut publisher = broker.publisher(&[Part::Exchange, Part::LoadQueue], &Health::default(), true);
    let never = CancellationToken::new();
    for chunk in events.chunks(4096) {
        let queue = Route::Queue(broker.names().load().to_owned());
        let outgoing: Vec<_> = chunk
            .iter()
            .map(|body| Outgoing {
                route: queue.clone(),
                body: body.clone(),
                envelope: Envelope::json("bench"),
            })
            .collect();
        publisher.publish_all(&outgoing, &never).await.unwrap();
    }
    publisher.close().await;
}

async fn ack_only(url: &str, count: u64) {
    let never = CancellationToken::new();
    let mut consumer = broker(url).consume(PREFETCH, &never).await.unwrap().unwrap();
    for _ in 0..count {
        let delivery = consumer.next().await.unwrap();
        if delivery.tag % ACK_EVERY == 0 || delivery.tag == count {
            consumer.ack_through(delivery.tag).await.unwrap();
        }
    }
    consumer.close().await;
}

fn spawn_ack_only(rabbitmq: &RabbitNode, count: u64) -> Child {
    let own = std::env::current_exe().unwrap();
    Command::new(own)
        .args(["--ack-only", &count.to_string()])
        .env("AMQP_URL", rabbitmq.url())
        .spawn()
        .unwrap()
}

fn spawn_loader(rabbitmq: &RabbitNode, redis: &RedisServer, flags: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--drain", "--namespace", NAMESPACE, "--prefetch", &PREFETCH.to_string()])
        .args(flags)
        .env("AMQP_URL", rabbitmq.url())
        .env("REDIS_URL", redis.url())
        .env("RUST_LOG", "warn")
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Waits for the client's end and takes the figures: from its start to its exit for acking only; until the last event is in
/// Redis for the loader, because looking twice at an empty queue before it leaves is not loading.
fn measure(
    rabbitmq: &RabbitNode,
    redis: &RedisServer,
    count: u64,
    mut client: Child,
    loads: bool,
) -> Figures {
    // Rare enough not to take the two cores' time from what is measured.
    const LOOK: Duration = Duration::from_millis(10);
    let servers = || (process::cpu_seconds(redis.pid()), process::cpu_seconds(rabbitmq.pid()));
    let (start, before) = (Instant::now(), servers());
    let mut redis_connection = connection(redis);
    let (mut loaded_after, mut peak_mib) = (None, 0.0_f64);
    let pid = client.id();
    while !process::is_zombie(pid) {
        peak_mib = peak_mib.max(process::peak_memory_mib(pid));
        if loads && loaded_after.is_none() && entries_added(&mut redis_connection) >= count {
            loaded_after = Some(start.elapsed());
        }
        std::thread::sleep(LOOK);
    }
    let elapsed = loaded_after.unwrap_or_else(|| start.elapsed());
    let client_cpu_s = process::cpu_seconds(pid);
    assert!(client.wait().unwrap().success(), "the client failed");
    let added = entries_added(&mut redis_connection);
    assert!(!loads || added == count, "{added} of {count} events are loaded");
    let after = servers();
    let per_100k = 100_000.0 / count as f64;
    Figures {
        events_per_s: count as f64 / elapsed.as_secs_f64(),
        client_cpu_s: client_cpu_s * per_100k,
        redis_cpu_s: (after.0 - before.0) * per_100k,
        rabbitmq_cpu_s: (after.1 - before.1) * per_100k,
        client_peak_mib: peak_mib,
    }
}

fn connection(redis: &RedisServer) -> redis::Connection {
    redis.connect()
}

/// Events ever added to the stream, 0 before the first.
fn entries_added(connection: &mut redis::Connection) -> u64 {
    let mut info = redis::cmd("XINFO");
    info.arg("STREAM").arg(format!("{NAMESPACE}:event-stream"));
    // An error means that the stream does not exist yet.
    let fields: Result<HashMap<String, redis::Value>, _> = info.query(connection);
    match fields.map(|mut fields| fields.remove("entries-added")) {
        Ok(Some(redis::Value::Int(n))) => u64::try_from(n).unwrap(),
        Ok(other) => panic!("XINFO STREAM has no entries-added: {other:?}"),
        Err(_) => 0,
    }
}

fn ratio(loading: &Figures, acking: &Figures) -> f64 {
    loading.events_per_s / acking.events_per_s
}

fn show(what: &str, figures: &Figures) {
    println!(
        "{what}: {:>7.0} events/s; CPU s per 100,000: client {:.2}, Redis {:.2}, RabbitMQ {:.2}; client's peak memory {:.0} MiB",
        figures.events_per_s,
        figures.client_cpu_s,
        figures.redis_cpu_s,
        figures.rabbitmq_cpu_s,
        figures.client_peak_mib
    );
}

fn summarize(rounds: &[(Figures, Figures)]) {
    let median = |figure: &dyn Fn(&(Figures, Figures)) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("medians of {} rounds:", rounds.len());
    println!("  loader       {:>8.0} events/s", median(&|r| r.1.events_per_s));
    println!("  ack only     {:>8.0} events/s", median(&|r| r.0.events_per_s));
    println!("  ratio        {:>8.2}", median(&|r| ratio(&r.1, &r.0)));
    println!("  loader CPU   {:>8.2} s per 100,000 events", median(&|r| r.1.client_cpu_s));
    println!("  Redis CPU    {:>8.2} s per 100,000 events", median(&|r| r.1.redis_cpu_s));
    println!("  RabbitMQ CPU {:>8.2} s per 100,000 events", median(&|r| r.1.rabbitmq_cpu_s));
    println!("  loader peak  {:>8.0} MiB", median(&|r| r.1.client_peak_mib));
}
