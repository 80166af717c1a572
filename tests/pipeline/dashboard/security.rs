//! Who is answered, and what every answer says to the browser.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::corner::Corner;
use crate::support::dashboard::{Answer, Dashboard};
use crate::support::program::Program;

const TOKEN: &str = "0123456789abcdef-canary";

fn with_token(corner: &Corner) -> Dashboard {
    Dashboard::start_at(corner, &corner.amqp_url, &corner.redis_url, &[], &[("DASHBOARD_TOKEN", TOKEN)])
}

#[test]
fn every_answer_has_the_headers_that_keep_a_page_safe() {
    let corner = Corner::new("dashheaders");
    let dashboard = with_token(&corner);
    let host = [("Host", dashboard.address.as_str())];
    let bearer = format!("Bearer {TOKEN}");
    let known = [host[0], ("Authorization", bearer.as_str())];
    let answers: [(u16, Answer); 9] = [
        (200, dashboard.request("GET", "/", &known, "")),
        (200, dashboard.request("GET", "/assets/app.js", &known, "")),
        (200, dashboard.request("GET", "/api/overview", &known, "")),
        (200, dashboard.request("GET", "/metrics", &known, "")),
        (400, dashboard.request("GET", "/api/events?limit=0", &known, "")),
        (401, dashboard.request("GET", "/api/overview", &host, "")),
        (404, dashboard.request("GET", "/nothing", &known, "")),
        (405, dashboard.request("POST", "/", &known, "")),
        (421, dashboard.request("GET", "/", &[("Host", "evil.example")], "")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let policy = &answer.headers["content-security-policy"];
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value);
        }
        assert!(answer.headers.contains_key("permissions-policy"));
        assert!(answer.headers.keys().all(|name| !name.starts_with("access-control")), "no CORS");
    }
}

#[test]
fn only_known_hosts_are_served() {
    let dashboard = Dashboard::start(&Corner::new("dashhosts"), &["--allow-host", "etl.example.org"]);
    let status = |headers: &[(&str, &str)]| dashboard.request("GET", "/healthz", headers, "").status;
    for good in ["localhost", "127.0.0.1:1", "[::1]", "etl.example.org", dashboard.address.as_str()] {
        assert_eq!(status(&[("Host", good)]), 200, "{good}");
    }
    for bad in ["evil.example", "localhost.evil.example", ""] {
        assert_eq!(status(&[("Host", bad)]), 421, "{bad}");
    }
    assert_eq!(status(&[]), 421);
}

#[test]
fn a_token_opens_page_and_api_by_header_or_by_cookie_and_only_the_right_one() {
    let corner = Corner::new("dashtoken");
    let dashboard = with_token(&corner);
    let host = ("Host", dashboard.address.as_str());
    let status =
        |path: &str, header: (&str, &str)| dashboard.request("GET", path, &[host, header], "").status;
    let nothing = ("Accept", "*/*");
    for path in ["/", "/assets/app.js", "/api/overview", "/api/events/stream", "/metrics", "/nothing"] {
        assert_eq!(status(path, nothing), 401, "{path}");
        assert_eq!(status(path, ("Authorization", "Bearer 0123456789abcdef-canarx")), 401, "{path}");
        assert_eq!(status(path, ("Cookie", "github_etl_dashboard=")), 401, "{path}");
    }
    assert_eq!(status("/healthz", nothing), 200);
    let ready = dashboard.request("GET", "/readyz", &[host], "");
    assert!(ready.json()["ready"].is_boolean() && !ready.body.contains("127.0.0.1"), "{ready:?}");
    assert_eq!(status("/api/overview", ("Authorization", &format!("bearer {TOKEN}"))), 200);
    assert_eq!(status("/login?token=wrong", nothing), 401);
    let login = dashboard.request("GET", &format!("/login?token={TOKEN}"), &[host], "");
    assert_eq!((login.status, login.headers["location"].as_str()), (303, "/"));
    let set = &login.headers["set-cookie"];
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(TOKEN), "{set}");
    let cookie = set.split(';').next().unwrap();
    assert_eq!(status("/", ("Cookie", &format!("a=b; {cookie}"))), 200);
    let form = format!("token={TOKEN}");
    assert_eq!(dashboard.request("POST", "/login", &[host], &form).status, 303);
    let foreign = [host, ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(dashboard.request("POST", "/login", &foreign, &form).status, 403);
    assert_eq!(dashboard.request("POST", "/login", &[host], &"x".repeat(5000)).status, 413);
    let ended = dashboard.program.stop();
    assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
}

#[test]
fn beyond_this_machine_it_does_not_start_without_a_token() {
    let open = ["--listen", "0.0.0.0:0"];
    let refused = Program::start("dashboard", &[], &open).wait();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("DASHBOARD_TOKEN"), "{}", refused.stderr);
    let short = Program::start("dashboard", &[("DASHBOARD_TOKEN", "hunter2")], &open).wait();
    assert_eq!(short.code, Some(2));
    assert!(!short.stderr.contains("hunter2"), "{}", short.stderr);
    let told = Program::start("dashboard", &[("DASHBOARD_TOKEN", TOKEN)], &open);
    told.wait_for("the dashboard is at");
    told.stop();
}

#[test]
fn headers_that_trickle_and_connections_that_idle_are_closed() {
    let dashboard = Dashboard::start(&Corner::new("dashloris"), &[]);
    let open = |bytes: &str| {
        let mut connection = TcpStream::connect(&dashboard.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        connection.write_all(bytes.as_bytes()).unwrap();
        connection
    };
    let started = Instant::now();
    let whole = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", dashboard.address);
    let connections = [open(""), open("GET / HTTP/1.1\r\nHost: loc"), open(&whole)];
    for mut connection in connections {
        let mut text = Vec::new();
        // An end of file or a reset: it is over either way.
        let _ = connection.read_to_end(&mut text);
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }
    assert!(started.elapsed() > Duration::from_secs(5));
    let huge = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut text = String::new();
    let _ = TcpStream::connect(&dashboard.address).map(|mut connection| {
        let _ = connection.write_all(huge.as_bytes());
        let _ = connection.read_to_string(&mut text);
    });
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
    assert_eq!(dashboard.get("/healthz").status, 200);
}
