//! Something else than the server listens where a server should be: it is said within seconds. At start what says that it is
//! something else ends the program; what may still become the server is waited for.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::corner::{Corner, amqp_url, redis_url};
use crate::support::proxy::Proxy;
use crate::support::run::Run;
use crate::support::stranger::{answering, mute};

fn port(url: &str) -> String {
    url::Url::parse(url).unwrap().port().unwrap().to_string()
}

/// `url` with another port.
fn at(url: &str, port: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_port(port.parse().ok()).unwrap();
    url.into()
}

const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn a_stranger_on_the_port_is_named_within_ten_seconds_without_showing_a_password() {
    let corner = Corner::new("strangers");
    let (amqp, redis) = (amqp_url(), redis_url());
    let tls = |url: &str| url.replacen("amqp:", "amqps:", 1).replacen("redis:", "rediss:", 1);
    let cases = [
        (
            "HTTP for RabbitMQ",
            "RabbitMQ at",
            at(&amqp, &answering(|_| HTTP.to_vec()).to_string()),
            redis.clone(),
        ),
        ("Redis for RabbitMQ", "RabbitMQ at", at(&amqp, &port(&redis)), redis.clone()),
        ("silence for RabbitMQ", "RabbitMQ at", at(&amqp, &mute().to_string()), redis.clone()),
        ("TLS to a plain RabbitMQ", "RabbitMQ at", tls(&amqp), redis.clone()),
        ("HTTP for Redis", "Redis at", amqp.clone(), at(&redis, &answering(|_| HTTP.to_vec()).to_string())),
        ("RabbitMQ for Redis", "Redis at", amqp.clone(), at(&redis, &port(&amqp))),
        ("silence for Redis", "Redis at", amqp.clone(), at(&redis, &mute().to_string())),
        ("TLS to a plain Redis", "Redis at", amqp.clone(), tls(&redis)),
    ];
    let started = Instant::now();
    let loaders = cases.map(|(what, says, amqp, redis)| (what, says, corner.loader_at(&amqp, &redis, &[])));
    for (what, says, loader) in loaders {
        let is_waited_for = what.starts_with("silence") || what.starts_with("TLS");
        let ended = if is_waited_for {
            let line = loader.wait_for("is away");
            assert!(line.contains(says), "{what}: {line}");
            loader.terminate(Duration::from_secs(10))
        } else {
            loader.wait()
        };
        assert!(started.elapsed() < Duration::from_secs(10), "{what}: {:?}", started.elapsed());
        assert_eq!(ended.code, Some(i32::from(!is_waited_for)), "{what}: {}", ended.stderr);
        assert!(
            is_waited_for || ended.stderr.contains("the server there is not"),
            "{what}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("guest:guest"), "{what}: {}", ended.stderr);
    }
}

#[test]
fn a_stranger_that_gives_way_to_the_server_is_forgotten() {
    let mut run = Run::new("givesway");
    let mut proxy = Proxy::away(&amqp_url());
    run = run.rabbitmq_at(proxy.url(&amqp_url()));
    let stranger = TcpListener::bind(("127.0.0.1", proxy.port)).unwrap();
    run.loader(&[]);
    let (mut client, _) = stranger.accept().unwrap();
    client.write_all(HTTP).unwrap();
    drop((client, stranger));
    run.last().wait_for("is away");
    proxy.start();
    run.publish(100);
    run.finish();
}
