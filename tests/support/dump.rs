//! All that Redis holds below a namespace, as sorted lines that are the same for the same effects.
//!
//! Left out is what differs from run to run: the stream's own ids, the order of loading, the time in first-inserted-at,
//! when hours expire, the layout of the event log, and which of two events with one id was first.

use std::collections::HashSet;

use redis::{Commands, Connection, Value};

/// A line for every mark, count, score and stream entry; keys that expire say so.
pub fn dump(redis: &mut Connection, namespace: &str) -> Vec<String> {
    let keys = keys(redis, namespace);
    let mut lines: Vec<String> = keys
        .iter()
        .flat_map(|key| {
            let expires = redis.pttl::<_, i64>(key).unwrap() >= 0;
            let name = key[namespace.len() + 1..].to_owned();
            let lines = contents(redis, key, &name);
            lines.into_iter().map(move |line| if expires { format!("{line} (expires)") } else { line })
        })
        .collect();
    lines.sort();
    lines
}

/// The full names of all keys below a namespace, sorted.
pub fn keys(redis: &mut Connection, namespace: &str) -> Vec<String> {
    let pattern = format!("{}:*", namespace.replace('{', "\\{").replace('}', "\\}"));
    let mut keys: Vec<String> = redis.scan_match(pattern).unwrap().map(Result::unwrap).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The entries of a namespace's stream, oldest first, each with its fields in order.
pub fn stream(redis: &mut Connection, namespace: &str) -> Vec<Vec<(String, String)>> {
    entries(redis, &format!("{namespace}:event-stream"))
}

/// Panics with the first differences if the two are not the same lines.
#[track_caller]
pub fn assert_same(what: &str, is: &[String], should_be: &[String]) {
    // A soak compares half a million lines.
    let (present, expected): (HashSet<_>, HashSet<_>) = (is.iter().collect(), should_be.iter().collect());
    let missing: Vec<_> = should_be.iter().filter(|line| !present.contains(line)).take(10).collect();
    let extra: Vec<_> = is.iter().filter(|line| !expected.contains(line)).take(10).collect();
    assert!(
        is == should_be,
        "{what}: {} lines, should be {}\nmissing: {missing:#?}\ntoo many: {extra:#?}",
        is.len(),
        should_be.len()
    );
}

/// The line of a mark.
pub fn mark_line(id: &str, created_at: &str) -> String {
    format!("mark {id} {created_at}")
}

/// The line of a stream entry: its fields sorted, whatever is JSON in the shortest form.
pub fn entry_line(fields: impl IntoIterator<Item = (String, String)>) -> String {
    let mut fields: Vec<_> = fields
        .into_iter()
        .map(|(name, text)| match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(json) => format!("{name}={json}"),
            Err(_) => format!("{name}={text}"),
        })
        .collect();
    fields.sort();
    format!("event-stream {}", fields.join(" "))
}

fn contents(redis: &mut Connection, key: &str, name: &str) -> Vec<String> {
    let kind: String = redis::cmd("TYPE").arg(key).query(redis).unwrap();
    match kind.as_str() {
        "string" if name == "first-inserted-at" => vec![name.into()],
        "string" if name == "event-log-layout" => vec![],
        "string" => {
            let value: String = redis.get(key).unwrap();
            vec![mark(name, &value).unwrap_or_else(|| format!("{name} = {value}"))]
        }
        "stream" => entries(redis, key).into_iter().map(entry_line).collect(),
        "hash" => pairs(redis.hgetall(key).unwrap(), name),
        "zset" if name == "hours" => {
            let indexed = redis.zrange_withscores(key, 0, -1).unwrap();
            hours(redis, key.strip_suffix("hours").unwrap(), indexed)
        }
        "set" if name.starts_with("event-log:") => {
            let ids: Vec<String> = redis.smembers(key).unwrap();
            ids.iter().map(|id| mark_line(id, &name["event-log:".len()..])).collect()
        }
        "zset" => pairs(redis.zrange_withscores(key, 0, -1).unwrap(), name),
        other => {
            vec![format!("{name} is a {other}: {:?}", redis::cmd("DUMP").arg(key).query::<Value>(redis))]
        }
    }
}

/// A line for each hour in the index: it is there until its counts expire.
fn hours(redis: &mut Connection, prefix: &str, hours: Vec<(String, f64)>) -> Vec<String> {
    // In a Redis Cluster: a move of a slot key by key shifts when a key expires by as long as the key is on its way.
    let shift_ms = if prefix.starts_with('{') { 1000.0 } else { 0.0 };
    let line = |(hour, until): (String, f64)| {
        let counts = format!("{prefix}event-count:{hour}");
        let expires_at: i64 = redis::cmd("PEXPIRETIME").arg(counts).query(redis).unwrap();
        match expires_at {
            -1 if until == f64::INFINITY => format!("hours {hour}"),
            0.. if (until - expires_at as f64).abs() <= shift_ms => format!("hours {hour} (expires)"),
            _ => format!("hours {hour} until {until}, and its counts until {expires_at}"),
        }
    };
    hours.into_iter().map(line).collect()
}

fn pairs(pairs: Vec<(String, String)>, name: &str) -> Vec<String> {
    pairs.into_iter().map(|(field, value)| format!("{name} {field} = {value}")).collect()
}

/// `event-log:<id>` and `event-log:<id>@<created_at>` mean the same; a time in the key must be the one in the value.
fn mark(name: &str, value: &str) -> Option<String> {
    let id = name.strip_prefix("event-log:")?;
    let created_at = value.strip_prefix(r#"{"created_at":""#)?.strip_suffix(r#""}"#)?;
    match id.strip_suffix(created_at).and_then(|id| id.strip_suffix('@')) {
        Some(id) => Some(mark_line(id, created_at)),
        None if id.contains('@') => None,
        None => Some(mark_line(id, created_at)),
    }
}

fn entries(redis: &mut Connection, key: &str) -> Vec<Vec<(String, String)>> {
    let reply: Vec<(String, Vec<String>)> =
        redis::cmd("XRANGE").arg(key).arg("-").arg("+").query(redis).unwrap();
    let fields = |flat: Vec<String>| flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    reply.into_iter().map(|(_, flat)| fields(flat)).collect()
}
