//! What waiting cannot mend ends the program with exit code 1 and a remedy.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::support::corner::Corner;
use crate::support::program::Program;
use crate::support::redis_server::RedisServer;
use crate::support::stranger::web_server;
use crate::support::wait::block_on;

#[test]
fn wrong_credentials_end_the_program_with_the_remedy_and_without_the_password() {
    let corner = Corner::undeclared("denied", &[]);
    let mut url = url::Url::parse(&corner.amqp_url).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let ended = corner.loader_at(url.as_str(), &corner.redis_url, &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("RabbitMQ refuses access"), "{}", ended.stderr);
    assert!(ended.stderr.contains("check user, password and virtual host in --amqp-url (AMQP_URL)"));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_virtual_host_that_does_not_exist_ends_the_program_with_the_remedy() {
    let corner = Corner::undeclared("vhost", &[]);
    let url = corner.amqp_url.replace("%2f", "no-such-vhost");
    assert_ne!(url, corner.amqp_url);
    let ended = corner.loader_at(&url, &corner.redis_url, &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("check user, password and virtual host"), "{}", ended.stderr);
}

#[test]
fn a_queue_that_exists_with_other_settings_ends_the_program_and_the_difference_is_shown() {
    let corner = Corner::undeclared("mismatch", &["load"]);
    let queue = corner.queue("load");
    let classic = corner.amqp().channel.queue_declare(
        queue.as_str().into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    block_on(classic).unwrap();
    let ended = corner.loader(&[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for text in [&queue, "inequivalent arg", "received the value", "but current is none", "--namespace"] {
        assert!(ended.stderr.contains(text), "'{text}' is not in\n{}", ended.stderr);
    }
}

fn web_server_address() -> String {
    format!("127.0.0.1:{}", web_server())
}

#[test]
fn what_is_not_rabbitmq_is_told_by_what_it_says() {
    let corner = Corner::undeclared("notrabbit", &[]);
    let redis = RedisServer::start(&[]);
    for (address, says) in
        [(web_server_address(), "HTTP/1.1 400 Bad Request"), (format!("127.0.0.1:{}", redis.port), "PONG")]
    {
        let url = format!("amqp://guest:hunter2@{address}/%2f");
        let ended = corner.loader_at(&url, &corner.redis_url, &[]).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for text in ["is not RabbitMQ", says, "check host and port in --amqp-url (AMQP_URL)"] {
            assert!(ended.stderr.contains(text), "'{text}' is not in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn what_is_not_redis_ends_the_program_with_the_remedy() {
    let corner = Corner::undeclared("notredis", &[]);
    let rabbitmq = url::Url::parse(&corner.amqp_url).unwrap();
    let rabbitmq = format!("127.0.0.1:{}", rabbitmq.port().unwrap());
    for address in [web_server_address(), rabbitmq] {
        let ended = corner.loader_at(&corner.amqp_url, &format!("redis://:hunter2@{address}/"), &[]).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for text in [&address, "is not Redis", "check host and port in --redis-url (REDIS_URL)"] {
            assert!(ended.stderr.contains(text), "'{text}' is not in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_redis_that_refuses_our_login_ends_the_program_with_the_remedy_and_without_the_password() {
    let corner = Corner::undeclared("redislogin", &[]);
    let redis = RedisServer::start(&[]);
    redis.run("CONFIG SET requirepass right");
    for login in ["", ":hunter2@"] {
        let url = redis.url().replace("//", &format!("//{login}"));
        let ended = corner.loader_at(&corner.amqp_url, &url, &[]).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        for text in [&redis.port.to_string(), "check user and password in --redis-url, REDIS_PASSWORD"] {
            assert!(ended.stderr.contains(text), "'{text}' is not in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_database_that_redis_does_not_have_ends_the_program_with_the_remedy() {
    let corner = Corner::undeclared("redisdb", &[]);
    for program in ["loader", "standalone"] {
        for number in ["99", "2147483647", "4294967295"] {
            let url = format!("{}{number}", corner.redis_url);
            let variables = [("AMQP_URL", corner.amqp_url.as_str()), ("REDIS_URL", &url)];
            let off: &[&str] = if program == "standalone" { &["--dashboard-listen", "off"] } else { &[] };
            let ended = Program::start(program, &variables, off).wait();
            assert!(matches!(ended.code, Some(1 | 2)), "{program} {number}: {}", ended.stderr);
            assert!(ended.stderr.contains("--redis-url"), "{program} {number}: {}", ended.stderr);
        }
    }
}
