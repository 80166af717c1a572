//! Redis behind Sentinel.

use super::Loading;
use crate::support::corner::{Corner, amqp_url};
use crate::support::sentinels::{SERVICE, Sentinels};
use crate::support::wait::eventually;

#[test]
fn every_program_finds_the_primary_behind_sentinels_and_the_new_one_after_its_death() {
    let mut sentinels = Sentinels::start(&[]);
    let loading = Loading::begin("sentinel", &sentinels.url(), "50");
    let old = sentinels.primary().unwrap();
    sentinels.servers[old].kill();
    eventually("another is the primary", || sentinels.another_than(old).is_some());
    let ended = loading.ends();
    // The loader's connections and the dashboard's have a line each.
    assert!(ended.stderr.contains("Redis's primary is 127.0.0.1:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("set min-replicas-to-write 1"), "{}", ended.stderr);
}

#[test]
fn a_name_that_the_sentinels_do_not_have_is_told_and_waited_for() {
    let sentinels = Sentinels::alone(&[], "");
    let url = sentinels.url().replace(SERVICE, "mistyped");
    let corner = Corner::at("sentinelname", &amqp_url(), &url);
    let loader = corner.loader(&[]);
    let line = loader.wait_for("is away");
    assert!(
        line.contains("this Sentinel knows no 'mistyped': check the name behind the hosts in --redis-url"),
        "{line}"
    );
    loader.stop();
}
