//! GitHub's headers about the time of the next request. Pure. Every value is bounded, whatever the server sends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, ETAG, HeaderMap, RETRY_AFTER};

/// Bounds of `X-Poll-Interval` and of every wait: a server that says 0 is not hammered, one that says a year is asked
/// again within the hour that GitHub's limits last.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// An ETag longer than this is not kept: it would only be a way to make us send junk.
const ETAG_BYTES_MAX: usize = 256;

/// The values of the headers of one response. A value is None if its header is missing or invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `X-RateLimit-Remaining` and `-Reset`.
    pub quota: Option<Quota>,
    /// `X-Poll-Interval`, 1 s to 1 h.
    pub poll_interval: Option<Duration>,
    /// `Retry-After`, 1 s to 1 h.
    pub retry_after: Option<Duration>,
}

/// How many more requests GitHub takes from us before its limit starts afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests left.
    pub remaining: u64,
    /// Of how many, where GitHub says so.
    pub limit: Option<u64>,
    /// Until it starts afresh, 0 to 1 h.
    pub resets_in: Duration,
}

impl Hints {
    /// Reads `headers`. `now` is our clock, used only when the response has no `Date` of its own: times in GitHub's headers
    /// are by GitHub's clock.
    pub(super) fn read(headers: &HeaderMap, now: DateTime<Utc>) -> Self {
        let server_now = text(headers, DATE.as_str()).and_then(http_date).unwrap_or(now);
        Self {
            quota: quota(headers, server_now),
            poll_interval: number(headers, "x-poll-interval").map(poll_interval),
            retry_after: text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after(value, server_now)),
        }
    }

    /// A refusal is one of the token's limits: GitHub says when to come back, or no quota is left.
    pub(super) fn tell_a_limit(&self) -> bool {
        self.retry_after.is_some() || self.quota.is_some_and(|quota| quota.remaining == 0)
    }

    /// How long a refused request should wait: `Retry-After`, else the reset, if the quota is used up and the reset is
    /// still to come.
    pub(super) fn asked_wait(&self) -> Option<Duration> {
        let reset = || {
            let quota = self.quota.filter(|quota| quota.remaining == 0)?;
            Some(quota.resets_in).filter(|wait| !wait.is_zero())
        };
        self.retry_after.or_else(reset)
    }
}

/// An interval between polls that GitHub asks for, within the bounds that we hold.
pub fn poll_interval(seconds: u64) -> Duration {
    Duration::from_secs(seconds).clamp(WAIT_MIN, WAIT_MAX)
}

/// True for 1 to 256 visible ASCII characters: an ETag that may be sent back.
pub fn is_fit_etag(value: &[u8]) -> bool {
    (1..=ETAG_BYTES_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// The `ETag`, quotes and all, if it is fit to be sent back.
pub(super) fn etag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(ETAG)?.as_bytes();
    is_fit_etag(value).then(|| String::from_utf8_lossy(value).into_owned())
}

fn quota(headers: &HeaderMap, server_now: DateTime<Utc>) -> Option<Quota> {
    let remaining = number(headers, "x-ratelimit-remaining")?;
    let reset = number(headers, "x-ratelimit-reset")?;
    let now_s = u64::try_from(server_now.timestamp()).unwrap_or(0);
    let resets_in = Duration::from_secs(reset.saturating_sub(now_s)).min(WAIT_MAX);
    Some(Quota { remaining, limit: number(headers, "x-ratelimit-limit"), resets_in })
}

/// Seconds, or a date (<https://www.rfc-editor.org/rfc/rfc9110#name-retry-after>).
fn retry_after(value: &str, server_now: DateTime<Utc>) -> Option<Duration> {
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (http_date(value)? - server_now).to_std().unwrap_or_default(),
    };
    Some(wait.clamp(WAIT_MIN, WAIT_MAX))
}

fn http_date(value: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(value).ok().map(|time| time.to_utc())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests;
