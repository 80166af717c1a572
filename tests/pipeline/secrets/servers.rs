//! What answers where RabbitMQ or Redis should be: nothing, silence, something else, or a refusal.

use super::*;
use crate::support::corner::{Corner, amqp_url, redis_url};
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;

const EVERY_USER_OF_RABBITMQ: [&[&str]; 7] = [
    &["loader"],
    &["fetcher"],
    &["standalone"],
    &["replay", "archive", "--dry-run"],
    &["replay", "dead", "--list"],
    &["replay", "gaps", "--base-url", "/"],
    &["replay", "gharchive", "-"],
];
const EVERY_USER_OF_REDIS: [&str; 2] = ["loader", "standalone"];

/// An HTTP server that says back what it was sent.
fn http() -> u16 {
    answering(|request| [b"HTTP/1.1 400 Bad Request\r\n\r\n", request].concat())
}

/// A Redis that knows no AUTH and quotes what it was sent, as Redis does.
fn redis_without_auth() -> u16 {
    answering(|request| {
        let quoted = String::from_utf8_lossy(request).replace("\r\n", " ");
        let refusal = format!("-ERR unknown command 'AUTH', with args beginning with: '{quoted}'\r\n");
        refusal.repeat(8).into_bytes()
    })
}

#[test]
fn no_trouble_with_rabbitmq_shows_its_password() {
    let suspects: Vec<_> = [("nothing listens", free_port()), ("silence", mute()), ("HTTP", http())]
        .into_iter()
        .flat_map(|(what, port)| EVERY_USER_OF_RABBITMQ.map(|program| (what, port, program)))
        .map(|(what, port, program)| {
            let url = with_password(&format!("amqp://127.0.0.1:{port}/%2f"), "etl", AMQP_PASSWORD);
            let variables = [("AMQP_URL", &*url), ("REDIS_URL", &*redis_url())];
            (what, Suspect::start(what, program[0], &variables, &program[1..]))
        })
        .collect();
    for (what, suspect) in suspects {
        match what {
            "HTTP" => suspect.shows_nothing_and_ends_with(1),
            _ => suspect.shows_nothing_after("is away"),
        }
    }
}

#[test]
fn no_refusal_by_rabbitmq_shows_its_password() {
    let node = RabbitNode::lent();
    node.ctl(&["add_user", "etl", AMQP_PASSWORD]);
    let right = with_password(&node.url(), "etl", AMQP_PASSWORD);
    let wrong = with_password(&node.url(), "etl", &format!("{AMQP_PASSWORD}wrong"));
    let suspects: Vec<_> = [
        ("wrong password", wrong),
        ("no such vhost", right.replace("%2f", "nowhere")),
        ("no permission", right.clone()),
        ("bad heartbeat", format!("{right}?heartbeat=x")),
    ]
    .into_iter()
    .flat_map(|(what, url)| EVERY_USER_OF_RABBITMQ.map(|program| (what, url.clone(), program)))
    .map(|(what, url, program)| {
        let variables = [("AMQP_URL", &*url), ("REDIS_URL", &redis_url())];
        let suspect = Suspect::start(what, program[0], &variables, &program[1..]);
        (suspect, if what == "bad heartbeat" { 2 } else { 1 })
    })
    .collect();
    suspects.into_iter().for_each(|(suspect, code)| suspect.shows_nothing_and_ends_with(code));
    node.ctl(&["delete_user", "etl"]);
}

#[test]
fn no_filter_for_a_part_of_the_amqp_client_shows_the_password() {
    let parts = ["io_loop", "frames", "channel", "channels", "connection", "internal_rpc", "promise"];
    let filter = parts.map(|part| format!("lapin::{part}=trace")).join(",") + ",amq_protocol::frame=trace";
    let url = with_password(&amqp_url(), "etl", AMQP_PASSWORD);
    let variables = [("AMQP_URL", &*url), ("REDIS_URL", &redis_url()), ("RUST_LOG", &filter)];
    // The login is refused, after it was sent.
    let ended = Program::start("loader", &variables, &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    is_clean("a filter for a part", "stderr", &ended.stderr);
}

#[test]
fn no_trouble_with_redis_shows_its_password() {
    let corner = Corner::new("redis-secrets");
    let other = redis_with_password("another");
    let open = RedisServer::start(&[]);
    let places = [
        ("nothing listens", free_port()),
        ("silence", mute()),
        ("HTTP", http()),
        ("wrong password", other.port),
        ("no password wanted", open.port),
        ("no AUTH", redis_without_auth()),
    ];
    let suspects: Vec<_> = places
        .into_iter()
        .flat_map(|(what, port)| EVERY_USER_OF_REDIS.map(|program| (what, port, program)))
        .flat_map(|(what, port, program)| {
            let plain = format!("redis://127.0.0.1:{port}/");
            let url = with_password(&plain, "", REDIS_PASSWORD);
            let here = [("AMQP_URL", &*corner.amqp_url), ("ETL_NAMESPACE", &corner.namespace)];
            let in_url = [here[0], here[1], ("REDIS_URL", &url)];
            let beside = [here[0], here[1], ("REDIS_URL", &plain), ("REDIS_PASSWORD", REDIS_PASSWORD)];
            [in_url.to_vec(), beside.to_vec()]
                .map(|variables| (what, Suspect::start(what, program, &variables, &[])))
        })
        .collect();
    for (what, suspect) in suspects {
        match what {
            "nothing listens" | "silence" => suspect.shows_nothing_after("is away"),
            _ => suspect.shows_nothing_and_ends_with(1),
        }
    }
}

#[test]
fn no_mistake_in_an_address_or_a_file_shows_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "k4n4ry\nk4n4ry on two lines").unwrap();
    let file = file.to_str().unwrap();
    let mistakes: [&[(&str, &str)]; 18] = [
        &[("AMQP_URL", "amqp://u:k4n4ry@h:99999/")],
        &[("AMQP_URL", "amqp://u:k4n4ry/x@h/")],
        &[("AMQP_URL", "amqp://u:1/k4n4ry@h/")],
        &[("AMQP_URL", "u:k4n4ry@h")],
        &[("AMQP_URL", "k4n4ry")],
        &[("AMQP_URL_FILE", file)],
        &[("REDIS_URL", "redis://:k4n4ry@h/first")],
        &[("REDIS_URL", "redis://:k4n4ry@h:x/")],
        &[("REDIS_URL", "redis://k4n4ry:1234?5@h/")],
        &[("AMQP_URL", "amqp://k4n4ry:1234#5@h/")],
        &[("REDIS_URL", "rediss:k4n4ry")],
        &[("REDIS_URL", "redis-sentinel://:k4n4ry@h,h:x/s")],
        &[("REDIS_URL", "redis-sentinel://:k4n4ry@h,h/s/first")],
        &[("REDIS_URL", "redis-sentinel://h,h/s?sentinel_password=k4n4ry")],
        &[("REDIS_URL", "redis-cluster://u:k4n4ry@h,h/"), ("REDIS_SENTINEL_PASSWORD", "k4n4ry")],
        &[("REDIS_URL_FILE", file)],
        &[("RUST_LOG", "loader=shout"), ("REDIS_PASSWORD", "k4n4ry")],
        &[("METRICS_LISTEN", "everywhere"), ("AMQP_URL", "amqp://u:k4n4ry@h/")],
    ];
    for variables in mistakes {
        for program in EVERY_USER_OF_REDIS {
            let suspect = Suspect::start(&format!("{variables:?}"), program, variables, &[]);
            suspect.shows_nothing_and_ends_with(2);
        }
    }
    for variables in [[("GITHUB_TOKEN_FILE", file)], [("GITHUB_TOKEN", "k4n4ry\nk4n4ry")]] {
        Suspect::start("a token of two lines", "fetcher", &variables, &[]).shows_nothing_and_ends_with(2);
    }
}
