//! Access to the dashboard, and the security headers of every answer.
//!
//! tower-http has layers for headers and time limits. Its time limit answers without a body, and every error of ours has a JSON body.
//! Its headers would be eight layers, cloned for each request. Here they are a loop in one layer.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use super::AppState;
use super::answer::{Bad, error};
use super::query::Query;

/// How long a handler may take until its answer begins.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The cookie of a client that knew the token.
const COOKIE: &str = "github_etl_dashboard";
/// Paths without access control: they show nothing about events.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/readyz", "/login"];

/// The headers of every answer. The page loads nothing from other hosts, runs no script from text, and cannot be framed. No referrer
/// is sent.
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Checks every request, and adds the headers to every answer.
pub(super) async fn guard(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let refused = refuse(&app, &request);
    let mut response = match refused {
        Some(refusal) => refusal,
        None => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(response) => response,
            Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "it takes too long: try again"),
        },
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refuse(app: &AppState, request: &Request) -> Option<Response> {
    let headers = request.headers();
    if !is_host_allowed(&app.access.hosts, request.uri(), headers) {
        // A page of another site whose name was pointed at us (DNS rebinding) would read everything.
        let text =
            "this dashboard does not serve that host name: add it with --allow-host (DASHBOARD_ALLOW_HOST)";
        return Some(error(StatusCode::MISDIRECTED_REQUEST, text));
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) && !is_same_origin(&app.access.hosts, headers)
    {
        return Some(error(StatusCode::FORBIDDEN, "a page of another site must not do this"));
    }
    if OPEN_PATHS.contains(&request.uri().path()) || is_admitted(app, headers) {
        return None;
    }
    let text = "a token is needed: open /login?token=… once, or send Authorization: Bearer …";
    let answer = error(StatusCode::UNAUTHORIZED, text);
    Some(([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response())
}

fn is_host_allowed(allowed: &[String], uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, more) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next());
    let Some(host) = host.filter(|_| more.is_none()) else { return false };
    is_known(allowed, host) && uri.authority().is_none_or(|authority| is_known(allowed, authority.as_str()))
}

fn is_known(allowed: &[String], host: &str) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    allowed.iter().any(|allowed| allowed == name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && is_whole(name) =>
        {
            name
        }
        _ => host,
    }
}

/// An IPv6 address has colons of its own, between brackets.
fn is_whole(name: &str) -> bool {
    !name.contains(':') || name.ends_with(']')
}

/// Browsers say where a request comes from; other programs do not and need not.
fn is_same_origin(allowed: &[String], headers: &HeaderMap) -> bool {
    let is_ours = |origin: &HeaderValue| {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        host.is_some_and(|(_, host)| is_known(allowed, host))
    };
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
        && headers.get(header::ORIGIN).is_none_or(is_ours)
}

/// True for clients that know the token, or when there is no token.
pub(super) fn is_admitted(app: &AppState, headers: &HeaderMap) -> bool {
    let Some(token) = &app.access.token else { return true };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if bearer.is_some_and(|given| is_same(given, token.expose_secret())) {
        return true;
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    values.any(|(name, value)| name == COOKIE && is_same(value, &app.session))
}

/// Takes as long for a wrong one as for the right one.
fn is_same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// `/login?token=…`, or the same as a form: from then on the browser has a cookie, until the dashboard restarts.
pub(super) async fn login(State(app): State<Arc<AppState>>, request: Request) -> Response {
    const FORM_BYTES_MAX: usize = 4096;
    let (parts, body) = request.into_parts();
    let form = if parts.method == Method::POST {
        match axum::body::to_bytes(body, FORM_BYTES_MAX).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => return error(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"),
        }
    } else {
        parts.uri.query().unwrap_or_default().to_owned()
    };
    let query = match Query::parse(&form, &["token"]) {
        Ok(query) => query,
        Err(text) => return Bad(text).into_response(),
    };
    let (given, expected) = (query.text("token").unwrap_or_default(), app.access.token.as_ref());
    if expected.is_some_and(|expected| !is_same(given, expected.expose_secret())) {
        return error(StatusCode::UNAUTHORIZED, "the token is wrong");
    }
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", app.session);
    let headers = [
        (header::LOCATION, "/".to_owned()),
        (header::SET_COOKIE, cookie),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_known_hosts_are_served_whatever_the_port() {
        let allowed = ["localhost", "127.0.0.1", "[::1]", "etl.example.org"].map(str::to_owned);
        let is_allowed = |uri: &str, hosts: &[(&'static str, &str)]| {
            is_host_allowed(&allowed, &uri.parse().unwrap(), &headers(hosts))
        };
        for good in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "etl.example.org.",
            "localhost.:1",
        ] {
            assert!(is_allowed("/", &[("host", good)]), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
            "::1",
            "[::1",
            "localhost:x",
            "a@localhost",
            "xlocalhost",
        ] {
            assert!(!is_allowed("/", &[("host", bad)]), "{bad}");
        }
        assert!(!is_allowed("/", &[]));
        assert!(!is_allowed("/", &[("host", "localhost"), ("host", "evil.example")]));
        assert!(!is_allowed("http://evil.example/", &[("host", "localhost")]));
    }

    #[test]
    fn a_browser_must_come_from_our_own_page() {
        let is_ours =
            |pairs: &[(&'static str, &str)]| is_same_origin(&["localhost".to_owned()], &headers(pairs));
        assert!(is_ours(&[]));
        assert!(is_ours(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")]));
        for other in [
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
        ] {
            assert!(!is_ours(&[other]), "{other:?}");
        }
    }
}
