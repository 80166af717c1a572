//! What goes into the stream comes out as it was.

use std::time::Duration;

use github_event_etl::config::Retention;
use github_event_etl::store::{LoadPolicy, Verdict};

use super::in_each_layout;
use crate::support::dump::stream;
use crate::support::events::event;

#[test]
fn every_value_comes_out_of_the_stream_exactly_as_it_went_in() {
    in_each_layout(|mut bench| {
        let values = [
            ("[]", "[]"),
            ("{}", "{}"),
            ("null", "null"),
            ("1e2", "1e2"),
            ("-0.0", "-0.0"),
            ("12345678901234567890", "12345678901234567890"),
            ("false", "false"),
            (r#"{ "a" : [1,  {"b":"\u00e9\ud83d\ude00", "z":null}] , "a2":[ ] }"#, "as it is"),
            (r#"[{"deep":[[[[]]]]},"☃ \" \\ \/"]"#, "as it is"),
            (r#""""#, ""),
            (r#""null""#, "null"),
            (r#""caf\u00e9 \ud83d\ude00 \"quoted\" \\ \/ \t end\n""#, "café 😀 \"quoted\" \\ / \t end\n"),
            ("\"plain 😀 ☃ عربى\"", "plain 😀 ☃ عربى"),
            (r#""\u0000""#, "\0"),
        ];
        let mut odd = event(1);
        for (n, (json, _)) in values.iter().enumerate() {
            odd = odd.with(&format!("x{n}"), json);
        }
        assert_eq!(bench.load(&odd), Verdict::Loaded);
        let fields = stream(&mut bench.redis, "ns").remove(0);
        let names: Vec<_> = fields[..5].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["id", "type", "actor", "payload", "created_at"], "the order is the event's own");
        assert_eq!(fields[2].1, r#"{"id":7,"login":"octocat","avatar_url":"https://a/"}"#);
        assert_eq!(fields[3].1, r#"{ "size" : 1 }"#);
        for ((json, flat), (name, text)) in values.iter().zip(&fields[5..]) {
            let expected = if *flat == "as it is" { json } else { flat };
            assert_eq!(text, expected, "{name}");
        }
        assert_eq!(fields.len(), 5 + values.len());
    });
}

#[test]
fn odd_names_of_fields_types_and_developers_pass_unchanged() {
    in_each_layout(|mut bench| {
        let odd = event("id with spaces @ and 😀").kind("Odd Event:*").by("dév 😀").with("na\"me\u{1}", "1");
        assert_eq!(bench.load(&odd), Verdict::Loaded);
        assert_eq!(bench.load(&odd), Verdict::Duplicate);
        let lines = bench.dump();
        for line in [
            "event-count:2015-01-01-12 Odd Event:* = 1 (expires)",
            "dev-score:2015-01-01-12 dév 😀 = 1 (expires)",
        ] {
            assert!(lines.iter().any(|is| is == line), "{line} is not in {lines:#?}");
        }
        assert_eq!(stream(&mut bench.redis, "ns")[0][5], ("na\"me\u{1}".into(), "1".into()));
    });
}

#[test]
fn a_stream_without_a_cap_keeps_all_and_one_with_a_cap_about_that_many() {
    in_each_layout(|mut bench| {
        let events: Vec<_> = (0..1500).map(event).collect();
        bench.load_all(&events);
        assert_eq!(bench.run::<u64>("XLEN ns:event-stream"), 1500);
        bench.run::<String>("FLUSHALL");
        bench.policy = LoadPolicy { stream_maxlen: 1000, retention: Retention::Forever };
        bench.load_all(&events);
        // `~` lets Redis trim by whole nodes, of 100 entries by default.
        let length: u64 = bench.run("XLEN ns:event-stream");
        assert!((1000..=1100).contains(&length), "{length}");
        assert_eq!(bench.run::<u64>("HGET ns:event-count:2015-01-01-12 PushEvent"), 1500);
    });
}

#[test]
fn no_cap_and_no_retention_that_a_flag_takes_is_too_large_for_the_script() {
    for maxlen in [0, 1, 1_000_000_000_000] {
        in_each_layout(|mut bench| {
            let hundred_years = Duration::from_secs(100 * 366 * 24 * 3600);
            bench.policy = LoadPolicy { stream_maxlen: maxlen, retention: Retention::For(hundred_years) };
            assert_eq!(bench.load(&event(1)), Verdict::Loaded, "{maxlen}");
        });
    }
}
