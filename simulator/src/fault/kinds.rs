//! The kinds of faults: names, options and descriptions, in one table for parser, help and errors.

/// Every kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SecondaryLimit,
    TooManyRequests,
    RateLimit,
    Forbidden,
    BadCredentials,
    Status500,
    Status502,
    Status503,
    NotModified,
    Html,
    EmptyPage,
    Hang,
    Huge,
    GzipBomb,
    RedirectOther,
    RedirectSame,
    RedirectLoop,
    Trickle,
    Truncated,
    InvalidJson,
    PollInterval,
    SkewedDate,
    Duplicates,
    PageShift,
    Old,
    Late,
    NotAnEvent,
    WithoutType,
    ForeignLink,
}

/// A kind's name, its own option with a default, and its description.
pub struct Row(pub &'static str, pub Kind, pub Option<Own>, pub &'static str);

/// The option that only this kind has.
pub struct Own {
    pub name: &'static str,
    /// None: chosen when the fault strikes.
    pub default: Option<&'static str>,
    pub whole_number: bool,
}

const fn number(name: &'static str, default: &'static str) -> Option<Own> {
    Some(Own { name, default: Some(default), whole_number: true })
}

const fn text(name: &'static str, default: Option<&'static str>) -> Option<Own> {
    Some(Own { name, default, whole_number: false })
}

pub const KINDS: [Row; 29] = [
    Row("secondary-limit", Kind::SecondaryLimit, number("seconds", "60"), "403 with Retry-After"),
    Row("too-many-requests", Kind::TooManyRequests, number("seconds", "60"), "429 with Retry-After"),
    Row(
        "rate-limit",
        Kind::RateLimit,
        number("seconds", "60"),
        "403 with X-RateLimit-Reset that far ahead, no Retry-After",
    ),
    Row("forbidden", Kind::Forbidden, None, "403 that is no limit: quota left, no Retry-After"),
    Row(
        "bad-credentials",
        Kind::BadCredentials,
        None,
        "401, as for a token that is wrong, expired or revoked",
    ),
    Row("500", Kind::Status500, None, "500 with a JSON message"),
    Row("502", Kind::Status502, None, "502 with a JSON message"),
    Row("503", Kind::Status503, None, "503 with an HTML page"),
    Row("not-modified", Kind::NotModified, None, "304, whatever is new"),
    Row("html", Kind::Html, None, "200 with an HTML page"),
    Row("empty-page", Kind::EmptyPage, None, "200 with []"),
    Row("hang", Kind::Hang, None, "takes the request and never answers"),
    Row("huge", Kind::Huge, number("bytes", "10000000000"), "200 with a JSON array that long"),
    Row(
        "gzip-bomb",
        Kind::GzipBomb,
        number("bytes", "10000000000"),
        "200 with a small gzip body that becomes that long",
    ),
    Row(
        "redirect-other",
        Kind::RedirectOther,
        text("to", None),
        "302 to another host [default: localhost for 127.0.0.1 and the reverse]",
    ),
    Row("redirect-same", Kind::RedirectSame, None, "301 to the same host, which then answers"),
    Row("redirect-loop", Kind::RedirectLoop, None, "302 to the same URL"),
    Row("trickle", Kind::Trickle, None, "the right answer at 1 byte a second"),
    Row("truncated", Kind::Truncated, None, "half of the body, then the connection closes"),
    Row("invalid-json", Kind::InvalidJson, None, "half of the body as if it were all"),
    Row(
        "poll-interval",
        Kind::PollInterval,
        text("value", Some("0")),
        "that X-Poll-Interval, such as 0, -1, 1000000000 or abc",
    ),
    Row("skewed-date", Kind::SkewedDate, number("seconds", "-86400"), "a Date header off by so much"),
    Row("duplicates", Kind::Duplicates, None, "the first half of the page's events again at its end"),
    Row(
        "page-shift",
        Kind::PageShift,
        number("events", "10"),
        "so many events again that were on the page before",
    ),
    Row("old", Kind::Old, number("events", "100"), "the page as it was so many events ago"),
    Row(
        "late",
        Kind::Late,
        number("events", "1"),
        "so many events enter below the newest page, ten minutes old if generated",
    ),
    Row(
        "not-an-event",
        Kind::NotAnEvent,
        text("json", Some(r#"{"message":"not an event"}"#)),
        "such an element in the middle of the page",
    ),
    Row(
        "without-type",
        Kind::WithoutType,
        text("type", Some("WatchEvent")),
        "the page without its events of that type",
    ),
    Row(
        "foreign-link",
        Kind::ForeignLink,
        text("to", None),
        "Link headers to another host [default: as redirect-other]",
    ),
];
