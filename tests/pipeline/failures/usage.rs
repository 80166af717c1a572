//! The user's mistakes: exit code 2, the flag or variable named, what it may be, and never a password.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::program::{Launch, Program, path};

/// Arguments, variables, and what the message must hold.
type Mistake<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

const LOADERS: &[Mistake] = &[
    (&["--amqp-url", "http://u:hunter2@h/"], &[], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&["--amqp-url", "u:hunter2@h"], &[], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&[], &[("AMQP_URL", "amqp://u:hunter2@h:99999/")], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&[], &[("AMQP_URL", "amqp://u:hunter2@h/%2f?heartbeat=x")], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&["--redis-url", "http://:hunter2@h/"], &[], &["--redis-url (REDIS_URL)", "redis://"]),
    (&[], &[("REDIS_URL", "redis://:hunter2@h:x/")], &["--redis-url (REDIS_URL)", "redis://"]),
    (&[], &[("REDIS_URL", "redis://:hunter2@h/first")], &["--redis-url (REDIS_URL)", "number"]),
    (&[], &[("REDIS_URL", "redis-sentinel://:hunter2@h,h/")], &["--redis-url (REDIS_URL)", "/service"]),
    (&[], &[("REDIS_URL", "redis-sentinel://:hunter2@h,h/s/first")], &["--redis-url (REDIS_URL)", "number"]),
    (
        &[],
        &[("REDIS_URL", "redis-cluster://:hunter2@h,/")],
        &["--redis-url (REDIS_URL)", "redis-cluster://host"],
    ),
    (&[], &[("REDIS_URL", "redis-cluster://:hunter2@h,h/1")], &["--redis-url (REDIS_URL)", "database 0"]),
    (&[], &[("REDIS_URL", "redis-cluster://:hunter2@h,h/")], BRACES),
    (
        &[],
        &[("REDIS_SENTINEL_PASSWORD_FILE", "/no/such/file")],
        &["REDIS_SENTINEL_PASSWORD_FILE", "/no/such/file"],
    ),
    (&[], &[("REDIS_PASSWORD_FILE", "/no/such/file")], &["REDIS_PASSWORD_FILE", "/no/such/file"]),
    (&[], &[("AMQP_URL_FILE", "/no/such/file")], &["AMQP_URL_FILE", "/no/such/file"]),
    (&["--prefetch", "0"], &[], &["--prefetch", "1 to 2000"]),
    (&["--prefetch", "2001"], &[], &["--prefetch", "1 to 2000"]),
    (&["--batch-size", "0"], &[], &["--batch-size"]),
    (&["--concurrency", "many"], &[], &["--concurrency", "many", "1 to 64"]),
    (&["--concurrency", "300"], &[], &["--concurrency", "1 to 64"]),
    (&["--stream-maxlen=-1"], &[], &["--stream-maxlen"]),
    (&["--stream-maxlen", "18446744073709551615"], &[], &["--stream-maxlen", "1000000000000"]),
    (&["--score", "x"], &[], &["--score", "TYPE=WEIGHT"]),
    (&["--score", "PushEvent=-1"], &[], &["--score", "TYPE=WEIGHT"]),
    (&["--retention", "5"], &[], &["--retention", "7d"]),
    (&["--retention", "0s"], &[], &["--retention", "1s"]),
    (&["--bots", "maybe"], &[], &["--bots", "include", "exclude"]),
    (&["--max-attempts", "0"], &[], &["--max-attempts"]),
    (&["--queue", "gaps"], &[], &["--queue", "archive"]),
    (&["--queue", "unrouted"], &[], &["--queue", "unrouted"]),
    (&["--queue", "a b"], &[], &["--queue", "letters"]),
    (&["--no-such-flag"], &[], &["--no-such-flag"]),
    (&[], &[("ETL_NAMESPACE", "my events")], &["--namespace", "letters"]),
    (&[], &[("LOG_FORMAT", "xml")], &["--log-format", "text", "json"]),
    (&[], &[("RUST_LOG", "loader=shout")], &["RUST_LOG", "info"]),
    (&[], &[("METRICS_LISTEN", "everywhere")], &["--metrics-listen", "127.0.0.1:9100"]),
    (&["--metrics-listen", "localhost:9100"], &[], &["--metrics-listen", "IP:PORT"]),
    (&[], &[("AMQP_URL", LONG_VHOST)], &["--amqp-url (AMQP_URL)", "255"]),
    (
        &[],
        &[("AMQP_URL", "amqp://u:hunter2@a,amqp://w:hunter2@b")],
        &["--amqp-url (AMQP_URL)", "differ in user"],
    ),
    (&[], &[("AMQP_URL", "amqp://u:hunter2@a?frame_max=4096")], &["--amqp-url (AMQP_URL)", "frame_max=4096"]),
    (&[], &[("AMQP_URL_FILE", "/dev/null")], &["AMQP_URL_FILE", "/dev/null is empty"]),
    (&[], &[("REDIS_PASSWORD_FILE", "/dev/null")], &["REDIS_PASSWORD_FILE", "/dev/null is empty"]),
    (&[], &[("REDIS_PASSWORD_FILE", "")], &["REDIS_PASSWORD_FILE: it is empty", "unset"]),
    (&[], &[("AMQP_URL_FILE", "")], &["AMQP_URL_FILE: it is empty"]),
    (&[], &[("REDIS_URL_FILE", "")], &["REDIS_URL_FILE: it is empty"]),
    (&[], &[("REDIS_URL_FILE", "/dev/null")], &["REDIS_URL_FILE", "/dev/null is empty"]),
    (&["--types", "pushevent"], &[], &["--types", "did you mean PushEvent?"]),
    (&["--types", "PushEvent,nosuch"], &[], &["--types", "nosuch", "WatchEvent"]),
    (&["--score", "pushevent=2"], &[], &["--score", "did you mean PushEvent?"]),
];

/// What to write for a Redis Cluster.
const BRACES: &[&str] = &["--namespace (ETL_NAMESPACE)", "'github-events'", "--namespace '{github-events}'"];

/// A virtual host longer than AMQP can name.
const LONG_VHOST: &str = concat!(
    "amqp://u:hunter2@127.0.0.1:1/",
    "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
    "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
    "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv",
);

const FETCHERS: &[Mistake] = &[
    (&["--api-url", "ftp://h/"], &[], &["--api-url", "http"]),
    (&[], &[("GITHUB_API_URL", "h")], &["--api-url", "https://api.github.com"]),
    (&["--source", "repos/o"], &[], &["--source", "repos/OWNER/REPO"]),
    (&["--source", "../user"], &[], &["--source", "orgs/ORG"]),
    (&["--poll-interval", "10"], &[], &["--poll-interval", "30s"]),
    (&["--poll-interval", "1ms"], &[], &["--poll-interval", "100ms"]),
    (&[], &[("GITHUB_TOKEN_FILE", "/no/such/file")], &["GITHUB_TOKEN_FILE", "/no/such/file"]),
    (&[], &[("AMQP_URL", "http://u:hunter2@h/")], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&[], &[("AMQP_URL", LONG_VHOST)], &["--amqp-url (AMQP_URL)", "255"]),
    (&[], &[("GITHUB_TOKEN_FILE", "/dev/null")], &["GITHUB_TOKEN_FILE", "/dev/null is empty"]),
    (&[], &[("GITHUB_TOKEN_FILE", "")], &["GITHUB_TOKEN_FILE: it is empty"]),
];

const DASHBOARDS: &[Mistake] = &[
    (&["--listen", "everywhere"], &[], &["--listen", "127.0.0.1:9100"]),
    (&["--tail", "--type", "PushEvent,nosuch"], &[], &["--type", "WatchEvent"]),
    (&[], &[("AMQP_URL", LONG_VHOST)], &["--amqp-url (AMQP_URL)", "255"]),
    (&[], &[("DASHBOARD_TOKEN_FILE", "/dev/null")], &["DASHBOARD_TOKEN_FILE", "/dev/null is empty"]),
    (&[], &[("DASHBOARD_TOKEN_FILE", "")], &["DASHBOARD_TOKEN_FILE: it is empty"]),
    (
        OPEN,
        &[("DASHBOARD_TRUST_NETWORK", "disabled")],
        &["--trust-network", "disabled", "yes, true, on or 1"],
    ),
    (OPEN, &[("DASHBOARD_TRUST_NETWORK", "none")], &["--trust-network", "no, false, off or 0"]),
    (OPEN, &[("DASHBOARD_TRUST_NETWORK", "never")], &["--trust-network"]),
    (OPEN, &[("DASHBOARD_TRUST_NETWORK", "nope")], &["--trust-network"]),
    (OPEN, &[("DASHBOARD_TRUST_NETWORK", " no")], &["--trust-network"]),
    (OPEN, &[("DASHBOARD_TRUST_NETWORK", "no")], &["0.0.0.0:0", "DASHBOARD_TOKEN"]),
];

/// Reachable by everybody.
const OPEN: &[&str] = &["--listen", "0.0.0.0:0"];

const STANDALONES: &[Mistake] = &[
    (&["--loaders", "0"], &[], &["--loaders", "1 to 64"]),
    (&[], &[("GITHUB_TOKEN_FILE", "")], &["GITHUB_TOKEN_FILE: it is empty"]),
    (&[], &[("DASHBOARD_TOKEN_FILE", "")], &["DASHBOARD_TOKEN_FILE: it is empty"]),
    (&[], &[("REDIS_URL", "redis://:hunter2@h/first")], &["--redis-url (REDIS_URL)", "number"]),
    (&[], &[("REDIS_URL", "redis-cluster://:hunter2@h,h/")], BRACES),
    (&[], &[("AMQP_URL", LONG_VHOST)], &["--amqp-url (AMQP_URL)", "255"]),
    (&[], &[("DASHBOARD_TRUST_NETWORK", "disabled")], &["--trust-network", "disabled"]),
];

const REPLAYS: &[Mistake] = &[
    (&[], &[], &["gharchive", "archive", "dead", "gaps"]),
    (&["everything"], &[], &["everything"]),
    (&["dead", "--amqp-url", "http://u:hunter2@h/"], &[], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&["--amqp-url", "u:hunter2@h", "dead"], &[], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&["archive"], &[("AMQP_URL", "amqp://u:hunter2@h:99999/")], &["--amqp-url (AMQP_URL)", "amqp://"]),
    (&["gharchive"], &[], &["WHAT"]),
    (&["gharchive", "2015-01-01-24"], &[], &["must look like"]),
    (&["gharchive", "2015-01-01..2199-01-01"], &[], &["ends in the future"]),
    (
        &["gharchive", "2015-01-01-0", "--base-url", "https://u:hunter2@h/"],
        &[],
        &["--base-url (GHARCHIVE_BASE_URL)"],
    ),
    (
        &["gharchive", "2015-01-01-0"],
        &[("GHARCHIVE_BASE_URL", "https://u:hunter2@h/")],
        &["GHARCHIVE_BASE_URL"],
    ),
    (
        &["gaps"],
        &[("GHARCHIVE_BASE_URL_FILE", "/no/such/file")],
        &["GHARCHIVE_BASE_URL_FILE", "/no/such/file"],
    ),
    (&["gaps", "--watch", "--every", "1ms"], &[], &["--every", "1s"]),
    (&["gaps", "--watch", "--list"], &[], &["--watch", "--list"]),
    (&["gaps", "--watch", "--queue", "eu"], &[], &["--watch", "--queue"]),
    (&["gaps", "--patience", "soon"], &[], &["--patience"]),
    (&["archive", "--rate", "0"], &[], &["--rate", "1 to 4294967295"]),
    (&["archive", "--limit=-1"], &[], &["--limit", "from 0"]),
    (&["archive", "--types", "Push Event"], &[], &["--types", "did you mean PushEvent?"]),
    (&["archive", "--types", "nosuch"], &[], &["--types", "WatchEvent"]),
    (&["gharchive", "-", "--types", "watch"], &[], &["--types", "did you mean WatchEvent?"]),
    (&["gaps", "--max-queue", "all"], &[], &["--max-queue", "0 to 4294967295"]),
    (&["archive"], &[("AMQP_URL", LONG_VHOST)], &["--amqp-url (AMQP_URL)", "255"]),
    (&["archive", "--since", "1h", "--until", "2h"], &[], &["--until is before --since"]),
    (&["dead", "--queue", "gaps"], &[], &["--queue", "archive"]),
    (&["dead", "--format", "xml"], &[], &["--format", "json"]),
    (&["dead", "--format", "json"], &[], &["--list --format"]),
    (&["dead", "--limit", "all"], &[], &["--limit", "a whole number from 0"]),
    (&["dead", "--match", ""], &[], &["--match", "leave --match out"]),
    (&["dead", "--list", "--discard"], &[], &["--list", "--discard"]),
    (&["dead", "--list", "--save", "x"], &[], &["--list", "--save"]),
    (&["dead", "--save", "x", "--discard"], &[], &["--save", "--discard"]),
    (&["dead", "--yes"], &[], &["--discard"]),
    (&["dead", "--discard"], &[], &["--discard --yes"]),
    (&["gaps", "--format", "json"], &[], &["--list --format"]),
    (&["gharchive", "2015-01-01-0", "--queue", "unrouted"], &[], &["--queue", "unrouted"]),
    (&["archive", "--queue", "unrouted"], &[], &["--queue", "unrouted"]),
    (&["gaps", "--queue", "unrouted"], &[], &["--queue", "unrouted"]),
];

fn mistakes() -> impl Iterator<Item = (&'static str, &'static Mistake<'static>)> {
    let programs = [
        ("loader", LOADERS),
        ("fetcher", FETCHERS),
        ("standalone", STANDALONES),
        ("replay", REPLAYS),
        ("dashboard", DASHBOARDS),
    ];
    programs
        .into_iter()
        .flat_map(|(program, mistakes)| mistakes.iter().map(move |mistake| (program, mistake)))
}

#[test]
fn a_mistake_is_named_with_what_is_possible_and_without_the_password() {
    for (program, (arguments, variables, expected)) in mistakes() {
        let ended = Program::start(program, variables, arguments).wait();
        let case = format!("{program} {arguments:?} {variables:?}\n{}", ended.stderr);
        assert_eq!(ended.code, Some(2), "{case}");
        assert_eq!(ended.stdout, "", "{case}");
        for text in *expected {
            assert!(ended.stderr.contains(text), "'{text}' is not in what is said for {case}");
        }
        assert!(!ended.stderr.contains("hunter2"), "a password is shown for {case}");
        assert!(!ended.stderr.contains("panicked"), "{case}");
    }
}

#[test]
fn a_mistake_in_dotenv_is_named_with_its_line_or_its_flag_and_without_its_value() {
    const FAR: &[&str] = &["--listen", "0.0.0.0:0"];
    let cases: [(&[u8], &[&str], &[&str]); 7] = [
        (b"# one\nREDIS_PASSWORD=hunter2 hunter2\n", &[], &[".env: line 2 is not NAME=value"]),
        (b"A=1\nREDIS_PASSWORD=hunter2\xff\n", &[], &[".env: line 2 is not UTF-8"]),
        (b"REDIS_PASSWORD_FILE=\n", &[], &["REDIS_PASSWORD_FILE: it is empty"]),
        (b"METRICS_LISTEN=everywhere\n", &[], &["--metrics-listen", "127.0.0.1:9100"]),
        (b"DASHBOARD_TRUST_NETWORK=never\n", FAR, &["--trust-network", "no, false, off or 0"]),
        (b"DASHBOARD_TRUST_NETWORK=no\n", FAR, &["0.0.0.0:0", "DASHBOARD_TOKEN"]),
        (b"AMQP_URL=http://u:hunter2@h/\n", &[], &["--amqp-url (AMQP_URL)", "amqp://"]),
    ];
    for (dotenv, arguments, expected) in cases {
        let launch = Launch { dotenv: Some(dotenv), arguments, ..Launch::of("dashboard") };
        let ended = Program::launch(launch).wait();
        let case = format!("{}\n{}", String::from_utf8_lossy(dotenv), ended.stderr);
        assert_eq!(ended.code, Some(2), "{case}");
        for text in expected {
            assert!(ended.stderr.contains(text), "'{text}' is not in what is said for {case}");
        }
        assert!(!ended.stderr.contains("hunter2"), "a secret is shown for {case}");
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_named_and_not_shown() {
    let bad = OsStr::from_bytes(b"hunter2\xff");
    let joined = OsStr::from_bytes(b"--amqp-url=hunter2\xff");
    let start = || {
        let mut command = Command::new(path("replay"));
        command.env_clear().current_dir(std::env::temp_dir());
        command
    };
    for (mut command, named) in [(start(), "--amqp-url: "), (start(), "--queue: "), (start(), "AMQP_URL: ")] {
        match named {
            "--amqp-url: " => command.args([joined, OsStr::new("archive")]),
            "--queue: " => command.args(["archive", "--queue"]).arg(bad),
            _ => command.arg("archive").env("AMQP_URL", bad),
        };
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(named) && said.contains("not UTF-8") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn dotenv_may_say_yes_to_a_flag() {
    let launch = Launch {
        dotenv: Some(b"DASHBOARD_TRUST_NETWORK=yes\n"),
        arguments: &["--listen", "0.0.0.0:0"],
        ..Launch::of("dashboard")
    };
    let program = Program::launch(launch);
    program.wait_for("the dashboard is at");
    program.stop();
}

#[test]
fn help_shows_every_flag_and_no_value_of_a_secret() {
    let variables = [("AMQP_URL", "amqp://u:hunter2@h/"), ("REDIS_URL", "redis://:hunter2@h/")];
    let ended = Program::start("loader", &variables, &["--help"]).succeed();
    for flag in ["--amqp-url", "--redis-url", "--namespace", "--queue", "--retention", "--drain"] {
        assert!(ended.stdout.contains(flag), "{flag} is not in\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
}
