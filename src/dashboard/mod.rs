//! The dashboard: a web page, a JSON API and live events.
//!
//! Tasks collect data, and answers show it:
//!
//! - `listener` receives the status that programs publish.
//! - `follower` reads events as they load.
//! - `looker` reads queues.
//! - `hours` finds the hours that have counts.
//!
//! While no client asks, the tasks cost the servers next to nothing. If a server is away, answers are older and say so; they never fail.
//! `security` turns away clients without access. The web server is in `http`.

mod answer;
mod api;
mod assets;
mod boards;
mod depths;
mod feed;
mod follower;
mod history;
mod hours;
mod listener;
mod looker;
mod moment;
mod overview;
mod past;
mod query;
mod security;
mod shared;
mod sources;
mod stream;
mod tail;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Names};
use crate::config::{Access, AmqpUrl, DashboardArgs, Namespace, RedisUrl};
use crate::health::Health;
use crate::http;
use crate::program::{self, Context};
use crate::store::Store;
use crate::telemetry;
use shared::Shared;

/// Clients that watch live events at once.
const STREAMS_MAX: usize = 300;

/// The servers, the address and the access of a dashboard.
pub struct Settings {
    pub amqp: AmqpUrl,
    pub redis: RedisUrl,
    pub namespace: Namespace,
    /// The load queue to show.
    pub queue: String,
    pub listen: SocketAddr,
    pub access: Access,
}

/// The state that every handler of a request uses.
struct AppState {
    shared: Arc<Shared>,
    store: Arc<Store>,
    access: Access,
    /// The value of the cookie that a client gets for the token.
    session: String,
    /// The last overview, and when it was made.
    overview: Mutex<Option<(Instant, Bytes)>>,
    streams: Arc<Semaphore>,
}

/// The program `dashboard`.
///
/// # Errors
/// When the configuration is invalid or the address is not free.
pub async fn run(args: DashboardArgs, context: Context) -> anyhow::Result<()> {
    let tls = args.servers.tls()?;
    let (amqp, redis) = (args.servers.amqp(&tls)?, args.servers.redis(&context.environment, &tls)?);
    if args.tail.tail {
        let store = Store::new(&redis, &args.servers.namespace)?;
        return tail::run(&args.tail, store, &context.health, context.shutdown).await;
    }
    let listen = args.serve.listen;
    let access = args.serve.access.check(listen, &context.environment)?;
    let (namespace, queue) = (args.servers.namespace, args.queue);
    let settings = Settings { amqp, redis, namespace, queue, listen, access };
    serve(settings, &context.health, context.shutdown).await
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the configuration is invalid or the address is not free.
pub async fn serve(settings: Settings, health: &Health, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = http::listen(settings.listen, "the dashboard")?;
    let address = listener.local_addr()?;
    let app = Arc::new(open(settings, health)?);
    tracing::info!(%address, "the dashboard is at http://{address}/");
    tokio::select! {
        () = http::serve(listener, router(app)) => {}
        () = shutdown.cancelled() => {}
    }
    Ok(())
}

/// Serves on a thread of its own until `shutdown`, so that clients take no time from the pipeline. An error is logged, and the rest
/// of the program continues.
pub fn serve_beside(settings: Settings, shutdown: CancellationToken) {
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(serve(settings, &Health::default(), shutdown));
        program::leave(runtime);
        result
    };
    let thread = std::thread::Builder::new().name("dashboard".into()).spawn(|| {
        if let Err(error) = run() {
            tracing::warn!(
                "{error:#}; continuing without a dashboard (--dashboard-listen, DASHBOARD_LISTEN)"
            );
        }
    });
    if let Err(error) = thread {
        tracing::warn!("no thread for the dashboard: {error}; continuing without a dashboard");
    }
}

/// Starts the tasks.
fn open(settings: Settings, health: &Health) -> anyhow::Result<AppState> {
    let Settings { amqp, redis, namespace, queue, access, .. } = settings;
    // Connecting declares the broker's load queue. A dashboard must not declare a queue that nobody consumes, so it uses the default
    // one, which always exists.
    let broker = Broker::new(&amqp, Names::new(&namespace, "load"), "dashboard")?;
    let names = Names::new(&namespace, &queue);
    // A connection of its own for the follower, so that answers do not wait for its reads.
    let (following, store) = (Store::new(&redis, &namespace)?, Arc::new(Store::new(&redis, &namespace)?));
    let shared = Arc::new(Shared {
        namespace: namespace.as_str().to_owned(),
        names,
        health: health.clone(),
        redis: health.dependency(format!("Redis at {}", store.address())),
        rabbitmq: health.dependency(format!("RabbitMQ at {}", broker.address())),
        redis_seen_at: Default::default(),
        workers: Mutex::new(workers::Workers::of_queue(&queue)),
        sources: Default::default(),
        looks: Default::default(),
        hours: Default::default(),
        boards: Default::default(),
        feed: feed::LiveEvents::new(),
        metrics: telemetry::record("dashboard")?,
        asked_at: Default::default(),
    });
    describe_metrics();
    tokio::spawn(listener::run(Arc::clone(&shared), broker.clone()));
    tokio::spawn(looker::run(Arc::clone(&shared), broker));
    tokio::spawn(follower::run(Arc::clone(&shared), following));
    tokio::spawn(hours::run(Arc::clone(&shared), Arc::clone(&store)));
    let session = format!("{:032x}", rand::random::<u128>());
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    Ok(AppState { shared, store, access, session, overview: Mutex::default(), streams })
}

/// Describes each metric.
fn describe_metrics() {
    metrics::describe_gauge!(
        "github_etl_queue_messages_ready",
        "Messages ready in a queue: no consumer holds them"
    );
    metrics::describe_gauge!("github_etl_queue_consumers", "Consumers of a queue");
    metrics::describe_gauge!("github_etl_dashboard_stream_clients", "Clients that watch live events");
    metrics::gauge!("github_etl_dashboard_stream_clients").set(0);
}

fn router(app: Arc<AppState>) -> Router {
    Router::new()
        .route("/", get(assets::page))
        .route("/sources", get(assets::sources_page))
        .route("/assets/{*name}", get(|Path(name): Path<String>| async move { assets::file(&name) }))
        .route("/api/overview", get(overview::overview))
        .route("/api/leaderboard", get(api::leaderboard))
        .route("/api/events", get(api::events))
        .route("/api/events/stream", get(stream::stream))
        .route("/api/queues", get(api::queues))
        .route("/api/dead-letters", get(api::dead_letters))
        .route("/api/gaps", get(api::gaps))
        .route("/api/workers", get(api::workers))
        .route("/api/sources", get(sources::sources))
        .route("/api/event-log", get(api::event_log))
        .route("/login", get(security::login).post(security::login))
        .route("/healthz", get(overview::healthz))
        .route("/readyz", get(overview::readyz))
        .route("/metrics", get(overview::metrics))
        .fallback(|| async { answer::error(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            answer::error(StatusCode::METHOD_NOT_ALLOWED, "this can only be read: use GET")
        })
        .layer(from_fn_with_state(Arc::clone(&app), security::guard))
        .with_state(app)
}
