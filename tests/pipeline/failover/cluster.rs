//! Redis Cluster.

use super::Loading;
use crate::support::corner::{Corner, amqp_url};
use crate::support::dump::assert_same;
use crate::support::events::event;
use crate::support::oracle::Oracle;
use crate::support::redis_cluster::RedisCluster;
use crate::support::wait::eventually;

#[test]
fn every_program_finds_the_primary_of_its_slot_and_the_new_one_after_a_failover() {
    let mut cluster = RedisCluster::start(&[]);
    let loading = Loading::begin("cluster", &cluster.url(), "20");
    let namespace = &loading.corner.namespace;
    let first = cluster.primary(namespace).unwrap();
    cluster.fail_over_to(cluster.replica_of(first));
    eventually("its replica is the primary", || cluster.another_than(first, namespace).is_some());
    let second = cluster.primary(namespace).unwrap();
    cluster.wait_until_whole();
    cluster.nodes[second].kill();
    eventually("the first one is the primary again", || cluster.primary(namespace) == Some(first));
    loading.ends();
}

#[test]
fn hours_that_an_older_version_loaded_are_indexed_in_a_cluster_too() {
    let cluster = RedisCluster::start(&[]);
    let corner = Corner::at("clusterhours", &amqp_url(), &cluster.url());
    let events: Vec<_> = (0..20).map(|id| event(id).bytes()).collect();
    corner.publish(&events);
    corner.loader(&["--drain", "--event-log", "per-event", "--stream-maxlen", "0"]).succeed();
    for key in ["hours", "event-log-layout"] {
        redis::cmd("DEL")
            .arg(format!("{}:{key}", corner.namespace))
            .query::<()>(&mut corner.redis())
            .unwrap();
    }
    let loader = corner.loader(&["--event-log", "per-event"]);
    loader.wait_for("Redis had no index of the hours that have counts: indexed 1");
    loader.stop();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}
