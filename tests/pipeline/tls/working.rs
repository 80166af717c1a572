//! The pipeline with TLS on every way.

use super::*;
use crate::support::archive_files::{hour, write};
use crate::support::archive_host::ArchiveHost;
use crate::support::corner::Corner;
use crate::support::dashboard::Dashboard;
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::program::Program;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
use crate::support::tls_front;
use crate::support::wait::eventually;

/// Fetches, replays and loads, with these files of TLS for the programs, and watches on a dashboard.
fn everything_loads(clients_need: Option<(&Authority, &Identity)>) {
    let authority = Authority::new("the servers' CA");
    let server = authority.signs(&HERE);
    let client_ca = clients_need.map(|(ca, _)| ca.file());
    let node = RabbitNode::lent();
    let amqp = amqps(node.listen_with_tls(&[(server.paths(), client_ca.as_deref())])[0]);
    let ca_of_redis = client_ca.clone().unwrap_or_else(|| authority.file());
    let (redis, redis_port) = RedisServer::start_with_tls(&server.paths(), &ca_of_redis, client_ca.is_some());
    let corner = Corner::at("tls", &node.url(), &redis.url());
    // One page: the simulator behind the front would link to itself without TLS.
    let recorded: Vec<_> = (0..100).map(|id| event(id).bytes()).collect();
    let github = GitHub::recorded(&recorded, &["--rate", "0"]);
    let before = |url: &str| {
        https(tls_front::before(url.trim_start_matches("http://"), &server, client_ca.as_deref()))
    };
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archived = hour(5, 1000..1100, 5);
    write(files.path(), "2015-01-01-5.json.gz", &archived);
    let mirror = ArchiveHost::serving(files.path(), &[]);
    let (redis_url, api_url, base_url, ca) =
        (rediss(redis_port), before(&github.url), before(&mirror.url), authority.path());
    let [certificate, key] = clients_need.map(|(_, identity)| identity.paths()).unwrap_or_default();
    let variables = [
        ("AMQP_URL", amqp.as_str()),
        ("REDIS_URL", &redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
        ("GITHUB_API_URL", &api_url),
        ("GHARCHIVE_BASE_URL", &base_url),
        ("REPLAY_STATE_DIR", state.path().to_str().unwrap()),
        ("TLS_CA_FILE", &ca),
        ("TLS_CLIENT_CERT", &certificate),
        ("TLS_CLIENT_KEY", &key),
    ];
    let dashboard = Dashboard::start_at(&corner, &amqp, &redis_url, &[], &variables[6..]);
    Program::start("fetcher", &variables, &["--once"]).succeed();
    Program::start("replay", &variables, &["gharchive", "2015-01-01-5"]).succeed();
    Program::start("loader", &variables, &["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&[recorded, archived].concat()).lines());
    eventually("the dashboard is ready", || dashboard.get("/readyz").status == 200);
}

#[test]
fn every_program_works_with_tls_and_a_ca_of_our_own() {
    everything_loads(None);
}

#[test]
fn every_program_shows_its_certificate_where_servers_require_one() {
    let clients = Authority::new("the clients' CA");
    let client = clients.signs(&["etl"]);
    everything_loads(Some((&clients, &client)));
}

#[test]
fn the_own_ca_is_trusted_beside_the_systems() {
    let (systems, own) = (Authority::new("the system's CA"), Authority::new("a CA of our own"));
    let node = RabbitNode::lent();
    let amqp = amqps(node.listen_with_tls(&[(own.signs(&HERE).paths(), None)])[0]);
    let (redis, redis_port) =
        RedisServer::start_with_tls(&systems.signs(&HERE).paths(), &systems.file(), false);
    let corner = Corner::at("tlsboth", &node.url(), &redis.url());
    let github = GitHub::recorded(&[event(1).bytes()], &[]);
    let api_url =
        https(tls_front::before(github.url.trim_start_matches("http://"), &systems.signs(&HERE), None));
    let variables = [
        ("AMQP_URL", amqp.as_str()),
        ("REDIS_URL", &rediss(redis_port)),
        ("ETL_NAMESPACE", &corner.namespace),
        ("GITHUB_API_URL", &api_url),
        // What the system trusts.
        ("SSL_CERT_FILE", &systems.path()),
        ("TLS_CA_FILE", &own.path()),
    ];
    Program::start("fetcher", &variables, &["--once"]).succeed();
    Program::start("loader", &variables, &["--drain"]).succeed();
    assert_eq!(corner.loaded(), 1);
}
