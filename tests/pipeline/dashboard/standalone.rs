//! The dashboard in `standalone`.

use std::net::TcpListener;

use crate::support::corner::Corner;
use crate::support::dashboard::{LISTENS, address_in, request};
use crate::support::github::GitHub;
use crate::support::wait::eventually;

#[test]
fn standalone_serves_a_dashboard_that_shows_itself() {
    let (corner, github) = (Corner::new("dashalone"), GitHub::generated(&["--rate", "0"]));
    let program =
        corner.polling("standalone", &corner.amqp_url, &github.url, &["--dashboard-listen", "127.0.0.1:0"]);
    let address = address_in(&program.wait_for(LISTENS));
    let get = |path: &str| request(&address, "GET", path, &[("Host", &address)], "").unwrap().json();
    eventually("it tells of itself", || get("/api/overview")["loaded"]["total"].as_u64() > Some(0));
    let workers = get("/api/workers");
    let worker = &workers["workers"][0];
    assert_eq!((&worker["program"], &worker["pid"]), (&"standalone".into(), &program.pid().into()));
    assert!(worker["loader"].is_object() && worker["fetcher"].is_object(), "{worker}");
    program.stop();
}

#[test]
fn a_port_that_is_taken_costs_the_dashboard_and_nothing_else() {
    let (corner, github) = (Corner::new("dashtaken"), GitHub::generated(&["--rate", "0"]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let program =
        corner.polling("standalone", &corner.amqp_url, &github.url, &["--dashboard-listen", &address]);
    let line = program.wait_for("continuing without a dashboard");
    assert!(line.contains(&address), "{line}");
    eventually("events load", || corner.loaded() > 0);
    program.stop();
    let off = corner.polling("standalone", &corner.amqp_url, &github.url, &["--dashboard-listen", "off"]);
    off.wait_for("consuming");
    off.wait_for("next poll");
    assert!(!off.stop().stderr.contains("dashboard"));
}
