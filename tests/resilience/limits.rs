//! Files run out, and nobody reads the log (rows 43 and 45).

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::corner::{Corner, amqp_url};
use crate::support::event_log;
use crate::support::process::{cpu_seconds, signal};
use crate::support::redis_server::RedisServer;
use crate::support::run::Run;
use crate::support::wait::eventually;

#[test]
fn a_loader_out_of_file_descriptors_goes_on_loading_and_recovers_when_they_come_free() {
    let redis = RedisServer::start(&[]);
    let mut run = Run::of(Corner::at("nofile", &amqp_url(), &redis.url()));
    // One connection to Redis, open from the start: a loader with several opens the others when it first needs them.
    let pid = run.loader(&["--concurrency", "1"]).pid();
    run.wait_until_ready();
    let limit = ["--pid", &pid.to_string(), "--nofile=24:24"];
    assert!(Command::new("prlimit").args(limit).status().is_ok_and(|status| status.success()));
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(&run.last_status().address).unwrap()).collect();
    let used = |fd: u32| std::path::Path::new(&format!("/proc/{pid}/fd/{fd}")).exists();
    eventually("it has no file left", || (0..24).all(used));
    run.publish(500);
    run.drains();
    let before = cpu_seconds(pid);
    // Not a wait for anything: what happens in this time is what counts.
    std::thread::sleep(Duration::from_secs(3));
    assert!(cpu_seconds(pid) - before < 0.3, "it spins");
    // What it loses now it cannot open again, until somebody lets go.
    redis.run("CLIENT KILL TYPE normal SKIPME yes");
    run.publish(500);
    drop(idle);
    run.finish();
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_loading() {
    let mut run = Run::new("unread");
    // Each is logged with its reason; together they are more than a pipe holds.
    run.publish_dead((0..600).map(|n| format!("no event {n}").into_bytes()).collect());
    let mut loader = Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--stream-maxlen", "0"])
        .env("AMQP_URL", &run.corner.amqp_url)
        .env("REDIS_URL", &run.corner.redis_url)
        .env("ETL_NAMESPACE", &run.corner.namespace)
        .env("LOADER_EVENT_LOG", event_log::of(&run.corner.namespace))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let soon = |done: &dyn Fn() -> bool| {
        while !done() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        done()
    };
    let stores = soon(&|| run.corner.ready("load.dead") == 600);
    run.publish(500);
    let loads = soon(&|| run.corner.loaded() == run.distinct());
    signal(loader.id(), "KILL");
    loader.wait().unwrap();
    assert!(stores && loads, "it waits for whoever reads its log: stores failures: {stores}, loads: {loads}");
    run.loader(&[]);
    run.finish();
}

#[test]
fn a_loader_with_its_output_closed_loads_and_stops_when_asked() {
    let mut run = Run::new("closed");
    run.publish_dead((0..50).map(|n| format!("no event {n}").into_bytes()).collect());
    run.publish(500);
    let mut loader = Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--stream-maxlen", "0"])
        .env("AMQP_URL", &run.corner.amqp_url)
        .env("REDIS_URL", &run.corner.redis_url)
        .env("ETL_NAMESPACE", &run.corner.namespace)
        .env("LOADER_EVENT_LOG", event_log::of(&run.corner.namespace))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Writing fails from now on. Descriptors that are closed from the start would not do: Rust opens /dev/null in their place.
    drop((loader.stdout.take(), loader.stderr.take()));
    run.drains();
    eventually("the dead letters are stored", || run.corner.ready("load.dead") == 50);
    signal(loader.id(), "TERM");
    eventually("it ends after SIGTERM", || loader.try_wait().unwrap().is_some());
    assert_eq!(loader.wait().unwrap().code(), Some(0));
    run.loader(&[]);
    run.finish();
}
