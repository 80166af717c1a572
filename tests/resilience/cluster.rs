//! A RabbitMQ cluster of three whose nodes die, freeze and restart under load. Whatever was confirmed is loaded, once. Each story prints
//! how soon events were loaded again.

use std::time::{Duration, Instant};

use crate::support::cluster_load::ClusterRun;
use crate::support::corner::{Corner, redis_url};
use crate::support::events::event;
use crate::support::github::GitHub;
use crate::support::process::signal;
use crate::support::program::Program;
use crate::support::rabbit_cluster::RabbitCluster;
use crate::support::status::Status;
use crate::support::wait::eventually;

#[test]
fn the_leader_of_the_load_queue_killed_under_load_costs_seconds_and_no_event() {
    let mut scene = ClusterRun::begin("cluster-leader");
    let leader = scene.cluster.leader_of(&scene.run.corner.queue("load"));
    let killed = Instant::now();
    scene.cluster.nodes[leader].kill();
    scene.recovers("the leader of the load queue killed", killed);
    scene.cluster.nodes[leader].restart();
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn each_node_killed_in_turn_costs_seconds() {
    let mut scene = ClusterRun::begin("cluster-each");
    for place in 0..3 {
        let killed = Instant::now();
        scene.cluster.nodes[place].kill();
        scene.recovers(&format!("node {place} killed"), killed);
        scene.cluster.nodes[place].restart();
        scene.wait_for_all();
    }
    scene.finish();
}

#[test]
fn a_frozen_node_is_left_by_all_that_use_it() {
    let mut scene = ClusterRun::begin("cluster-frozen");
    // The first node of the list: everybody uses it, and it has the leaders.
    let pid = scene.cluster.nodes[0].pid();
    let frozen = Instant::now();
    signal(pid, "STOP");
    scene.recovers("the node in use frozen", frozen);
    let resumed = Instant::now();
    signal(pid, "CONT");
    scene.recovers("it goes on", resumed);
    // With Mnesia (3.10) the others do not take it back otherwise: it was away, and does not know.
    scene.cluster.nodes[0].kill();
    scene.cluster.nodes[0].restart();
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn a_node_that_the_others_do_not_reach_is_left_until_they_do() {
    let scene = ClusterRun::begin("cluster-cut");
    let cut = Instant::now();
    scene.cluster.cut_off(0);
    scene.recovers("the node in use cut off from the others", cut);
    let mended = Instant::now();
    scene.cluster.let_in_again(0);
    scene.recovers("the others reach it again", mended);
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn two_of_three_frozen_hold_everything_up_until_they_go_on() {
    let scene = ClusterRun::begin("cluster-minority");
    for place in [0, 1] {
        signal(scene.cluster.nodes[place].pid(), "STOP");
    }
    scene.run.wait_until_unready();
    for place in [0, 1] {
        signal(scene.cluster.nodes[place].pid(), "CONT");
    }
    let resumed = Instant::now();
    scene.recovers("two of three frozen", resumed);
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn two_of_three_down_hold_everything_up_until_one_is_back() {
    let mut scene = ClusterRun::begin("cluster-two");
    for place in [0, 1] {
        scene.cluster.nodes[place].kill();
    }
    let down = Instant::now();
    scene.run.wait_until_unready();
    eventually("they are down for a while", || down.elapsed() >= Duration::from_secs(15));
    for place in [0, 1] {
        scene.cluster.nodes[place].begin_again();
    }
    let majority = scene.wait_for_majority();
    scene.recovers("one of two is back", majority);
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn all_three_killed_at_once_come_back_with_all_that_was_confirmed() {
    let mut scene = ClusterRun::begin("cluster-all");
    scene.cluster.nodes.iter_mut().for_each(|node| node.kill());
    scene.run.wait_until_unready();
    scene.cluster.nodes.iter_mut().for_each(|node| node.begin_again());
    let majority = scene.wait_for_majority();
    scene.recovers("all killed at once", majority);
    scene.wait_for_all();
    scene.finish();
}

#[test]
fn a_rolling_restart_is_seen_by_no_program_for_long() {
    let recording: Vec<_> = (0..600).map(|n| event(n).bytes()).collect();
    let github = GitHub::recorded(&recording, &["--per-poll", "10"]);
    let mut scene = ClusterRun::begin("cluster-rolling");
    let (url, corner) = (scene.cluster.url(), &scene.run.corner);
    let statuses = [Status::new(), Status::new()];
    let listening = |place: usize| ["--metrics-listen", statuses[place].address.as_str()];
    let fetcher = corner.polling("fetcher", &url, &github.url, &listening(0));
    let variables = [
        ("AMQP_URL", url.as_str()),
        ("REDIS_URL", corner.redis_url.as_str()),
        ("ETL_NAMESPACE", corner.namespace.as_str()),
    ];
    let flags = [&["--listen", "127.0.0.1:0"], &listening(1)[..]].concat();
    let dashboard = Program::start("dashboard", &variables, &flags);
    let all_are_ready = || statuses.iter().all(Status::is_ready);
    eventually("fetcher and dashboard are ready", all_are_ready);
    for place in 0..3 {
        scene.cluster.nodes[place].run("rabbitmq-upgrade", &["await_online_quorum_plus_one"]);
        let stopped = Instant::now();
        scene.cluster.nodes[place].stop();
        scene.recovers(&format!("node {place} restarts"), stopped);
        eventually("fetcher and dashboard are ready again", all_are_ready);
        scene.cluster.nodes[place].restart();
        scene.wait_for_all();
    }
    github.until_all_fetched(recording.len());
    fetcher.stop();
    dashboard.stop();
    scene.run.expect(recording);
    scene.finish();
}

#[test]
fn an_archive_without_its_quorum_stops_nothing() {
    let mut scene = ClusterRun::begin("cluster-archive");
    let archive = scene.run.corner.queue("archive");
    let lonely = scene.cluster.leader_of(&archive);
    for name in scene.cluster.names_of_others(lonely) {
        scene.cluster.nodes[lonely].run("rabbitmq-streams", &["delete_replica", &archive, &name]);
    }
    let killed = Instant::now();
    scene.cluster.nodes[lonely].kill();
    let recording: Vec<_> = (0..200).map(|n| event(n).bytes()).collect();
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let fetcher = scene.run.corner.polling("fetcher", &scene.cluster.url(), &github.url, &[]);
    scene.recovers("the only node with the archive killed", killed);
    github.until_all_fetched(recording.len());
    fetcher.wait_for(&format!("the archive {archive}"));
    scene.cluster.nodes[lonely].restart();
    let nodes: Vec<_> = scene.cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    fetcher.wait_for(&format!("the archive {archive} in RabbitMQ at {} is back", nodes.join(", ")));
    fetcher.stop();
    scene.run.expect(recording.clone());
    scene.reconnect();
    scene.run.corner.archived(recording.len());
    scene.finish();
}

#[test]
fn a_queue_with_one_member_is_seen_and_grown_as_the_documentation_says() {
    let mut scene = ClusterRun::begin("cluster-grow");
    let load = scene.run.corner.queue("load");
    let lonely = scene.cluster.leader_of(&load);
    let names = scene.cluster.names_of_others(lonely);
    let node = &scene.cluster.nodes[lonely];
    let members = || node.run("rabbitmq-queues", &["quorum_status", &load]);
    assert!(names.iter().all(|name| members().contains(name)), "{}", members());
    for name in &names {
        node.run("rabbitmq-queues", &["delete_member", &load, name]);
    }
    assert!(!names.iter().any(|name| members().contains(name)), "{}", members());
    for name in &names {
        node.run("rabbitmq-queues", &["grow", name, "all", "--queue-pattern", &format!("^{load}$")]);
    }
    node.run("rabbitmq-upgrade", &["await_online_quorum_plus_one"]);
    let killed = Instant::now();
    scene.cluster.nodes[lonely].kill();
    scene.recovers("the node that was its only member killed", killed);
    scene.finish();
}

#[test]
fn the_policy_of_the_documentation_spreads_the_leaders() {
    let cluster = RabbitCluster::lent();
    let node = &cluster.nodes[0];
    let definition = r#"{"queue-leader-locator":"balanced"}"#;
    node.ctl(&["set_policy", "leaders", r"^test-leaders", definition, "--apply-to", "queues"]);
    let corner = Corner::at("leaders", &node.url(), &redis_url());
    let queues = [vec!["load".into(), "load.dead".into(), "gaps".into()], corner.retries("load")].concat();
    let mut leaders: Vec<_> = queues.iter().map(|queue| cluster.leader_of(&corner.queue(queue))).collect();
    leaders.sort_unstable();
    leaders.dedup();
    assert_eq!(leaders, [0, 1, 2]);
    node.ctl(&["clear_policy", "leaders"]);
}
