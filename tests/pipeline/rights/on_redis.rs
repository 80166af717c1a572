//! The users of Redis.

use std::time::Duration;

use github_event_etl::config::{EventLog, RedisUrl, Retention};
use github_event_etl::event::{Event, Hour};
use github_event_etl::store::{Fault, LoadCall, LoadPolicy, Score, Store, Suspect, Verdict};

use crate::script::LAYOUTS;
use crate::support::corner::{Corner, amqp_url};
use crate::support::dashboard::Dashboard;
use crate::support::dump::{assert_same, keys};
use crate::support::events::{EventBuilder, event};
use crate::support::oracle::Oracle;
use crate::support::redis_server::RedisServer;
use crate::support::security::{documented, without};
use crate::support::wait::{block_on, eventually};

const PASSWORD: &str = "secret";
const HOUR: Duration = Duration::from_secs(3600);
/// The namespace of the document.
const NAMESPACE: &str = "github-events";

/// The words of a user's `ACL SETUSER` behind its name, for this password.
fn rules(user: &str) -> Vec<String> {
    let lines = documented(&format!("ACL SETUSER {user} "));
    assert_eq!(lines.len(), 1, "{lines:?}");
    let words = lines[0].split(' ').skip(3).map(|word| word.replace(">PASSWORD", &format!(">{PASSWORD}")));
    words.collect()
}

/// The places of the rights among the rules: commands and key patterns.
fn rights(rules: &[String]) -> Vec<usize> {
    (0..rules.len()).filter(|place| rules[*place].starts_with(['+', '~', '%'])).collect()
}

fn set_user(redis: &RedisServer, user: &str, rules: &[String]) {
    redis::cmd("ACL").arg("SETUSER").arg(user).arg(rules).exec(&mut redis.connect()).unwrap();
}

fn url_of(redis: &RedisServer, user: &str) -> String {
    format!("redis://{user}:{PASSWORD}@127.0.0.1:{}/", redis.port)
}

/// A Redis that nobody has used, in the document's namespace.
fn store_of(redis: &RedisServer, user: &str) -> Store {
    let url = RedisUrl::parse(&url_of(redis, user).into(), None).unwrap();
    Store::new(&url, &NAMESPACE.parse().unwrap()).unwrap()
}

/// Everything that a loader asks of Redis but for the check of its rights: with hours that expire and hours that do not, about a crash
/// suspect, in a full Redis, and beside a key of another type.
fn load_everything(redis: &RedisServer, user: &str, event_log: EventLog) -> Result<(), String> {
    let store = store_of(redis, user).with_event_log(event_log);
    let said = |fault: Fault| fault.to_string();
    redis.run(&format!("ZADD {NAMESPACE}:hours 1 2014-01-01-00"));
    block_on(async {
        store.ping().await?;
        store.risks().await?;
        store.probe().await
    })
    .map_err(said)?;
    let first = event(1).at("2015-01-01T12:00:00Z");
    load(&store, &first, Retention::For(HOUR), Verdict::Loaded)?;
    // Another type in the same second.
    load(
        &store,
        &event(2).kind("WatchEvent").at("2015-01-01T12:00:00Z"),
        Retention::For(HOUR),
        Verdict::Loaded,
    )?;
    load(&store, &event(3).at("2015-01-01T13:00:00Z"), Retention::Forever, Verdict::Loaded)?;
    let hours: Vec<String> = ask(redis, &format!("ZRANGE {NAMESPACE}:hours 0 -1"));
    check(hours == ["2015-01-01-12", "2015-01-01-13"], &format!("the index has {hours:?}"))?;
    let suspect = Suspect::of(b"suspect");
    block_on(async {
        store.suspected(&suspect, "loader").await?;
        store.retracted(&suspect, "loader").await?;
        store.cleared(&suspect).await?;
        store.first_expiry().await?;
        store.scan_hours(0).await?;
        store.index_hour("2015-01-01-12".parse().unwrap()).await
    })
    .map_err(said)?;
    redis.run("CONFIG SET maxmemory 1");
    let again = load(&store, &first, Retention::For(HOUR), Verdict::Duplicate);
    redis.run("CONFIG SET maxmemory 0");
    again.map_err(|error| format!("a full Redis: {error}"))?;
    redis.run(&format!("SET {NAMESPACE}:event-stream broken"));
    let refused = Verdict::Failed(Fault::ThisMessage("event-stream is not a stream".into()));
    let fork = event(4).kind("ForkEvent").at("2015-01-01T12:00:30Z");
    load(&store, &fork, Retention::For(HOUR), refused)?;
    let counted: bool = ask(redis, &format!("HEXISTS {NAMESPACE}:event-count:2015-01-01-12 ForkEvent"));
    let logged: bool = ask(redis, &format!("EXISTS {NAMESPACE}:event-log:2015-01-01T12:00:30Z"));
    check(!counted && !logged, "an event that was refused left something")
}

fn check(is_well: bool, complaint: &str) -> Result<(), String> {
    if is_well { Ok(()) } else { Err(complaint.to_owned()) }
}

/// Runs a command as a user who may do anything.
fn ask<T: redis::FromRedisValue>(redis: &RedisServer, words: &str) -> T {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>()).query(&mut redis.connect()).unwrap()
}

fn load(store: &Store, event: &EventBuilder, retention: Retention, expected: Verdict) -> Result<(), String> {
    let body = event.bytes();
    let event = Event::parse(&body).unwrap();
    let score = Some(Score { login: "octocat".into(), weight: 1 });
    let policy = LoadPolicy { stream_maxlen: 10, retention };
    let verdict = block_on(store.load(policy, &[LoadCall { event: &event, score }])).remove(0);
    check(verdict == expected, &format!("{verdict:?}"))
}

/// Everything that a dashboard asks of Redis.
fn read_everything(redis: &RedisServer, user: &str, event_log: EventLog) -> Result<(), String> {
    let loader = RedisUrl::parse(&redis.url().into(), None).unwrap();
    let loader = Store::new(&loader, &NAMESPACE.parse().unwrap()).unwrap().with_event_log(event_log);
    load(&loader, &event(1).at("2015-01-01T12:00:00Z"), Retention::Forever, Verdict::Loaded)?;
    let store = store_of(redis, user);
    let hour: Hour = "2015-01-01-12".parse().unwrap();
    block_on(async {
        store.ping().await?;
        store.stream_position().await?;
        store.stream_after("0-0", 10).await?;
        store.stream_back_from("+", 10).await?;
        store.leaderboard(hour, 10).await?;
        store.hour_counts(hour).await?;
        store.hours(10).await?;
        store.look_up("1", Some("2015-01-01T12:00:00Z")).await?;
        store.look_up("1", Some("2016-01-01T12:00:00Z")).await
    })
    .map(drop)
    .map_err(|fault| fault.to_string())
}

/// Asserts that a user with these rules can do everything, and a user without any one of the rights cannot. Gives for each what went
/// wrong.
fn each_right_is_needed(user: &str, everything: impl Fn(&RedisServer, &str, EventLog) -> Result<(), String>) {
    let rules = rules(user);
    let redis = RedisServer::start(&[]);
    let in_both_layouts = |rules: &[String]| {
        set_user(&redis, user, rules);
        LAYOUTS.iter().try_for_each(|layout| {
            redis.run("FLUSHALL");
            everything(&redis, user, *layout)
        })
    };
    assert_eq!(in_both_layouts(&rules), Ok(()), "as documented");
    let needless: Vec<&String> = (rights(&rules).into_iter())
        .filter(|place| in_both_layouts(&without(&rules, *place)).is_ok())
        .map(|place| &rules[place])
        .collect();
    assert!(needless.is_empty(), "{user} does without {needless:?}");
}

#[test]
fn a_loader_needs_each_of_its_rights_in_redis() {
    each_right_is_needed("etl-loader", load_everything);
}

#[test]
fn a_dashboard_needs_each_of_its_rights_in_redis() {
    each_right_is_needed("etl-dashboard", read_everything);
}

#[test]
fn a_loader_names_the_right_that_it_lacks_before_it_loads_an_event() {
    let (rules, redis) = (rules("etl-loader"), RedisServer::start(&[]));
    let corner = Corner::at("norights", &amqp_url(), &redis.url());
    corner.publish(&[event(1).bytes()]);
    let rules: Vec<_> = rules.iter().map(|rule| rule.replace(NAMESPACE, &corner.namespace)).collect();
    let lacking: Vec<_> = rights(&rules)
        .into_iter()
        // Without INFO a loader works: it only cannot tell whether Redis's settings are safe.
        .filter(|place| rules[*place] != "+info")
        .map(|place| {
            let user = format!("lacking-{place}");
            set_user(&redis, &user, &without(&rules, place));
            let loader = corner.loader_at(&corner.amqp_url, &url_of(&redis, &user), &[]);
            (rules[place].clone(), loader)
        })
        .collect();
    for (right, loader) in lacking {
        let line = loader.wait_for(" is away: the user lacks a right: ");
        let named = right.strip_prefix('+').map_or("key".to_owned(), |command| format!("'{command}'"));
        assert!(line.contains(&named) && line.contains("docs/SECURITY.md"), "{right}: {line}");
    }
    assert_eq!(corner.ready("load"), 1, "nobody has taken it");
    // A loader that was killed in the middle of a check leaves a key that lives for 5 s.
    eventually("the keys of the checks are gone", || {
        !keys(&mut corner.redis(), &corner.namespace).iter().any(|key| key.contains(":probe:"))
    });
    assert_eq!(corner.dump(), Vec::<String>::new(), "nothing of the checks is left");
}

#[test]
fn loaders_and_dashboards_work_with_their_rights_in_redis() {
    let redis = RedisServer::start(&[]);
    let corner = Corner::at("rights", &amqp_url(), &redis.url());
    for user in ["etl-loader", "etl-dashboard"] {
        let rules: Vec<_> =
            rules(user).iter().map(|rule| rule.replace(NAMESPACE, &corner.namespace)).collect();
        set_user(&redis, user, &rules);
    }
    let bodies: Vec<_> = (0..100).map(|id| event(id).bytes()).collect();
    corner.publish(&bodies);
    let (loading, looking) = (url_of(&redis, "etl-loader"), url_of(&redis, "etl-dashboard"));
    let dashboard = Dashboard::start_at(&corner, &corner.amqp_url, &looking, &[], &[]);
    corner.loader_at(&corner.amqp_url, &loading, &["--drain", "--stream-maxlen", "0"]).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&bodies).lines());
    eventually("it shows what was loaded", || dashboard.get("/api/events?limit=1").body.contains("\"id\""));
    eventually("it is ready", || dashboard.get("/readyz").status == 200);
    let log = dashboard.program.stderr();
    assert!(!log.contains("NOPERM"), "{log}");
}
