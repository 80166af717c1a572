//! An answer before it is sent: plain data that tests can look at.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

/// Status, headers and body.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Content,
}

/// The body of an answer, and how it is sent.
#[derive(Debug)]
pub(super) enum Content {
    /// As it should be.
    Whole(Bytes),
    /// Cut off before the length that the headers announce.
    Cut(Bytes),
    /// At one byte a second.
    Trickle(Bytes),
    /// `start`, and then `filling` again and again, `times` times.
    Long { start: Bytes, filling: Bytes, times: u64 },
    /// Nothing, not even headers.
    Never,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: Content::Whole(body.into()) }
    }

    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json; charset=utf-8", body)
    }

    /// An error message in GitHub's format.
    pub(super) fn message(status: StatusCode, message: &str, documentation_url: &str) -> Self {
        let body = json!({
            "message": message, "documentation_url": documentation_url, "status": status.as_u16().to_string(),
        });
        Self::json(status, body.to_string())
    }

    pub(super) fn html(status: StatusCode, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title} &middot; GitHub</title></head><body>{title}</body></html>\n"
        );
        Self::new(status, "text/html; charset=utf-8", body)
    }

    /// Sets a header; a value that no header can hold is left out.
    pub(super) fn set(&mut self, name: &'static str, value: impl ToString) {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.set(name, value);
        self
    }

    /// Sets a header unless there is one of this name.
    pub(super) fn set_absent(&mut self, name: &'static str, value: impl ToString) {
        if !self.headers.contains_key(name) {
            self.set(name, value);
        }
    }

    /// The body, if it is sent completely.
    pub(super) fn whole(&self) -> Option<&Bytes> {
        match &self.body {
            Content::Whole(body) => Some(body),
            _ => None,
        }
    }
}
