//! Answers in JSON, and errors as answers.

use axum::Json;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// An answer in JSON that no cache may store.
pub(super) fn ok(value: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

/// The same, from text that is JSON already.
pub(super) fn ok_bytes(json: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, json).into_response()
}

/// An error in JSON, as a sentence.
pub(super) fn error(status: StatusCode, text: &str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(json!({ "error": text }))).into_response()
}

/// A bad parameter. The text names it, and the values that it may have.
pub(super) struct Bad(pub(super) String);

impl From<String> for Bad {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl IntoResponse for Bad {
    fn into_response(self) -> Response {
        error(StatusCode::BAD_REQUEST, &self.0)
    }
}
