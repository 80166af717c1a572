//! The outcome of one request to GitHub.

use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::headers::Hints;

/// The outcome of one request to GitHub, with the hints of its headers.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// When GitHub wants the next request, and the quota. Empty if there was no response.
    pub hints: Hints,
    /// Where GitHub redirected the request to for good, always at the same server. None without a redirect, or with a temporary one.
    pub moved_to: Option<Url>,
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 304: nothing has changed since the ETag we sent.
    NotModified,
    /// 200 with a page of events.
    Page(Page),
    /// Too many requests: 429, or a 403 that has a waiting time or no quota left. `wait` is the time that GitHub asks for, if it does.
    Limited { status: u16, wait: Option<Duration> },
    /// A 403 without a limit: GitHub refuses this feed. GitHub's secondary limit may look the same.
    Refused { status: u16 },
    /// 401: GitHub refuses the token, or needs one.
    Denied,
    /// 404, 410, 451: there is no such feed, or we may not read it.
    Missing { status: u16 },
    /// Anything else: 5xx, no answer in time, not JSON, too large, a redirect to another server. Usually temporary.
    Failed { reason: String },
}

/// A page of a feed, newest event first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each element as the exact bytes GitHub sent.
    pub elements: Vec<Vec<u8>>,
    /// The ETag, with its quotes and `W/`. None if it is not a valid header value.
    pub etag: Option<String>,
    /// The next older page, always at the same server.
    pub next: Option<Url>,
}

impl Answer {
    /// No response at all, or one that broke off.
    pub(super) fn failed(reason: String) -> Self {
        Self { outcome: Outcome::Failed { reason }, hints: Hints::default(), moved_to: None }
    }
}

/// The outcome of every status but 200, whose body decides.
pub(super) fn outcome_of(status: StatusCode, hints: &Hints) -> Outcome {
    match status.as_u16() {
        304 => Outcome::NotModified,
        401 => Outcome::Denied,
        status @ 403 if !hints.tell_a_limit() => Outcome::Refused { status },
        // GitHub uses both for both of its limits
        // (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).
        status @ (403 | 429) => Outcome::Limited { status, wait: hints.asked_wait() },
        status @ (404 | 410 | 451) => Outcome::Missing { status },
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
        assert_eq!(outcome(403, &none), Outcome::Refused { status: 403 });
        assert_eq!(outcome(429, &none), Outcome::Limited { status: 429, wait: None });
        for status in [404, 410, 451] {
            assert_eq!(outcome(status, &none), Outcome::Missing { status });
        }
        for status in [204, 301, 302, 400, 422, 500, 502, 503, 504] {
            assert!(matches!(outcome(status, &none), Outcome::Failed { .. }), "{status}");
        }
    }

    fn hints(retry_after_s: Option<u64>, quota: Option<(u64, u64)>) -> Hints {
        let s = Duration::from_secs;
        let quota =
            quota.map(|(remaining, resets_in)| Quota { remaining, limit: None, resets_in: s(resets_in) });
        Hints { retry_after: retry_after_s.map(s), quota, poll_interval: None }
    }

    #[test]
    fn a_limit_waits_for_retry_after_else_for_the_reset_of_a_used_up_quota() {
        for (status, retry_after_s, quota, wait_s) in [
            (403, Some(30), Some((0, 900)), Some(30)),
            (403, Some(30), Some((17, 900)), Some(30)),
            (403, Some(30), None, Some(30)),
            (403, None, Some((0, 900)), Some(900)),
            (403, None, Some((0, 0)), None),
            (429, None, Some((17, 900)), None),
            (429, None, None, None),
        ] {
            let limited = Outcome::Limited { status, wait: wait_s.map(Duration::from_secs) };
            assert_eq!(outcome(status, &hints(retry_after_s, quota)), limited, "{status} {quota:?}");
        }
    }

    #[test]
    fn a_403_without_retry_after_and_with_quota_left_is_the_sources_own() {
        for quota in [Some((17, 900)), Some((1, 0)), None] {
            assert_eq!(outcome(403, &hints(None, quota)), Outcome::Refused { status: 403 }, "{quota:?}");
        }
    }
}
