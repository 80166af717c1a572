use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::corner::Corner;
use crate::support::process::signal;
use crate::support::wait::eventually;

#[test]
fn a_loader_whose_log_nobody_reads_any_more_still_stops_when_asked() {
    let corner = Corner::new("deaf");
    let mut loader = Command::new(env!("CARGO_BIN_EXE_loader"))
        .env("AMQP_URL", &corner.amqp_url)
        .env("REDIS_URL", &corner.redis_url)
        .env("ETL_NAMESPACE", &corner.namespace)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(loader.stderr.take().unwrap());
    // Reading ends, and the pipe closes, with the first line that says it is at work.
    assert!(log.lines().any(|line| line.unwrap().contains("consuming")));
    signal(loader.id(), "TERM");
    eventually("the loader ends after SIGTERM", || loader.try_wait().unwrap().is_some());
    assert_eq!(loader.wait().unwrap().code(), Some(0));
}
