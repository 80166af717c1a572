//! Passwords of Sentinels and of the servers that they name are two things.

use crate::support::corner::{Corner, amqp_url};
use crate::support::events::event;
use crate::support::program::{Ended, Program};
use crate::support::redis_server::RedisServer;
use crate::support::sentinels::Sentinels;

const OF_REDIS: &str = "redis/p@ss,:?";
const OF_SENTINEL: &str = "sentinel/p@ss+%41";

/// A loader that ends when the queue is empty, with these passwords.
fn loader(corner: &Corner, url: &str, passwords: &[(&str, &str)]) -> Ended {
    let own = [("AMQP_URL", &*corner.amqp_url), ("REDIS_URL", url), ("ETL_NAMESPACE", &corner.namespace)];
    Program::start("loader", &[&own, passwords].concat(), &["--drain"]).wait()
}

#[test]
fn sentinels_and_servers_each_get_their_password_and_a_wrong_one_is_named() {
    let sentinels = Sentinels::alone(&["--requirepass", OF_REDIS], OF_SENTINEL);
    let corner = Corner::at("sentinellogin", &amqp_url(), &sentinels.url());
    corner.publish(&[event(1).bytes()]);
    let (redis, sentinel) = (("REDIS_PASSWORD", OF_REDIS), ("REDIS_SENTINEL_PASSWORD", OF_SENTINEL));
    for (passwords, says) in [
        (&[redis][..], "refuses our login (check REDIS_SENTINEL_PASSWORD)"),
        (
            &[redis, ("REDIS_SENTINEL_PASSWORD", "hunter2")],
            "refuses our login (check REDIS_SENTINEL_PASSWORD)",
        ),
        (
            &[sentinel, ("REDIS_PASSWORD", "hunter2")],
            "check user and password in --redis-url, REDIS_PASSWORD",
        ),
    ] {
        let ended = loader(&corner, &sentinels.url(), passwords);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "'{says}' is not in\n{}", ended.stderr);
        for secret in ["hunter2", "p@ss"] {
            assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        }
    }
    let ended = loader(&corner, &sentinels.url(), &[redis, sentinel]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("loaded 1,"), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_no_sentinel_is_named() {
    let redis = RedisServer::start(&[]);
    let url = format!("redis-sentinel://127.0.0.1:{}/events", redis.port);
    let corner = Corner::undeclared_at("nosentinel", &[], amqp_url(), url.clone());
    let ended = loader(&corner, &url, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let says = format!("127.0.0.1:{}: it does not answer as a Sentinel does", redis.port);
    assert!(ended.stderr.contains(&says), "{}", ended.stderr);
}
