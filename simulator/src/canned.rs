//! Answers that need no events.

use axum::http::StatusCode;
use serde_json::json;

use super::answer::Answer;
use super::quota::Quota;

pub(super) fn nameless() -> Answer {
    let text = "\r\nRequest forbidden by administrative rules. Please make sure your request has a User-Agent header \
        (https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent). Check \
        https://developer.github.com for other possible causes.\r\n";
    Answer::new(StatusCode::FORBIDDEN, "text/html; charset=utf-8", text)
}

pub(super) fn limited(authorised: bool) -> Answer {
    let message = if authorised {
        "API rate limit exceeded for user ID 1."
    } else {
        "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a higher rate \
         limit. Check out the documentation for more details.)"
    };
    let url = "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting";
    Answer::message(StatusCode::FORBIDDEN, message, url)
}

pub(super) fn too_deep() -> Answer {
    let message = "In order to keep the API fast for everyone, pagination is limited for this resource.";
    Answer::message(StatusCode::UNPROCESSABLE_ENTITY, message, "https://docs.github.com/v3/#pagination")
}

pub(super) fn missing() -> Answer {
    Answer::message(StatusCode::NOT_FOUND, "Not Found", "https://docs.github.com/rest")
}

pub(super) fn moved(to: &str) -> Answer {
    let body = json!({
        "message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    });
    Answer::json(StatusCode::MOVED_PERMANENTLY, body.to_string()).with("location", to)
}

pub(super) fn blocked() -> Answer {
    let body = json!({
        "message": "Repository access blocked",
        "block": { "reason": "dmca", "created_at": "2026-01-01T00:00:00Z", "html_url": "https://github.com/github/dmca" },
    });
    Answer::json(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, body.to_string())
}

pub(super) fn refused() -> Answer {
    let message = "Repository access blocked";
    Answer::message(StatusCode::FORBIDDEN, message, "https://docs.github.com/rest")
}

pub(super) fn bad_credentials() -> Answer {
    Answer::message(StatusCode::UNAUTHORIZED, "Bad credentials", "https://docs.github.com/rest")
}

pub(super) fn rate_limit(quota: &Quota) -> Answer {
    let core = json!({
        "limit": quota.limit, "used": quota.used, "remaining": quota.remaining(), "reset": quota.resets_at.timestamp(),
    });
    Answer::json(StatusCode::OK, json!({ "resources": { "core": core }, "rate": core }).to_string())
}
