//! Redis answers, but refuses (rows 27 to 31): that is waited for, with readiness telling the reason, and nothing becomes a
//! dead letter.

use std::time::Duration;

use crate::support::corner::{Corner, amqp_url};
use crate::support::process::cpu_seconds;
use crate::support::redis_server::{RedisServer, run};
use crate::support::run::Run;

/// A loader under load. With one attempt, whatever counted as a message's fault would become a dead letter at once.
fn started(redis: &RedisServer, story: &str) -> Run {
    let mut run = Run::of(Corner::at(story, &amqp_url(), &redis.url()));
    run.begin(1500, &["--max-attempts", "1"]);
    run
}

/// Breaks a Redis under load, waits until the loader says why it is not ready, mends it, and sees all recover.
#[track_caller]
fn refuses(story: &str, breaks: &[&str], says: &str, mends: &[&str]) {
    let arguments = ["--enable-protected-configs", "yes", "--save", "3600 1000000"];
    let redis = RedisServer::start(&arguments);
    let mut load = started(&redis, story);
    // Somebody who is in already can mend what nobody else may.
    let mut connection = redis.connect();
    breaks.iter().for_each(|words| run(&mut connection, words));
    load.wait_until_unready_because(says);
    mends.iter().for_each(|words| run(&mut connection, words));
    load.finish();
}

#[test]
fn a_replica_is_not_written_to_and_its_promotion_is_noticed() {
    refuses("readonly", &["REPLICAOF 127.0.0.1 1"], "READONLY", &["REPLICAOF NO ONE"]);
}

#[test]
fn too_few_replicas_are_waited_for() {
    let (breaks, mends) = ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0");
    refuses("noreplicas", &[breaks], "NOREPLICAS", &[mends]);
}

#[test]
fn a_redis_that_cannot_save_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let back = format!("CONFIG SET dir {}", dir.path().display());
    // Nobody can create a file in /proc.
    refuses("misconf", &["CONFIG SET dir /proc", "BGSAVE"], "MISCONF", &[&back, "BGSAVE"]);
}

#[test]
fn a_password_that_somebody_sets_is_waited_for() {
    let breaks = ["CONFIG SET requirepass hunter2", "CLIENT KILL TYPE normal SKIPME yes"];
    refuses("noauth", &breaks, "NOAUTH", &["CONFIG SET requirepass \"\""]);
}

#[test]
fn a_right_that_somebody_takes_away_is_waited_for() {
    refuses(
        "noperm",
        &["ACL SETUSER default -xadd"],
        "can't run this command",
        &["ACL SETUSER default +xadd"],
    );
    refuses("noscript", &["ACL SETUSER default -evalsha"], "NOPERM", &["ACL SETUSER default +evalsha"]);
}

#[test]
fn somebodys_long_script_is_waited_for() {
    let redis = RedisServer::start(&["--busy-reply-threshold", "200"]);
    let mut run = started(&redis, "busy");
    let script = "redis.call('set', 'x', 1)
        local now = redis.call('time')[1]
        while redis.call('time')[1] - now < 4 do end";
    std::thread::scope(|scope| {
        scope.spawn(|| redis::cmd("EVAL").arg(script).arg(0).query::<()>(&mut redis.connect()).unwrap());
        run.wait_until_unready_because("BUSY");
    });
    run.finish();
}

#[test]
fn a_redis_without_room_for_another_client_is_asked_again_at_leisure() {
    let redis = RedisServer::start(&[]);
    let mut load = started(&redis, "maxclients");
    let mut connection = redis.connect();
    for words in ["CONFIG SET maxclients 1", "CLIENT KILL TYPE normal SKIPME yes"] {
        run(&mut connection, words);
    }
    // Redis may close the connection before its reason is read.
    load.wait_until_unready();
    let pid = load.last().pid();
    let mut look = || (rejected(&mut connection), cpu_seconds(pid));
    let before = look();
    // Not a wait for anything: what happens in this time is what counts.
    std::thread::sleep(Duration::from_secs(4));
    let after = look();
    assert!(after.0 > before.0 && after.0 - before.0 <= 12, "{} attempts in 4 s", after.0 - before.0);
    assert!(after.1 - before.1 < 0.4, "{} s of CPU in 4 s", after.1 - before.1);
    run(&mut connection, "CONFIG SET maxclients 1000");
    load.finish();
}

/// Connections refused so far.
fn rejected(redis: &mut redis::Connection) -> u32 {
    let info: String = redis::cmd("INFO").arg("stats").query(redis).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("rejected_connections:")).unwrap();
    line.trim().parse().unwrap()
}
