//! The JSON API. If a server is away, answers do not wait and do not fail: they give older data, and say when it was read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::AppState;
use super::answer::{Bad, ok};
use super::boards::{Board, DEVELOPERS_MAX};
use super::feed::LiveEvent;
use super::looker::{DeadLetters, Gaps};
use super::query::Query;
use super::shared::Dated;
use crate::event::Hour;
use crate::store::Lookup;

/// How long an answer may wait for the first data after a pause.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often to check whether the data is there.
const GLANCE: Duration = Duration::from_millis(20);

type Answer = Result<Response, Bad>;

const DEVELOPERS_DEFAULT: usize = 10;
const EVENTS_DEFAULT: usize = 50;
const EVENTS_MAX: usize = 500;

pub(super) async fn leaderboard(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(&query.unwrap_or_default(), &["hour", "limit"])?;
    let (hour, limit) = (query.hour()?, query.limit(DEVELOPERS_DEFAULT, 1..=DEVELOPERS_MAX)?);
    let shared = &app.shared;
    shared.ask();
    let hour = match hour {
        Some(hour) => hour,
        None => newest_hour(&app).await,
    };
    let board = shared.boards.of(hour, &app.store, shared.redis.is_away()).await;
    let (as_of, Board { mut developers, types }) =
        board.map(|Dated { at, value }| (Some(at), value)).unwrap_or_default();
    developers.truncate(limit);
    let total: u64 = types.values().sum();
    Ok(ok(json!({ "hour": hour, "developers": developers, "types": types, "total": total, "as_of": as_of })))
}

/// The newest hour that has counts, or the current one.
async fn newest_hour(app: &AppState) -> Hour {
    let newest = || app.shared.hours.lock().all().last().copied();
    if newest().is_none() && !app.shared.redis.is_away() {
        wait_until(|| newest().is_some()).await;
    }
    newest().or_else(|| app.shared.feed.newest_hour()).unwrap_or_else(|| Hour::of(Utc::now()))
}

pub(super) async fn events(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(&query.unwrap_or_default(), &["type", "repo", "actor", "limit"])?;
    let (filter, limit) = (query.filter()?, query.limit(EVENTS_DEFAULT, 1..=EVENTS_MAX)?);
    warm_up(&app).await;
    let feed = &app.shared.feed;
    let as_of = feed.as_of();
    let newest = feed.newest(&filter, limit);
    let events = newest.iter().filter_map(|event| shown(event)).collect();
    Ok(ok(Events { events, as_of }))
}

#[derive(Serialize)]
struct Events<'a> {
    events: Vec<Shown<'a>>,
    as_of: Option<DateTime<Utc>>,
}

/// An event with the text of its numbers as it is.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    event: &'a RawValue,
}

fn shown(event: &LiveEvent) -> Option<Shown<'_>> {
    Some(Shown { id: &event.id, event: serde_json::from_str(&event.json).ok()? })
}

/// Waits until the kept events are current, or Redis is away. True if they are current.
pub(super) async fn warm_up(app: &AppState) -> bool {
    let asked_at = Utc::now() - chrono::TimeDelta::seconds(2);
    let shared = &app.shared;
    shared.ask();
    wait_until(|| shared.redis.is_away() || shared.feed.as_of().is_some_and(|as_of| as_of >= asked_at)).await;
    shared.feed.as_of().is_some_and(|as_of| as_of >= asked_at)
}

async fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..FIRST_LOOK.as_millis() / GLANCE.as_millis() {
        if condition() {
            return;
        }
        tokio::time::sleep(GLANCE).await;
    }
}

pub(super) async fn queues(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let shared = &app.shared;
    shared.ask();
    wait_until(|| shared.rabbitmq.is_away() || shared.looks.lock().queues.is_some()).await;
    let (as_of, queues) = parts(shared.looks.lock().queues.clone());
    Ok(ok(json!({ "queues": queues, "as_of": as_of })))
}

pub(super) async fn dead_letters(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let shared = &app.shared;
    shared.ask();
    wait_until(|| shared.rabbitmq.is_away() || shared.looks.lock().dead.is_some()).await;
    let (as_of, DeadLetters { total, looked_at, groups }) = parts(shared.looks.lock().dead.clone());
    Ok(ok(json!({ "total": total, "looked_at": looked_at, "groups": groups, "as_of": as_of })))
}

pub(super) async fn gaps(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let shared = &app.shared;
    shared.ask();
    wait_until(|| shared.rabbitmq.is_away() || shared.looks.lock().gaps.is_some()).await;
    let (as_of, Gaps { total, gaps }) = parts(shared.looks.lock().gaps.clone());
    Ok(ok(json!({ "total": total, "gaps": gaps, "as_of": as_of })))
}

pub(super) async fn workers(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    Query::parse(&query.unwrap_or_default(), &[])?;
    let workers = app.shared.workers.lock();
    let as_of = workers.heard_at();
    Ok(ok(json!({ "workers": workers.list(), "as_of": as_of })))
}

/// Asks Redis for each request: the answer is about one event, and costs Redis one or two small commands.
pub(super) async fn event_log(State(app): State<Arc<AppState>>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(&query.unwrap_or_default(), &["id", "created_at"])?;
    let id = query.text("id").ok_or_else(|| "id: it is missing; give the id of an event".to_owned())?;
    let created_at = query.time("created_at")?;
    let unknown = || ok(json!({ "id": id, "created_at": created_at, "loaded": null, "event_log": null }));
    if app.shared.redis.is_away() {
        return Ok(unknown());
    }
    let lookup = match app.store.look_up(id, created_at.as_deref()).await {
        Ok(Some(lookup)) => lookup,
        Ok(None) => {
            return Err("created_at: it is missing; with --event-log per-second, an event is found by id and created_at"
                .to_owned()
                .into());
        }
        // The follower reports that Redis is away.
        Err(_) => return Ok(unknown()),
    };
    let Lookup { event_log, loaded, created_at } = lookup;
    Ok(ok(json!({ "id": id, "created_at": created_at, "loaded": loaded, "event_log": event_log.name() })))
}

fn parts<T: Default>(dated: Option<Dated<T>>) -> (Option<DateTime<Utc>>, T) {
    dated.map(|Dated { at, value }| (Some(at), value)).unwrap_or_default()
}
