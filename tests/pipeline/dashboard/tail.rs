//! `dashboard --tail`.

use serde_json::Value;

use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::program::{Launch, Program};
use crate::support::wait::eventually;

fn tail(corner: &Corner, arguments: &[&str]) -> Program {
    let program = tail_read_for(corner, usize::MAX, arguments);
    program.wait_for("printing events as they load");
    program
}

/// `dashboard --tail | head -n LINES`
fn tail_read_for(corner: &Corner, stdout_lines_max: usize, arguments: &[&str]) -> Program {
    let variables = [
        ("AMQP_URL", corner.amqp_url.as_str()),
        ("REDIS_URL", &corner.redis_url),
        ("ETL_NAMESPACE", &corner.namespace),
        ("RUST_LOG", "debug"),
    ];
    Program::launch(Launch {
        arguments: &[&["--tail"], arguments].concat(),
        variables: &variables,
        stdout_lines_max,
        ..Launch::of("dashboard")
    })
}

#[test]
fn it_ends_when_nobody_reads_any_more_though_no_event_comes() {
    let corner = Corner::new("tail-head");
    let (at_once, behind_one) = (tail_read_for(&corner, 0, &[]), tail_read_for(&corner, 1, &[]));
    at_once.succeed();
    behind_one.wait_for("printing events as they load");
    let _loader = corner.loader(&[]);
    corner.load_in_order(&[event(1).bytes()]);
    assert_eq!(behind_one.succeed().stdout.lines().count(), 1);
}

#[test]
fn it_ends_when_nobody_reads_any_more_though_redis_is_away() {
    let mut corner = Corner::new("tail-head-away");
    corner.redis_url = "redis://127.0.0.1:1/".into();
    let ended = tail_read_for(&corner, 0, &[]).succeed();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn events_are_printed_as_they_load_chosen_and_escaped() {
    let corner = Corner::new("tail");
    let _loader = corner.loader(&[]);
    corner.load_in_order(&[event(1).bytes()]);
    let (all, chosen) =
        (tail(&corner, &[]), tail(&corner, &["--format", "json", "--type", "PushEvent", "--actor", "ada*"]));
    let hostile = "ada\u{1b}]0;x\u{7}\u{202e}";
    corner.load_in_order(&[
        event(2).by(hostile).bytes(),
        event(3).kind("WatchEvent").by("ada").bytes(),
        event(4).by("bob").bytes(),
        event(5).by("ada-last").bytes(),
    ]);
    for tail in [&all, &chosen] {
        eventually("the last is printed", || tail.stdout().contains("ada-last"));
    }
    let (all, chosen) = (all.stop().stdout, chosen.stop().stdout);
    assert_eq!(all.lines().count(), 4, "{all}");
    assert!(all.contains(r"ada\u{1b}]0;x\u{7}\u{202e}") && all.contains("WatchEvent"), "{all}");
    let lines: Vec<Value> = chosen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["actor"]["login"]), (2, &hostile.into()), "{chosen}");
    for text in [&all, &chosen] {
        assert!(!text.chars().any(|c| c == '\u{202e}' || c.is_control() && c != '\n'), "{text:?}");
    }
}
