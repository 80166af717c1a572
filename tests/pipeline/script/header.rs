//! The script's header says what the script takes and what its caller sends.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use github_event_etl::config::{EventLog, Retention};
use github_event_etl::store::{LoadPolicy, Verdict};

use super::{Bench, LAYOUTS, assert_refused, in_each_layout};
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

/// The type and the name of each key that the header gives for a layout. What follows a name, and ends with `per-event:` or
/// `per-second:`, is about that layout only.
fn keys_described(event_log: EventLog) -> Vec<(String, String)> {
    let of_layout = |line: &Vec<&str>| {
        let text = line[2..].join(" ");
        if !text.contains("per-event:") {
            return Some(text);
        }
        let mut parts = text.split("; ");
        parts.find_map(|part| part.strip_prefix(&format!("{event_log}: "))).map(str::to_owned)
    };
    let described = |text: String| {
        // The words before the key's name are the type of its value.
        let begins =
            |word: &&str| ["event-", "dev-", "first-", "hours"].iter().any(|start| word.starts_with(start));
        let pattern = text.split(' ').find(begins).unwrap();
        let kind = text.split_once(pattern).unwrap().0.trim().replace("sorted set", "zset");
        let name = pattern
            .trim_end_matches(':')
            .replace("<id>", "the-id")
            .replace("<created_at>", "2015-01-01T12:00:01Z")
            .replace("<hour>", "2015-01-01-12");
        (kind, format!("ns:{name}"))
    };
    section("KEYS").iter().filter_map(of_layout).map(described).collect()
}

#[test]
fn the_keys_of_the_header_are_the_keys_that_are_sent() {
    in_each_layout(|mut bench| {
        let (keys, _) = call(&mut bench);
        let described = keys_described(bench.event_log);
        assert_eq!(keys, described.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>());
        for (described, key) in described.iter().filter(|(_, key)| !key.contains('@')) {
            let kind: String = bench.run(&format!("TYPE {key}"));
            assert_eq!(kind, *described, "{key}");
        }
    });
    let own_marks =
        LAYOUTS.map(|layout| keys_described(layout).iter().filter(|(_, key)| key.contains('@')).count());
    assert_eq!(own_marks, [1, 0]);
}

#[test]
fn the_arguments_of_the_header_are_the_arguments_that_are_sent() {
    in_each_layout(the_arguments_are_those_of_the_header);
}

fn the_arguments_are_those_of_the_header(mut bench: Bench) {
    let (_, arguments) = call(&mut bench);
    let names = names("ARGV");
    let (last, single) = names.split_last().unwrap();
    for (name, value) in single.iter().zip(&arguments) {
        match *name {
            "member" => assert_eq!(
                value,
                match bench.event_log {
                    EventLog::PerEvent => "2015-01-01T12:00:01Z",
                    EventLog::PerSecond => "the-id",
                }
            ),
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
    in_each_layout(|mut bench| {
        let (keys, arguments) = call(&mut bench);
        let answer = |bench: &mut Bench, log: &str| {
            let mut eval = redis::cmd("EVAL");
            eval.arg(SCRIPT).arg(keys.len()).arg(log).arg(&keys[1..]).arg(&arguments);
            eval.query::<redis::Value>(&mut bench.redis).unwrap()
        };
        assert_eq!(answer(&mut bench, "ns:event-log:another"), redis::Value::Int(1));
        assert_eq!(answer(&mut bench, "ns:event-log:another"), redis::Value::Int(0));
        let reason = match bench.event_log {
            EventLog::PerEvent => "event-log is not a string",
            EventLog::PerSecond => "event-log is not a set",
        };
        let rejected = answer(&mut bench, "ns:event-stream");
        assert_eq!(rejected, redis::Value::BulkString(format!("reject:{reason}").into_bytes()));
        // And the caller reads it so.
        let log = bench.log_key("broken", "2016-01-01T00:00:00Z");
        bench.run::<u64>(&format!("RPUSH ns:{log} x"));
        assert_refused(&bench.load(&event("broken").at("2016-01-01T00:00:00Z")), reason);
    });
    // Besides these, only an error of Redis itself leaves the script: that of the first write, when there is no room, or
    // of XADD.
    let body = SCRIPT.split("-- Seen before?").nth(1).unwrap();
    let returns = body.split("return ").skip(1).map(|rest| rest.split([' ', '\n']).next().unwrap());
    let is_known =
        |what: &str| ["0", "1", "entered", "refusal"].contains(&what) || what.starts_with("'reject:");
    assert!(returns.clone().all(is_known), "{returns:?}");
    let refusals = body.split("refusal = ").skip(1).map(|rest| rest.split([' ', '\n']).next().unwrap());
    let is_known = |what: &str| ["nil", "count", "added"].contains(&what) || what.starts_with("'reject:");
    assert!(refusals.clone().count() > 5 && refusals.clone().all(is_known), "{refusals:?}");
}
