//! The effect of each kind of fault: on the events of a page, on a finished answer, or in place of one.

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use flate2::{Compress, Compression, FlushCompress};

use super::answer::{Answer, Content};
use super::asked::Asked;
use super::canned;
use super::fault::{Fault, Kind};

/// The mark on a URL that a redirect led to, so that it is answered.
pub(super) const REDIRECTED: &str = "redirected=1";

/// The answer that takes the place of the right one, if the fault is of that sort.
pub(super) fn instead(fault: &Fault, asked: &Asked, now: DateTime<Utc>) -> Option<Answer> {
    let seconds = fault.number();
    let secondary = |status| {
        let message =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        Answer::message(status, message, LIMITS).with("retry-after", seconds)
    };
    Some(match fault.kind {
        Kind::SecondaryLimit => secondary(StatusCode::FORBIDDEN),
        Kind::TooManyRequests => secondary(StatusCode::TOO_MANY_REQUESTS),
        Kind::RateLimit => {
            Answer::message(StatusCode::FORBIDDEN, "API rate limit exceeded for 127.0.0.1.", LIMITS)
                .with("x-ratelimit-remaining", 0)
                .with("x-ratelimit-reset", now.timestamp() + seconds)
        }
        Kind::Forbidden => canned::refused(),
        Kind::BadCredentials => canned::bad_credentials(),
        Kind::Status500 => Answer::message(StatusCode::INTERNAL_SERVER_ERROR, "Server Error", DOCS),
        Kind::Status502 => Answer::message(StatusCode::BAD_GATEWAY, "Server Error", DOCS),
        Kind::Status503 => Answer::html(StatusCode::SERVICE_UNAVAILABLE, "Unicorn!"),
        Kind::NotModified => Answer::json(StatusCode::NOT_MODIFIED, ""),
        Kind::Html => Answer::html(StatusCode::OK, "Login"),
        Kind::EmptyPage => Answer::json(StatusCode::OK, "[]"),
        Kind::Hang => Answer { body: Content::Never, ..Answer::json(StatusCode::OK, "") },
        Kind::Huge => huge(seconds.unsigned_abs()),
        Kind::GzipBomb => gzip_bomb(seconds.unsigned_abs()),
        Kind::RedirectOther => redirect(StatusCode::FOUND, &marked(&elsewhere(fault, asked), asked)),
        Kind::RedirectSame => redirect(StatusCode::MOVED_PERMANENTLY, &marked(&asked.origin(), asked)),
        Kind::RedirectLoop => redirect(StatusCode::FOUND, &format!("{}{}", asked.origin(), asked.uri)),
        _ => return None,
    })
}

const LIMITS: &str = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
const DOCS: &str = "https://docs.github.com/rest";

/// Where a page that should start after `start` events starts.
pub(super) fn shifted(faults: &[Fault], start: usize) -> usize {
    let events = |kind| {
        let fault = faults.iter().find(|fault| fault.kind == kind);
        fault.map_or(0, |fault| usize::try_from(fault.number()).unwrap_or_default())
    };
    (start + events(Kind::Old)).saturating_sub(events(Kind::PageShift))
}

/// How many events enter late, below the newest page.
pub(super) fn late(faults: &[Fault]) -> u64 {
    let late = faults.iter().filter(|fault| fault.kind == Kind::Late);
    late.map(|fault| u64::try_from(fault.number()).unwrap_or_default()).sum()
}

/// Changes the events of a page before it is made.
pub(super) fn spoil_events(faults: &[Fault], events: &mut Vec<Bytes>) {
    for fault in faults {
        match fault.kind {
            Kind::Duplicates => {
                let half = events.len().div_ceil(2);
                events.extend_from_within(..half);
            }
            Kind::NotAnEvent => {
                let odd = fault.value.clone().unwrap_or_default();
                events.insert(events.len() / 2, odd.into());
            }
            Kind::WithoutType => {
                let left_out = fault.value.as_deref();
                events.retain(|event| type_of(event).as_deref() != left_out);
            }
            _ => {}
        }
    }
}

/// The type of an event, if it has one.
fn type_of(event: &Bytes) -> Option<String> {
    let event: serde_json::Value = serde_json::from_slice(event).ok()?;
    Some(event.get("type")?.as_str()?.to_owned())
}

/// Changes a finished answer.
pub(super) fn spoil_answer(faults: &[Fault], asked: &Asked, now: DateTime<Utc>, answer: &mut Answer) {
    for fault in faults {
        match fault.kind {
            Kind::PollInterval => answer.set("x-poll-interval", fault.value.as_deref().unwrap_or_default()),
            Kind::SkewedDate => answer.set("date", http_date(skewed(now, fault.number()))),
            Kind::ForeignLink => foreign_link(fault, asked, answer),
            Kind::Trickle | Kind::Truncated | Kind::InvalidJson => spoil_body(fault.kind, answer),
            _ => {}
        }
    }
}

/// True when a client cannot have got the page's events from its answer.
pub(super) fn unreadable(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| matches!(fault.kind, Kind::Trickle | Kind::Truncated | Kind::InvalidJson))
}

fn skewed(now: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    TimeDelta::try_seconds(seconds).and_then(|skew| now.checked_add_signed(skew)).unwrap_or(now)
}

/// A time as HTTP headers have it.
pub(super) fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn spoil_body(kind: Kind, answer: &mut Answer) {
    let Some(body) = answer.whole().filter(|body| !body.is_empty()).cloned() else { return };
    let half = body.slice(..body.len() / 2);
    answer.body = match kind {
        Kind::Trickle => Content::Trickle(body.clone()),
        Kind::Truncated => Content::Cut(half),
        _ => {
            answer.body = Content::Whole(half);
            return;
        }
    };
    answer.set("content-length", body.len());
}

fn foreign_link(fault: &Fault, asked: &Asked, answer: &mut Answer) {
    let Some(link) = answer.headers.get(header::LINK).and_then(|link| link.to_str().ok()) else { return };
    let foreign = link.replace(&asked.origin(), &elsewhere(fault, asked));
    answer.set("link", foreign);
}

/// Another host: the one given, or this one by its other name (which no client may take for the same).
fn elsewhere(fault: &Fault, asked: &Asked) -> String {
    match &fault.value {
        Some(to) => to.trim_end_matches('/').to_owned(),
        None if asked.host.starts_with("localhost") => asked.origin().replace("localhost", "127.0.0.1"),
        None => {
            let port = asked.host.rsplit_once(':').map_or(String::new(), |(_, port)| format!(":{port}"));
            format!("http://localhost{port}")
        }
    }
}

fn marked(origin: &str, asked: &Asked) -> String {
    let mark = if asked.uri.query().is_some() { "&" } else { "?" };
    format!("{origin}{}{mark}{REDIRECTED}", asked.uri)
}

fn redirect(status: StatusCode, to: &str) -> Answer {
    Answer::message(status, "Moved", DOCS).with("location", to)
}

/// Spaces are valid JSON between elements, so that only a limit on the size stops a parser.
const FILLING_BYTES: u64 = 64 * 1024;

fn huge(bytes: u64) -> Answer {
    let body = Content::Long {
        start: Bytes::from_static(b"["),
        filling: vec![b' '; FILLING_BYTES as usize].into(),
        times: bytes / FILLING_BYTES,
    };
    Answer { body, ..Answer::json(StatusCode::OK, "") }
}

/// One block of deflated spaces, fully flushed, may follow itself for ever.
fn gzip_bomb(bytes: u64) -> Answer {
    const BLOCK_BYTES: usize = 8 << 20;
    let spaces = vec![b' '; BLOCK_BYTES];
    let mut block = Vec::with_capacity(BLOCK_BYTES / 500);
    let mut deflate = Compress::new(Compression::best(), false);
    // Fails only for a stream that is in error; then the bomb is a dud, which its test would show.
    let _ = deflate.compress_vec(&spaces, &mut block, FlushCompress::Full);
    // A gzip header without name, time or flags (RFC 1952), then a stored block with the array's bracket (RFC 1951).
    const START: [u8; 16] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0, 1, 0, 0xfe, 0xff, b'['];
    let body = Content::Long {
        start: Bytes::from_static(&START),
        filling: block.into(),
        times: bytes.div_ceil(BLOCK_BYTES as u64),
    };
    Answer { body, ..Answer::json(StatusCode::OK, "") }.with("content-encoding", "gzip")
}
