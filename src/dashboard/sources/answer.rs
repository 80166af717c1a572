//! The answer about the sources.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::json;

use super::super::AppState;
use super::super::answer::{Bad, ok};
use super::super::query::Query;
use super::view::{Choice, SortBy};
use crate::status::SourceState;

const PARAMETERS: [&str; 6] = ["sort", "order", "search", "state", "limit", "offset"];
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;
const OFFSET_MAX: usize = 1_000_000;

pub(in super::super) async fn sources(
    State(app): State<Arc<AppState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Bad> {
    let choice = choice(&Query::parse(&query.unwrap_or_default(), &PARAMETERS)?)?;
    let sources = app.shared.sources.lock();
    let (matching, chosen) = sources.choose(&choice);
    Ok(ok(json!({
        "total": sources.known.len(),
        "told": sources.told,
        "matching": matching,
        "offset": choice.offset,
        "shown": chosen.len(),
        "as_of": sources.heard_at(),
        "summary": sources.summary(),
        "sources": chosen,
    })))
}

fn choice(query: &Query) -> Result<Choice, String> {
    let known: Vec<_> =
        SourceState::KNOWN.iter().map(SourceState::label).chain([SourceState::OTHER]).collect();
    let states: Vec<_> = known.iter().map(|label| (*label, *label)).collect();
    Ok(Choice {
        search: query.text("search").map(str::to_lowercase),
        states: query.choices("state", &states)?,
        sort: query.choice("sort", &SortBy::ALL)?.unwrap_or_default(),
        descending: query.choice("order", &[("asc", false), ("desc", true)])?.unwrap_or_default(),
        limit: query.limit(LIMIT_DEFAULT, 1..=LIMIT_MAX)?,
        offset: query.number("offset", 0, 0..=OFFSET_MAX)?,
    })
}
