//! The files of the web page, which are part of the binary.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::error;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the page: its name below `/assets/`, its type, its bytes.
struct Asset(&'static str, &'static str, &'static [u8]);

macro_rules! asset {
    ($name:literal, $kind:ident) => {
        Asset($name, $kind, include_bytes!(concat!("assets/", $name)))
    };
}

/// All of them. The first two are pages.
const ASSETS: &[Asset] = &[
    asset!("index.html", HTML),
    asset!("sources.html", HTML),
    asset!("style.css", STYLE),
    asset!("icon.svg", IMAGE),
    asset!("app.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("leaderboard.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("panels.js", SCRIPT),
    asset!("poll.js", SCRIPT),
    asset!("source-row.js", SCRIPT),
    asset!("sources.js", SCRIPT),
    asset!("status.js", SCRIPT),
    asset!("summary.js", SCRIPT),
    asset!("text.js", SCRIPT),
    asset!("well.js", SCRIPT),
];

/// The page.
pub(super) async fn page() -> Response {
    serve(&ASSETS[0])
}

/// The page of the sources.
pub(super) async fn sources_page() -> Response {
    serve(&ASSETS[1])
}

/// A file by its name.
pub(super) fn file(name: &str) -> Response {
    match ASSETS.iter().find(|asset| asset.0 == name) {
        Some(asset) => serve(asset),
        None => error(StatusCode::NOT_FOUND, "there is no such file"),
    }
}

fn serve(Asset(_, kind, bytes): &'static Asset) -> Response {
    // A newer binary has a newer page.
    ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")], *bytes).into_response()
}
