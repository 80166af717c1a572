//! What one request came to.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::headers::Hints;

/// One request's outcome, with what the headers said besides.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What came.
    pub outcome: Outcome,
    /// When GitHub wants to be asked again, as far as it said so; nothing when there was no response.
    pub hints: Hints,
}

/// What a request came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 304: nothing has changed since the ETag we sent.
    NotModified,
    /// 200 with a page of events.
    Page(Page),
    /// 403 or 429: too many requests. `wait` is what GitHub asks for; nothing when it did not say.
    Limited { status: u16, wait: Option<Duration> },
    /// 401: GitHub does not take the token, or wants one.
    Denied,
    /// 404, 410, 451: no such feed, or not for us.
    Missing { status: u16 },
    /// Anything else: 5xx, no answer in time, not JSON, too large, a redirect to another server. Heals by itself, mostly.
    Failed { reason: String },
}

/// A page of a feed, newest event first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each element as the exact bytes GitHub sent.
    pub elements: Vec<Vec<u8>>,
    /// With its quotes and `W/`; only if it is fit to be sent back.
    pub etag: Option<String>,
    /// The next older page, always at the same server.
    pub next: Option<Url>,
}

impl Answer {
    /// No response at all, or one that broke off.
    pub(super) fn failed(reason: String) -> Self {
        Self { outcome: Outcome::Failed { reason }, hints: Hints::default() }
    }
}

/// The outcome of every status but 200, whose body decides.
pub(super) fn outcome_of(status: StatusCode, hints: &Hints) -> Outcome {
    match status.as_u16() {
        304 => Outcome::NotModified,
        401 => Outcome::Denied,
        // GitHub uses both for both of its limits
        // (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).
        status @ (403 | 429) => Outcome::Limited { status, wait: hints.asked_wait() },
        status @ (404 | 410 | 451) => Outcome::Missing { status },
        300..=399 => Outcome::Failed {
            reason: format!("{status}: it redirects to another server, which is not followed"),
        },
        _ => Outcome::Failed { reason: format!("it answered {status}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::Quota;

    fn outcome(status: u16, hints: &Hints) -> Outcome {
        outcome_of(StatusCode::from_u16(status).unwrap(), hints)
    }

    #[test]
    fn each_status_has_its_outcome() {
        let none = Hints::default();
        assert_eq!(outcome(304, &none), Outcome::NotModified);
        assert_eq!(outcome(401, &none), Outcome::Denied);
        assert_eq!(outcome(403, &none), Outcome::Limited { status: 403, wait: None });
        assert_eq!(outcome(429, &none), Outcome::Limited { status: 429, wait: None });
        assert_eq!(outcome(404, &none), Outcome::Missing { status: 404 });
        for status in [204, 301, 302, 400, 422, 500, 502, 503, 504] {
            assert!(matches!(outcome(status, &none), Outcome::Failed { .. }), "{status}");
        }
    }

    #[test]
    fn a_limit_waits_for_retry_after_else_for_the_reset_of_a_used_up_quota() {
        let s = Duration::from_secs;
        let quota = |remaining, resets_in| Some(Quota { remaining, limit: None, resets_in: s(resets_in) });
        for (retry_after, quota, wait) in [
            (Some(s(30)), quota(0, 900), Some(s(30))),
            (None, quota(0, 900), Some(s(900))),
            (None, quota(17, 900), None),
            (None, quota(0, 0), None),
            (None, None, None),
        ] {
            let hints = Hints { retry_after, quota, poll_interval: None };
            assert_eq!(outcome(403, &hints), Outcome::Limited { status: 403, wait }, "{hints:?}");
        }
    }
}
