//! Arbitrary values of every flag and variable of every program, and arbitrary `.env` files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Random;
use super::starting::{Place, Setting, Subject};

/// Every setting is tried once, then more often until this is over.
const ABOUT: Duration = Duration::from_secs(50);
const ROUNDS_MAX: usize = 20;
/// Values tried at once.
const AT_ONCE: usize = 3;

const SUBJECTS: [(&str, &[&str]); 8] = [
    ("loader", &[]),
    ("fetcher", &[]),
    ("dashboard", &[]),
    ("standalone", &[]),
    ("replay", &["gharchive", "-"]),
    ("replay", &["archive"]),
    ("replay", &["dead"]),
    ("replay", &["gaps"]),
];

/// Variables that no flag has.
const SECRETS: [(&str, &[&str]); 5] = [
    ("loader", &["RUST_LOG", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "AMQP_URL_FILE", "REDIS_URL_FILE"]),
    ("loader", &["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER_ARG"]),
    ("fetcher", &["GITHUB_TOKEN", "GITHUB_TOKEN_FILE", "GITHUB_TOKENS"]),
    ("dashboard", &["DASHBOARD_TOKEN", "DASHBOARD_TOKEN_FILE"]),
    ("standalone", &["GITHUB_TOKEN", "GITHUB_TOKENS", "REDIS_PASSWORD", "DASHBOARD_TOKEN"]),
];

#[test]
fn arbitrary_settings_make_no_program_panic_and_a_bad_one_is_named() {
    let mut random = Random::new();
    let settings = settings();
    let rounds: Vec<Vec<(Setting, OsString)>> = (0..ROUNDS_MAX)
        .map(|_| settings.iter().map(|one| (one.clone(), random.draw(&value(one.is_path)))).collect())
        .collect();
    let deadline = Instant::now() + ABOUT;
    let tried = rounds.iter().take_while(|round| {
        try_all(round);
        Instant::now() < deadline
    });
    eprintln!("{} rounds of {} settings", tried.count() + 1, settings.len());
}

/// Tries some at once, and asserts that all went right: a program that takes its value waits for servers, and costs nothing.
fn try_all(round: &[(Setting, OsString)]) {
    let (next, wrong) = (Mutex::new(round.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((setting, value)) = next.lock().unwrap().next() else { return };
                    wrong.lock().unwrap().extend(setting.try_value(value));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn settings() -> Vec<Setting> {
    let subject = |(program, arguments)| Subject { program, arguments };
    let mut settings: Vec<_> = SUBJECTS.into_iter().flat_map(|one| Setting::in_help(subject(one))).collect();
    for (program, names) in SECRETS {
        settings.extend(names.iter().map(|name| Setting {
            subject: subject((program, &[])),
            place: Place::Variable((*name).to_owned(), None),
            is_path: false,
        }));
    }
    for program in ["loader", "fetcher", "dashboard", "standalone"] {
        settings.push(Setting { subject: subject((program, &[])), place: Place::Dotenv, is_path: false });
    }
    let what = subject(("replay", &["gharchive"]));
    settings.extend((0..3).map(|_| Setting { subject: what, place: Place::Argument, is_path: true }));
    settings
}

/// Without NUL, which no variable can hold, and as a file's name in the program's own folder where it is one.
fn value(is_path: bool) -> impl Strategy<Value = OsString> {
    let pieces = [
        "amqp://",
        "amqps://",
        "redis://",
        "rediss://",
        "http://",
        "https://",
        "127.0.0.1",
        "[::1]",
        "localhost",
        ":",
        "/",
        "%2f",
        "%",
        "@",
        "?",
        "#",
        "&",
        "=",
        ",",
        ".",
        "..",
        "-",
        "*",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "$",
        "heartbeat=",
        "frame_max=",
        "channel_max=",
        "connection_timeout=",
        "auth_mechanism=",
        "1",
        "0",
        "-1",
        "65536",
        "99999999999999999999",
        "1e308",
        "NaN",
        "inf",
        "2015-01-01",
        "-12",
        "T00:00:00Z",
        "s",
        "h",
        "7d",
        "years",
        "PushEvent",
        "repos/",
        "orgs/",
        "users/",
        "last",
        "yes",
        "no",
        "info",
        "debug",
        "loader=",
        "é",
        "\u{202e}",
        "\n",
        " ",
        "\x1b[2J",
    ];
    let bytes = prop_oneof![
        2 => any::<String>().prop_map(String::into_bytes),
        2 => vec(1_u8.., 0..30),
        5 => vec(select(pieces.to_vec()), 1..6).prop_map(|pieces| pieces.concat().into_bytes()),
        1 => select(vec![256, 5000, 60_000]).prop_map(|length| vec![b'x'; length]),
        1 => Just(Vec::new()),
    ];
    bytes.prop_map(move |mut bytes| {
        bytes.retain(|byte| *byte != 0 && !(is_path && *byte == b'/'));
        OsString::from_vec(bytes)
    })
}
