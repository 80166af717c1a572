use proptest::prelude::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

const NOW: &str = "2026-01-01T12:00:00Z";

fn hints(pairs: &[(&'static str, &str)]) -> Hints {
    let headers = pairs.iter().map(|(name, value)| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    Hints::read(&headers.collect(), NOW.parse().unwrap())
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn poll_intervals_are_seconds_within_bounds_or_nothing() {
    for (value, interval) in [
        ("60", Some(s(60))),
        (" 90 ", Some(s(90))),
        ("0", Some(s(1))),
        ("1000000000000", Some(s(3600))),
        ("18446744073709551615", Some(s(3600))),
        ("18446744073709551616", None),
        ("1e12", None),
        ("-5", None),
        ("abc", None),
        ("", None),
        ("6é", None),
    ] {
        assert_eq!(hints(&[("x-poll-interval", value)]).poll_interval, interval, "{value}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
    let date = ("date", "Thu, 01 Jan 2026 09:00:00 GMT");
    for (value, wait) in [
        ("30", Some(s(30))),
        ("0", Some(s(1))),
        ("86400", Some(s(3600))),
        ("Thu, 01 Jan 2026 09:02:00 GMT", Some(s(120))),
        ("Wed, 31 Dec 2025 09:00:00 GMT", Some(s(1))),
        ("Fri, 01 Jan 2100 00:00:00 GMT", Some(s(3600))),
        ("soon", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(hints(&[date, ("retry-after", value)]).retry_after, wait, "{value}");
    }
    let by_our_clock = hints(&[("retry-after", "Thu, 01 Jan 2026 12:00:45 GMT")]);
    assert_eq!(by_our_clock.retry_after, Some(s(45)));
}

#[test]
fn the_reset_is_told_by_the_servers_clock_however_wrong_ours_is() {
    let noon_s = NOW.parse::<DateTime<Utc>>().unwrap().timestamp();
    for (date, reset_s, resets_in) in [
        (None, noon_s + 900, s(900)),
        (None, noon_s - 900, s(0)),
        (None, i64::MAX, s(3600)),
        (Some("Thu, 01 Jan 2026 10:00:00 GMT"), noon_s - 7200 + 60, s(60)),
        (Some("not a date"), noon_s + 60, s(60)),
        (Some("Sun, 01 Jan 1950 00:00:00 GMT"), noon_s, s(3600)),
    ] {
        let reset = reset_s.to_string();
        let mut pairs = vec![("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", reset.as_str())];
        pairs.extend(date.map(|date| ("date", date)));
        assert_eq!(
            hints(&pairs).quota,
            Some(Quota { remaining: 7, limit: None, resets_in }),
            "{date:?} {reset}"
        );
    }
    assert_eq!(hints(&[("x-ratelimit-remaining", "7")]).quota, None);
    assert_eq!(hints(&[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "5")]).quota, None);
}

#[test]
fn etags_are_kept_as_sent_if_they_can_be_sent_back() {
    let longest = format!("\"{}\"", "a".repeat(254));
    let too_long = format!("\"{}\"", "a".repeat(255));
    for (value, kept) in [
        ("\"abc\"", true),
        ("W/\"01eb5d17\"", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("\"a b\"", false),
        ("\"a\tb\"", false),
        ("\"é\"", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        assert_eq!(etag(&headers).as_deref(), kept.then_some(value), "{value}");
    }
    assert_eq!(etag(&HeaderMap::new()), None);
}

proptest! {
    #[test]
    fn whatever_the_headers_hold_reading_them_stays_within_bounds(
        values in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,40}",
                "-?[0-9]{0,25}",
                "(Mon|Thu), [0-9]{1,2} Jan [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4})",
                "\\PC{0,20}",
            ],
            6,
        )
    ) {
        let names =
            ["date", "retry-after", "x-poll-interval", "x-ratelimit-remaining", "x-ratelimit-reset", "etag"];
        let mut headers = HeaderMap::new();
        for (name, value) in names.into_iter().zip(&values) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        }
        let hints = Hints::read(&headers, NOW.parse().unwrap());
        let bounds = WAIT_MIN..=WAIT_MAX;
        prop_assert!(hints.poll_interval.is_none_or(|wait| bounds.contains(&wait)));
        prop_assert!(hints.retry_after.is_none_or(|wait| bounds.contains(&wait)));
        prop_assert!(hints.quota.is_none_or(|quota| quota.resets_in <= WAIT_MAX));
        prop_assert!(hints.asked_wait().is_none_or(|wait| bounds.contains(&wait)));
        prop_assert!(etag(&headers).is_none_or(|etag| HeaderValue::from_str(&etag).is_ok()));
    }
}
