//! Files of GH Archive with damage of every kind: each damaged piece is reported and kept, and the rest is loaded.

use std::path::Path;

use serde_json::Value;

use crate::support::archive_files::{gzip, hour};
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::oracle::Oracle;

/// A file's content, and what is wrong with it: line and the beginning of the reason.
type Damage = (&'static str, Vec<u8>, Vec<(u64, &'static str)>);

/// Files that hold the events 0 to 29 between them.
fn damaged(events: &[Vec<u8>]) -> Vec<Damage> {
    let text = |range: std::ops::Range<usize>| events[range].join(&b'\n');
    let truncated = gzip(&[text(4..8), vec![b'\n'], hour(1, 1000..9000, 5).join(&b'\n')].concat());
    vec![
        ("glued.json", [events[0].clone(), events[1].clone(), b"\n".to_vec()].concat(), vec![]),
        (
            "nul.json",
            [b"\0\0\0".to_vec(), events[2].clone(), vec![0; 70_000], events[3].clone()].concat(),
            vec![],
        ),
        ("cut.json.gz", truncated[..truncated.len() / 4].to_vec(), vec![(0, "truncated")]),
        ("bom.json.gz", gzip(&[b"\xef\xbb\xbf".to_vec(), text(8..10)].concat()), vec![]),
        (
            "crlf.json",
            [events[10].clone(), b"\r\n\r\n".to_vec(), events[11].clone(), b"\r\n".to_vec()].concat(),
            vec![],
        ),
        ("members.json.gz", [gzip(&events[12]), gzip(b"\n"), gzip(&events[13])].concat(), vec![]),
        (
            "page.json.gz",
            b"<!DOCTYPE html><title>502 Bad Gateway</title>".to_vec(),
            vec![(0, "unreadable: it begins with '<'")],
        ),
        ("empty.json.gz", Vec::new(), vec![]),
        ("array.json", [b"[".to_vec(), events[14..16].join(&b','), b"]".to_vec()].concat(), vec![]),
        (
            "old.json",
            [
                br#"{"type":"PushEvent","created_at":"2012-03-10T22:00:00-08:00","actor":"x"}"#.to_vec(),
                b"\n".to_vec(),
                text(16..17),
            ]
            .concat(),
            vec![(1, "missing-field: id (before 2015")],
        ),
        (
            "scraps.json",
            [
                text(17..18),
                b"\n{\"id\":\"1\",\"ty\n\xff\xfe\n".to_vec(),
                events[18].clone(),
                b"trailing\n".to_vec(),
                text(19..20),
            ]
            .concat(),
            vec![(2, "not-json"), (3, "not-json"), (4, "not-json")],
        ),
        (
            "long.json",
            [text(20..21), vec![b'\n'], vec![b'x'; 6_000_000], vec![b'\n'], text(21..22)].concat(),
            vec![(2, "too-large")],
        ),
        ("bomb.json.gz", bomb(&text(22..23)), vec![(2, "unreadable: gzip bomb")]),
        ("rest.json", text(23..30), vec![]),
    ]
}

/// A line and then hundreds of megabytes of blanks.
fn bomb(line: &[u8]) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(line).unwrap();
    encoder.write_all(b"\n").unwrap();
    std::io::copy(&mut std::io::repeat(b' ').take(400_000_000), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn rejects(state: &Path) -> Vec<Value> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().path();
    let file = std::fs::read_dir(state)
        .unwrap()
        .map(name)
        .find(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let text = std::fs::read_to_string(file.expect("a file of rejects")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn damage_of_every_kind_is_told_and_kept_and_ends_nothing() {
    let corner = Corner::new("damage");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = hour(12, 0..30, 5);
    let damaged = damaged(&events);
    let mut command = vec!["gharchive".to_owned()];
    for (name, content, _) in &damaged {
        std::fs::write(files.path().join(name), content).unwrap();
        command.push(files.path().join(name).to_str().unwrap().to_owned());
    }
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let ended = corner.replay(state.path(), &command).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("8 were rejected") || ended.stderr.contains("9 were rejected"),
        "{}",
        ended.stderr
    );

    let found = rejects(state.path());
    for (name, _, expected) in &damaged {
        let of_file: Vec<_> = found.iter().filter(|reject| reject["input"] == *name).collect();
        assert_eq!(of_file.len(), expected.len(), "{name}: {of_file:?}");
        for (reject, (line, reason)) in of_file.iter().zip(expected) {
            // Where a truncated file ends depends on the compression.
            assert!(*name == "cut.json.gz" || reject["line"] == *line, "{name}: {reject}");
            assert!(reject["reason"].as_str().unwrap().starts_with(reason), "{name}: {reject}");
            let place = format!("rejected: {name}, line {}: ", reject["line"]);
            assert!(ended.stderr.contains(&place), "{place}: {}", ended.stderr);
        }
    }
    let scraps: Vec<_> = found.iter().filter(|reject| reject["input"] == "scraps.json").collect();
    assert_eq!((&scraps[0]["text"], &scraps[1]["hex"]), (&"{\"id\":\"1\",\"ty".into(), &"fffe".into()));
    let long = found.iter().find(|reject| reject["input"] == "long.json").unwrap();
    assert_eq!((&long["bytes"], long["text"].as_str().unwrap().len()), (&6_000_000.into(), 1024));

    corner.drain();
    let loaded = corner.dump();
    let ours: Vec<String> = Oracle::of(&events).lines();
    let missing: Vec<_> =
        ours.iter().filter(|line| line.starts_with("mark ") && !loaded.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn with_keep_going_damage_is_success_and_missing_hours_are_told_like_it() {
    let corner = Corner::new("missing");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = hour(2, 0..10, 5);
    crate::support::archive_files::write(files.path(), "2015-01-01-2.json.gz", &events);
    let base = files.path().to_str().unwrap();
    let command = ["gharchive", "2015-01-01-1..3", "--base-url", base];
    let ended = corner.replay(state.path(), &command).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let found = rejects(state.path());
    let missing: Vec<_> = found.iter().map(|reject| reject["input"].as_str().unwrap()).collect();
    assert_eq!(missing, ["2015-01-01-1", "2015-01-01-3"]);
    assert!(found[0]["reason"].as_str().unwrap().starts_with("missing: no "), "{}", found[0]);
    corner.replay(state.path(), &[&command[..], &["--keep-going"]].concat()).succeed();
    corner.drain();
    assert_same("Redis", &corner.dump(), &Oracle::of(&events).lines());
}
