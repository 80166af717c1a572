//! Logs on stderr; `/metrics`, `/healthz`, `/readyz` and traces where asked for.

mod distribution;
mod export;
mod one_line;
pub mod traces;

pub use distribution::{describe_distribution, set_distribution};
pub use export::{Exporting, export_spans};

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::{FormatFields, format};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Environment, LogFormat, TelemetryArgs, UsageError};
use crate::health::Health;
use crate::http;
use crate::terminal::Escaped;

/// The filter if `RUST_LOG` is not set: our own lines, and warnings of libraries. The AMQP client has none, because we log the end of
/// a session ourselves.
const FILTER_DEFAULT: &str = "warn,github_event_etl=info";
/// Libraries that would show a password, whatever `RUST_LOG` asks for: at trace they log the bytes of the login.
const SILENT: [&str; 2] = ["lapin", "amq_protocol"];
/// The metric that is a histogram, and the bounds of its buckets. Other distributions are summaries. A loader lags by seconds behind
/// its queue and by minutes behind GitHub, which shows events late. Replayed events may have any age.
const BUCKETS: (&str, [f64; 18]) = (
    "github_etl_loader_lag_seconds",
    [
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0, 300.0, 360.0, 600.0, 1800.0, 3600.0,
        21600.0, 86400.0,
    ],
);
/// How often recorded histograms are folded, so that they do not grow until the next scrape.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

const BUILD_INFO: &str = "github_etl_build_info";
const READY: &str = "github_etl_ready";

/// Lines that may wait for the reader of stderr. Further lines are dropped: a log must not delay events.
const LINES_WAITING_MAX: usize = 4096;

/// Sends log lines to stderr, from a thread of their own; stdout is for data. The lines that wait are written when the guard
/// is dropped, unless nobody reads them.
///
/// # Errors
/// [`UsageError`] when `RUST_LOG` is not a filter.
pub fn install_log(format: LogFormat, environment: &Environment) -> anyhow::Result<LogGuard> {
    let filter = match environment.lookup("RUST_LOG")? {
        Some(text) => EnvFilter::try_new(&text).map_err(|error| {
            UsageError(format!("RUST_LOG: '{text}' is not a filter such as info or debug: {error}"))
        })?,
        None => EnvFilter::new(FILTER_DEFAULT),
    };
    // This is not a directive of the user's filter. A directive of the user for a part of the library would be more specific.
    let discreet = filter_fn(|metadata| !SILENT.iter().any(|library| metadata.target().starts_with(library)));
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING_MAX).finish(std::io::stderr());
    let dropped = writer.error_counter();
    let lines_to = move || one_line::OneLine(writer.clone());
    // If stderr is closed, tracing-subscriber would report that on stderr, and panic.
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines_to).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let lines = lines.with_target(false).with_ansi(std::io::stderr().is_terminal());
            lines.fmt_fields(sentence_alone()).finish().with(discreet).init();
        }
        LogFormat::Json => lines.json().flatten_event(true).finish().with(discreet).init(),
    }
    Ok(LogGuard { worker: Some(guard), dropped })
}

/// Writes the sentence of a log event, with control characters escaped. The fields are for the JSON format: the sentence has their
/// values.
fn sentence_alone() -> impl for<'writer> FormatFields<'writer> + 'static {
    format::debug_fn(|line, field, value| {
        if field.name() == "message" { write!(line, "{}", Escaped(&format!("{value:?}"))) } else { Ok(()) }
    })
}

/// Writes the lines that wait when it is dropped.
pub struct LogGuard {
    worker: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Nobody reads the log: the worker's own end would wait, and say so on stdout, which is for data.
        if self.dropped.dropped_lines() > 0 {
            std::mem::forget(self.worker.take());
        }
    }
}

/// Serves metrics and health in the background when an address is given; without one, recording metrics costs nothing.
///
/// # Errors
/// When the address cannot be bound.
pub fn serve(args: &TelemetryArgs, program: &str, health: &Health) -> anyhow::Result<()> {
    let Some(address) = args.metrics_listen else { return Ok(()) };
    let metrics = record(program)?;
    let listener = http::listen(address, "--metrics-listen (METRICS_LISTEN)")?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving /metrics, /healthz and /readyz at http://{address}");
    let app = router(metrics, health.clone());
    tokio::spawn(http::serve(listener, app));
    Ok(())
}

/// All metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    rendered_at: Arc<Mutex<Option<Instant>>>,
}

impl Metrics {
    /// True if they were scraped within `lately`. Otherwise, metrics that are expensive to measure need not be measured.
    pub fn are_wanted(&self, lately: Duration) -> bool {
        self.rendered_at.lock().is_some_and(|at| at.elapsed() < lately)
    }

    /// The metrics for Prometheus, with what `/readyz` beside them says.
    pub fn render(&self, is_ready: bool) -> String {
        metrics::gauge!(READY).set(f64::from(u8::from(is_ready)));
        *self.rendered_at.lock() = Some(Instant::now());
        self.handle.render() + &distribution::render()
    }
}

/// Begins to record metrics, once for the process of `program`, and returns the renderer.
///
/// # Errors
/// When something else records already.
pub fn record(program: &str) -> anyhow::Result<Metrics> {
    static HANDLE: Mutex<Option<Metrics>> = Mutex::new(None);
    let mut known = HANDLE.lock();
    if let Some(handle) = &*known {
        return Ok(handle.clone());
    }
    let (metric, bounds) = BUCKETS;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(metric.to_owned()), &bounds)
        .and_then(PrometheusBuilder::install_recorder)
        .context("install the metrics recorder")?;
    metrics::describe_gauge!(BUILD_INFO, "Always 1; which program of which version this is");
    metrics::describe_gauge!(READY, "1 when the servers that the program needs answer, else 0");
    let labels = [("program", program.to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
    metrics::gauge!(BUILD_INFO, &labels).set(1);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(known.insert(Metrics { handle, rendered_at: Arc::default() }).clone())
}

fn router(metrics: Metrics, health: Health) -> Router {
    let of_metrics = health.clone();
    Router::new()
        .route("/metrics", get(async move || metrics.render(of_metrics.not_ready().is_empty())))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .with_state(health)
}

async fn readyz(State(health): State<Health>) -> (StatusCode, Json<serde_json::Value>) {
    let (status, answer) = readiness(&health);
    (status, Json(answer))
}

/// The answer of `/readyz`: 200, or 503 with the servers that the program waits for. Both name the extras that are away.
pub fn readiness(health: &Health) -> (StatusCode, serde_json::Value) {
    let waiting = health.not_ready();
    let is_ready = waiting.is_empty();
    let mut answer = serde_json::json!({ "ready": is_ready, "waiting_for": by_name(waiting) });
    let degraded = health.degraded();
    if !degraded.is_empty() {
        answer["degraded"] = by_name(degraded);
    }
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, answer)
}

fn by_name(complaints: Vec<(String, String)>) -> serde_json::Value {
    serde_json::Value::Object(complaints.into_iter().map(|(name, why)| (name, why.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_that_is_away_is_told_and_does_not_make_the_program_unready() {
        let health = Health::default();
        let redis = health.dependency("Redis");
        redis.up();
        let whole = serde_json::json!({ "ready": true, "waiting_for": {} });
        assert_eq!(readiness(&health), (StatusCode::OK, whole));
        let archive = health.extra("the archive");
        archive.away("no such stream");
        let (status, answer) = readiness(&health);
        assert_eq!((status, &answer["ready"]), (StatusCode::OK, &true.into()));
        assert_eq!(answer["degraded"], serde_json::json!({ "the archive": "no such stream" }));
        redis.away("refused");
        let (status, answer) = readiness(&health);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer["waiting_for"], serde_json::json!({ "Redis": "refused" }));
        assert_eq!(answer["degraded"], serde_json::json!({ "the archive": "no such stream" }));
    }
}
