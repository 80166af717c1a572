//! The script's header says what the script takes and what its caller sends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use github_event_etl::config::Retention;
use github_event_etl::store::{LoadPolicy, Verdict};

use super::{Bench, assert_refused};
use crate::support::events::event;

const SCRIPT: &str = include_str!("../../../lua/load_event.lua");

/// The lines of the header under a title, without `--`.
fn section(title: &str) -> Vec<Vec<&'static str>> {
    let header = SCRIPT.lines().map_while(|line| line.strip_prefix("--"));
    let lines = header.skip_while(|line| line.trim() != title).skip(1);
    lines.take_while(|line| line.starts_with("   ")).map(|line| line.split_whitespace().collect()).collect()
}

/// The names in KEYS or ARGV, after checking that they are numbered from 1 without holes.
fn names(title: &str) -> Vec<&'static str> {
    let lines = section(title);
    for (place, line) in lines.iter().enumerate() {
        assert_eq!(line[0], (place + 1).to_string(), "{title}: {line:?}");
    }
    lines.iter().map(|line| line[1]).collect()
}

/// What the caller sends with EVALSHA: KEYS and ARGV, as Redis reports them.
fn sent(bench: &Bench, load: impl FnOnce(&Bench)) -> (Vec<String>, Vec<String>) {
    let mut monitor = TcpStream::connect(("127.0.0.1", bench.server.port)).unwrap();
    monitor.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(monitor).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "+OK");
    load(bench);
    let line = lines.find(|line| line.contains("\"EVALSHA\"") && !line.contains(" lua]")).unwrap();
    let quoted = line.split_once('"').unwrap().1.trim_end_matches('"');
    let words: Vec<String> =
        quoted.split("\" \"").map(|word| serde_json::from_str(&format!("\"{word}\"")).unwrap()).collect();
    let keys: usize = words[2].parse().unwrap();
    (words[3..3 + keys].to_vec(), words[3 + keys..].to_vec())
}

fn call(bench: &mut Bench) -> (Vec<String>, Vec<String>) {
    bench.policy = LoadPolicy { stream_maxlen: 777, retention: Retention::For(Duration::from_secs(3)) };
    bench.weight = 42;
    // The store connects before the monitor listens, so that the first EVALSHA seen is the one looked for.
    assert_eq!(bench.load(&event("first")), Verdict::Loaded);
    sent(bench, |bench| assert_eq!(bench.load(&event("the-id").kind("ForkEvent").by("she")), Verdict::Loaded))
}

#[test]
fn the_keys_of_the_header_are_the_keys_that_are_sent() {
    let mut bench = Bench::new();
    let (keys, _) = call(&mut bench);
    let described: Vec<String> = section("KEYS")
        .iter()
        .map(|line| {
            // After number, name and type of the value, the first word with a known beginning is the key's pattern.
            let begins =
                |word: &&&str| ["event-", "dev-", "first-"].iter().any(|start| word.starts_with(start));
            let pattern = line[2..].iter().find(begins).unwrap().trim_end_matches(':');
            let key = pattern
                .replace("<id>", "the-id")
                .replace("<created_at>", "2015-01-01T12:00:01Z")
                .replace("<hour>", "2015-01-01-12");
            format!("ns:{key}")
        })
        .collect();
    assert_eq!(keys, described);
    for (key, line) in keys.iter().zip(section("KEYS")).filter(|(key, _)| !key.contains('@')) {
        let described = line[2..4].join(" ").replace("sorted set", "zset");
        let kind: String = bench.run(&format!("TYPE {key}"));
        assert!(described.starts_with(&kind), "{key} is a {kind}, the header says {described}");
    }
}

#[test]
fn the_arguments_of_the_header_are_the_arguments_that_are_sent() {
    let (_, arguments) = call(&mut Bench::new());
    let names = names("ARGV");
    let (last, single) = names.split_last().unwrap();
    for (name, value) in single.iter().zip(&arguments) {
        match *name {
            "created_at" => assert_eq!(value, "2015-01-01T12:00:01Z"),
            "kind" => assert_eq!(value, "ForkEvent"),
            "now" => assert!(value.len() == 20 && value.as_str() > "2026-01-01T00:00:00Z", "{value}"),
            "maxlen" => assert_eq!(value, "777"),
            "retention_ms" => assert_eq!(value, "3000"),
            "login" => assert_eq!(value, "she"),
            "weight" => assert_eq!(value, "42"),
            other => panic!("the header names '{other}', which this test does not know"),
        }
    }
    assert_eq!(*last, "fields");
    assert_eq!(arguments[single.len()..][..4], ["id", "the-id", "type", "ForkEvent"]);
}

#[test]
fn the_script_binds_keys_and_arguments_to_the_names_of_the_header() {
    let code: Vec<_> = SCRIPT.lines().filter(|line| !line.starts_with("--")).collect();
    let keys = code.iter().find_map(|line| line.strip_suffix(" = unpack(KEYS)")).unwrap();
    assert_eq!(keys.strip_prefix("local ").unwrap().split(", ").collect::<Vec<_>>(), names("KEYS"));
    let mut bound = Vec::new();
    for line in code.iter().filter(|line| line.contains("ARGV[")) {
        let (left, right) = line.strip_prefix("local ").unwrap().split_once(" = ").unwrap();
        for (name, value) in left.split(", ").zip(right.split(", ")) {
            let place = value.split(['[', ']']).nth(1).unwrap();
            bound.push((place.parse::<usize>().unwrap(), name));
        }
    }
    let arguments = names("ARGV");
    let (last, single) = arguments.split_last().unwrap();
    assert_eq!(bound, (1..).zip(single.iter().copied()).collect::<Vec<_>>());
    let fields_at = format!("local {last}_at = {}", arguments.len());
    assert!(code.iter().any(|line| *line == fields_at), "no line '{fields_at}'");
}

#[test]
fn the_script_returns_what_the_header_says_and_nothing_else() {
    let described: Vec<_> = section("Returns").iter().map(|line| line[0]).collect();
    assert_eq!(described, ["1", "0", "reject:<reason>"]);
    let mut bench = Bench::new();
    let (keys, arguments) = call(&mut bench);
    let answer = |bench: &mut Bench, mark: &str| {
        let mut eval = redis::cmd("EVAL");
        eval.arg(SCRIPT).arg(keys.len()).arg(mark).arg(&keys[1..]).arg(&arguments);
        eval.query::<redis::Value>(&mut bench.redis).unwrap()
    };
    assert_eq!(answer(&mut bench, "ns:event-log:another"), redis::Value::Int(1));
    assert_eq!(answer(&mut bench, "ns:event-log:another"), redis::Value::Int(0));
    let rejected = answer(&mut bench, "ns:event-stream");
    assert_eq!(rejected, redis::Value::BulkString(b"reject:event-log is not a string".to_vec()));
    // And the caller reads it so.
    bench.run::<u64>("RPUSH ns:event-log:broken x");
    assert_refused(&bench.load(&event("broken")), "event-log is not a string");
    // Besides these, only an error of Redis itself leaves the script: that of the first write, when there is no room, or
    // of XADD.
    let body = SCRIPT.split("-- Seen before?").nth(1).unwrap();
    let returns = body.split("return ").skip(1).map(|rest| rest.split([' ', '(', '\n']).next().unwrap());
    assert!(
        returns.clone().all(|what| ["0", "1", "reject", "count", "added"].contains(&what)),
        "{returns:?}"
    );
}
