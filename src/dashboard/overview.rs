//! The overview, which the page asks for every two seconds, and the answers about health.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::AppState;
use super::answer::{Bad, ok, ok_bytes};
use super::depths::Queue;
use super::query::Query;
use super::security::is_admitted;
use super::shared::Shared;
use super::workers::Summary;
use crate::health::Dependency;
use crate::telemetry;

/// How long an answer is used again: it has tens of kilobytes, and many clients ask at the same time.
const FRESH: Duration = Duration::from_millis(300);

pub(super) async fn overview(
    State(app): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Bad> {
    Query::parse(&query.unwrap_or_default(), &[])?;
    app.shared.ask();
    let mut latest = app.overview.lock();
    if let Some((made_at, body)) = &*latest
        && made_at.elapsed() < FRESH
    {
        return Ok(ok_bytes(body.clone()));
    }
    // Our own strings and numbers: this cannot fail.
    let body = Bytes::from(serde_json::to_vec(&look(&app.shared)).unwrap_or_default());
    *latest = Some((Instant::now(), body.clone()));
    Ok(ok_bytes(body))
}

fn look(shared: &Shared) -> Value {
    let now = Utc::now();
    let (summary, history) = {
        let workers = shared.workers.lock();
        (workers.summary(), workers.history())
    };
    let problems = problems(shared, &summary);
    let Summary { totals, lag, quota, .. } = &summary;
    let quota = quota.as_ref().map(|fetcher| {
        json!({
            "remaining": fetcher.quota_remaining, "limit": fetcher.quota_limit, "resets_at": fetcher.quota_resets_at,
        })
    });
    let (dead_letters, gaps) = of_queues(shared);
    json!({
        "now": now,
        "namespace": shared.namespace,
        "version": env!("CARGO_PKG_VERSION"),
        "healthy": problems.is_empty(),
        "problems": problems,
        "redis": server(&shared.redis, *shared.redis_seen_at.lock()),
        "rabbitmq": server(&shared.rabbitmq, summary.heard_at),
        "loaded": {
            "per_second": summary.loaded_per_second,
            "duplicates_per_second": summary.duplicates_per_second,
            "total": totals.loaded,
            "duplicates_total": totals.duplicates,
            "retried_total": totals.retried,
            "dead_total": totals.dead,
        },
        "lag": { "p50": lag.0, "p95": lag.1 },
        "coverage": summary.coverage,
        "sources": sources(shared),
        "quota": quota,
        "gaps": gaps,
        "dead_letters": dead_letters,
        "history": history,
        "hours": shared.hours.lock().all(),
    })
}

fn sources(shared: &Shared) -> Value {
    let summary = shared.sources.lock().summary();
    json!({
        "total": summary.total, "well": summary.well, "blind": summary.blind, "coverage": summary.coverage.overall(),
    })
}

fn problems(shared: &Shared, summary: &Summary) -> Vec<String> {
    let mut problems: Vec<String> = [&shared.redis, &shared.rabbitmq]
        .into_iter()
        .filter_map(|server| Some(format!("{} is away: {}", server.name(), server.why_away()?)))
        .collect();
    // While RabbitMQ is away, problems that programs reported before may be over.
    if !shared.rabbitmq.is_away() {
        problems.extend(summary.problems.iter().cloned());
        problems
            .extend(shared.looks.lock().queues.iter().flat_map(|queues| &queues.value).filter_map(of_queue));
    }
    problems
}

/// The problem of a queue, if it has one.
fn of_queue(queue: &Queue) -> Option<String> {
    let name = &queue.name;
    match (queue.kind, queue.ready, &queue.problem) {
        (.., Some(problem)) => Some(format!("{name}: {problem}")),
        ("unrouted", Some(ready @ 1..), _) => Some(format!(
            "{ready} messages in {name}: published while no load queue was bound, or looked at too often; replay dead --queue unrouted sends them again"
        )),
        _ => None,
    }
}

fn server(server: &Dependency, as_of: Option<DateTime<Utc>>) -> Value {
    let reason = server.why_away();
    let state = match (&reason, server.is_up()) {
        (Some(_), _) => "away",
        (None, true) => "up",
        (None, false) => "starting",
    };
    json!({ "state": state, "reason": reason, "as_of": as_of })
}

/// The number of dead letters, and of gaps with their seconds as far as they were looked at.
fn of_queues(shared: &Shared) -> (Option<u32>, Value) {
    let looks = shared.looks.lock();
    let ready = |kind: &str| {
        let queues = &looks.queues.as_ref()?.value;
        queues.iter().find(|queue| queue.kind == kind)?.ready
    };
    let seconds = looks.gaps.as_ref().map(|gaps| gaps.value.gaps.iter().map(|gap| gap.seconds).sum::<u64>());
    (ready("dead"), json!({ "count": ready("gaps"), "seconds": seconds }))
}

pub(super) async fn healthz() -> &'static str {
    "alive\n"
}

pub(super) async fn readyz(State(app): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let (status, answer) = telemetry::readiness(&app.shared.health);
    if !is_admitted(&app, &headers) {
        // Only clients with access see the addresses of the servers.
        return (status, ok(json!({ "ready": status == StatusCode::OK }))).into_response();
    }
    (status, ok(answer)).into_response()
}

pub(super) async fn metrics(State(app): State<Arc<AppState>>) -> Response {
    let is_ready = app.shared.health.not_ready().is_empty();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.shared.metrics.render(is_ready)).into_response()
}
