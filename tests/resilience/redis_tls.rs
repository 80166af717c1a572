//! Sentinels and a Redis Cluster that have TLS among themselves and for clients, and require a certificate of each client. All their
//! certificates are for `localhost`, so clients must be sent on by this name.

use crate::support::certificates::Authority;
use crate::support::corner::{Corner, amqp_url};
use crate::support::program::Program;
use crate::support::redis_cluster::RedisCluster;
use crate::support::redis_server::ServerTls;
use crate::support::run::Run;
use crate::support::sentinels::Sentinels;

/// One CA for servers and clients. Servers show their certificates to each other, too.
fn mutual(authority: &Authority) -> ServerTls {
    let identity = authority.signs(&["localhost"]).paths();
    ServerTls { identity, ca: authority.path(), requires_client: true }
}

/// A busy loader with a client certificate of `authority`.
fn begin(story: &str, authority: &Authority, plain_url: &str, tls_url: &str) -> Run {
    let [certificate, key] = authority.signs(&["etl"]).paths();
    let mut run = Run::of(Corner::at(story, &amqp_url(), plain_url)).redis_at(tls_url.to_owned());
    run.begin(1000, &["--ca-file", &authority.path(), "--client-cert", &certificate, "--client-key", &key]);
    run
}

#[test]
fn behind_sentinels_with_tls_the_new_primary_is_found() {
    let authority = Authority::new("a CA of our own");
    let sentinels = Sentinels::start_with_tls(&mutual(&authority));
    let mut run = begin("sentineltls", &authority, &sentinels.plain_url(), &sentinels.tls_url());
    let old = sentinels.primary().unwrap();
    sentinels.fail_over_in_order();
    let outage = run.another_takes_over(|| sentinels.another_than(old));
    assert_eq!(run.finish().retried, 0);
    println!("planned failover with TLS: nothing loaded for {outage:?}");
}

#[test]
fn in_a_cluster_with_tls_the_new_primary_is_found() {
    let authority = Authority::new("a CA of our own");
    let mut cluster = RedisCluster::start_with_tls(&mutual(&authority));
    let mut run = begin("clustertls", &authority, &cluster.url(), &cluster.tls_url());
    let namespace = run.corner.namespace.clone();
    let old = cluster.primary(&namespace).unwrap();
    cluster.nodes[old].kill();
    let outage = run.another_takes_over(|| cluster.another_than(old, &namespace));
    let lost = run.loses_whole_events_and_a_replay_mends_it();
    println!("slot's primary killed with TLS: nothing loaded for {outage:?}, {lost} events lost and mended");
}

#[test]
fn a_primary_that_is_named_by_an_address_without_a_certificate_is_told_in_one_line() {
    let authority = Authority::new("a CA of our own");
    let sentinels = Sentinels::alone_with_tls(&mutual(&authority));
    let [certificate, key] = authority.signs(&["etl"]).paths();
    let corner = Corner::at("sentineltlsname", &amqp_url(), &sentinels.plain_url());
    let mut variables = vec![
        ("AMQP_URL", corner.amqp_url.clone()),
        ("REDIS_URL", sentinels.tls_url()),
        ("ETL_NAMESPACE", corner.namespace.clone()),
        ("TLS_CA_FILE", authority.path()),
    ];
    let line = |variables: &[(&str, String)]| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let loader = Program::start("loader", &variables, &[]);
        let line = loader.wait_for(" is away: ");
        loader.stop();
        line
    };
    let told = line(&variables);
    assert!(told.contains("the server requires a client certificate: give --client-cert"), "{told}");
    variables.extend([("TLS_CLIENT_CERT", certificate), ("TLS_CLIENT_KEY", key)]);
    let told = line(&variables);
    let port = sentinels.servers[0].client_port();
    let says = format!("127.0.0.1:{port}: the server's certificate is for localhost and not for 127.0.0.1");
    assert!(told.contains(&says), "{told}");
}
