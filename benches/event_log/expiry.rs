//! How long a loader waits for Redis while the keys of one hour expire, in a log of a week.

use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::ValueEnum as _;
use github_event_etl::config::EventLog;

use crate::clients::NAMESPACE;
use crate::direct::DirectLoader;
use crate::preload::preload;
use crate::redis_info::{arguments, info, version};
use crate::redis_server::RedisServer;

const BATCH: usize = 64;
const DEVELOPERS: u64 = 60_000;
/// How long is measured before the hour expires, and how long at least afterwards.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(20);

/// Measures each layout and prints a table.
pub fn run(millions: f64, hour: u64, layouts: &[EventLog], settings: &[String]) -> Result<()> {
    let arguments = arguments(settings);
    println!("{} {}", version()?, settings.join(" "));
    println!(
        "| layout | events in the log | keys of the hour | longest wait before (ms) | longest wait as the hour expires (ms) | all gone after (s) |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let layouts = if layouts.is_empty() { EventLog::value_variants() } else { layouts };
    for layout in layouts {
        measure(*layout, crate::events(millions), hour, &arguments)?;
    }
    Ok(())
}

fn measure(layout: EventLog, events: u64, hour: u64, arguments: &[&str]) -> Result<()> {
    let redis = RedisServer::start(arguments);
    preload(&mut redis.connect(), layout, events)?;
    let loader = DirectLoader::new(&redis.url(), layout)?;
    fill_hour(&loader, hour)?;
    let keys = hour_keys(&redis)?;
    expire(&redis, &keys, Utc::now() + BEFORE)?;
    let keys = keys.len() as u64;
    let (mut live, mut id) = (Vec::new(), 8_000_000_000_u64);
    let began = Instant::now();
    let (mut before, mut after, mut gone_at) = (Duration::ZERO, Duration::ZERO, None);
    let mut look_at = Instant::now();
    while began.elapsed() < BEFORE + AFTER || (gone_at.is_none() && began.elapsed() < BEFORE + AFTER * 10) {
        live.clear();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        for _ in 0..BATCH {
            id += 7;
            live.push(body(id, &now, "somebody"));
        }
        let asked = Instant::now();
        loader.load(&live)?;
        let waited = asked.elapsed();
        if began.elapsed() < BEFORE {
            before = before.max(waited);
        } else {
            after = after.max(waited);
        }
        if began.elapsed() > BEFORE && look_at.elapsed() > Duration::from_millis(200) && gone_at.is_none() {
            look_at = Instant::now();
            let expired = info(&redis, "expired_keys")?;
            gone_at = (expired >= keys).then(|| began.elapsed() - BEFORE);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    println!(
        "| {layout} | {events} | {keys} | {:.1} | {:.1} | {} |",
        before.as_secs_f64() * 1e3,
        after.as_secs_f64() * 1e3,
        gone_at.map_or("not yet".into(), |after| format!("{:.1}", after.as_secs_f64()))
    );
    Ok(())
}

fn body(id: u64, created_at: &str, login: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","type":"PushEvent","actor":{{"login":"{login}"}},"created_at":"{created_at}"}}"#)
        .into_bytes()
}

/// An hour with so many events.
fn fill_hour(loader: &DirectLoader, count: u64) -> Result<()> {
    let start: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let bodies: Vec<_> = (0..count)
        .map(|n| {
            let at = start + TimeDelta::seconds(i64::try_from(n * 3600 / count).unwrap_or(0));
            body(
                5_000_000_000 + n * 7,
                &at.to_rfc3339_opts(SecondsFormat::Secs, true),
                &format!("dev{}", n % DEVELOPERS),
            )
        })
        .collect();
    bodies.chunks(500).try_for_each(|batch| loader.load(batch).map(drop))
}

/// All keys of that hour: those that expire when its counts do.
fn hour_keys(redis: &RedisServer) -> Result<Vec<String>> {
    let mut connection = redis.connect();
    let counts = format!("{NAMESPACE}:event-count:*");
    let counts: Vec<String> = redis::cmd("KEYS").arg(counts).query(&mut connection)?;
    let hour_ms: i64 = redis::cmd("PEXPIRETIME").arg(&counts[0]).query(&mut connection)?;
    let (mut cursor, mut keys) = (0_u64, Vec::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{NAMESPACE}:*")).arg("COUNT").arg(10_000);
        let (next, found): (u64, Vec<String>) = scan.query(&mut connection)?;
        let mut ask = redis::pipe();
        found.iter().for_each(|key| {
            ask.cmd("PEXPIRETIME").arg(key);
        });
        let expiries: Vec<i64> = if found.is_empty() { Vec::new() } else { ask.query(&mut connection)? };
        keys.extend(
            found.into_iter().zip(expiries).filter(|(_, expiry)| *expiry == hour_ms).map(|(key, _)| key),
        );
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    Ok(keys)
}

/// Lets these keys expire at `at`.
fn expire(redis: &RedisServer, keys: &[String], at: DateTime<Utc>) -> Result<()> {
    let mut connection = redis.connect();
    for keys in keys.chunks(10_000) {
        let mut expire = redis::pipe();
        for key in keys {
            expire.cmd("PEXPIREAT").arg(key).arg(at.timestamp_millis()).ignore();
        }
        expire.query::<()>(&mut connection)?;
    }
    Ok(())
}
