//! Whatever the order of the messages, the limits, and the moments of crashes: each event is once in the file of its hour.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use clap::Parser as _;
use flate2::bufread::MultiGzDecoder;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::broker::Envelope;

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: ExportArgs,
}

fn args(flags: &[&str]) -> ExportArgs {
    Command::parse_from([&["x", "--to", "x"], flags].concat()).args
}

fn message(offset: u64, body: &str) -> Archived {
    let (body, envelope) = (body.as_bytes().to_vec(), Envelope::json("test"));
    Archived { offset, tag: offset, body, routing_key: "A".into(), envelope }
}

/// `count` messages over `hours` hours, mixed, of which some are duplicates and some are no events.
fn stream(random: &mut Xoshiro256PlusPlus, count: u64, hours: u32) -> Vec<Archived> {
    let body = |random: &mut Xoshiro256PlusPlus| {
        let (id, hour) = (random.random_range(0..count / 2), random.random_range(0..hours));
        match id % 20 {
            0 => "no event".to_owned(),
            _ => {
                format!(
                    r#"{{"id":"{id}","type":"A","created_at":"2015-01-01T{hour:02}:00:{:02}Z"}}"#,
                    id % 60
                )
            }
        }
    };
    (0..count).map(|offset| message(offset, &body(random))).collect()
}

/// The events that files must have, by the name of the file.
fn expected(stream: &[Archived]) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = BTreeMap::<String, BTreeSet<String>>::new();
    for message in stream {
        if let Ok(event) = Event::parse(&message.body) {
            let name = format!("{}.json.gz", HourName(event.hour()));
            files.entry(name).or_default().insert(String::from_utf8(message.body.clone()).unwrap());
        }
    }
    files
}

/// The lines of all files.
fn files(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeMap::new();
    for path in root.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let raw = BufReader::new(File::open(&path).unwrap());
        let lines = BufReader::new(MultiGzDecoder::new(raw)).lines().map(Result::unwrap).collect();
        files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), lines);
    }
    files
}

fn assert_whole(root: &Path, stream: &[Archived]) {
    let (is, should_be) = (files(root), expected(stream));
    assert_eq!(is.keys().collect::<Vec<_>>(), should_be.keys().collect::<Vec<_>>());
    for (name, mut lines) in is {
        lines.sort();
        assert_eq!(lines, Vec::from_iter(should_be[&name].clone()), "{name}");
    }
}

fn writer(root: &Path, limits: Limits) -> Writer {
    let folder = Folder::open(root, &"test").unwrap();
    let begin = folder.load();
    let mut writer = Writer::new(&args(&[]), folder, begin, "load", CancellationToken::new());
    writer.spools = Spools::new(limits);
    writer
}

#[test]
fn each_event_is_once_in_its_file_over_any_number_of_crashes_and_within_tight_limits() {
    for seed in 0..12 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let stream = stream(&mut random, 600, 1 + seed as u32 % 9);
        let limits = Limits {
            marks: random.random_range(5..200),
            buffered: random.random_range(50..5000),
            members: random.random_range(1..3),
            hours: random.random_range(1..8),
            messages: random.random_range(10..300),
        };
        let root = tempfile::tempdir().unwrap();
        loop {
            let mut writer = writer(root.path(), limits);
            let begin = writer.cursor.begin() as usize;
            let is_last = random.random_range(0..4) == 0;
            let end = if is_last { 600 } else { random.random_range(begin..=600) };
            for batch in stream[begin..end].chunks(40) {
                assert_eq!(writer.take(batch, u64::MAX).unwrap(), Stream::Same);
                if random.random_range(0..3) == 0 {
                    writer.save().unwrap();
                }
            }
            // Otherwise it dies here.
            if is_last {
                writer.commit_all().unwrap();
                writer.save().unwrap();
                assert_eq!(writer.safe(), writer.cursor);
                break;
            }
        }
        assert_whole(root.path(), &stream);
    }
}

#[test]
fn an_hour_is_due_when_it_is_over_and_late_events_wait_longer() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::open(root.path(), &"test").unwrap();
    let (hour, grace) = ("2015-01-01-03".parse().unwrap(), Duration::from_secs(600));
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (now, is) in [
        ("2015-01-01T03:00:01Z", "2015-01-01T04:10:00Z"),
        ("2015-01-01T04:09:59Z", "2015-01-01T04:19:59Z"),
        ("2015-01-01T09:00:00Z", "2015-01-01T09:10:00Z"),
    ] {
        assert_eq!(due(&folder, hour, grace, at(now)), at(is), "{now}");
    }
    std::fs::write(folder.file(hour), "").unwrap();
    assert_eq!(due(&folder, hour, grace, at("2015-01-01T09:00:00Z")), at("2015-01-01T10:00:00Z"));
    assert_eq!(due(&folder, hour, grace * 12, at("2015-01-01T09:00:00Z")), at("2015-01-01T11:00:00Z"));
}

#[test]
fn another_stream_is_noticed_by_its_messages_and_read_from_its_beginning() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let (old, new) = (stream(&mut random, 100, 3), stream(&mut random, 200, 3));
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), Limits::USUAL);
    writer.take(&old, u64::MAX).unwrap();
    assert_eq!(writer.take(&new[98..], u64::MAX).unwrap(), Stream::Another);
    writer.begin_anew().unwrap();
    // Retention has removed its first messages, which this export has never seen.
    assert_eq!(writer.take(&new[10..], u64::MAX).unwrap(), Stream::Same);
    assert_eq!(writer.totals.removed, 0);
    writer.commit_all().unwrap();
    assert_whole(root.path(), &old.into_iter().chain(new.into_iter().skip(10)).collect::<Vec<_>>());
}

#[test]
fn removed_messages_count_and_those_behind_the_end_are_not_taken() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(8);
    let stream = stream(&mut random, 100, 3);
    let root = tempfile::tempdir().unwrap();
    let mut writer = writer(root.path(), Limits::USUAL);
    writer.take(&stream[..10], u64::MAX).unwrap();
    writer.take(&stream[25..], 40).unwrap();
    // RabbitMQ's own entry at the beginning of a segment.
    writer.take(&stream[41..], 50).unwrap();
    assert_eq!((writer.totals.removed, writer.cursor.next), (15, 50));
    writer.commit_all().unwrap();
    let taken = stream.into_iter().filter(|message| {
        (0..10).contains(&message.offset)
            || (25..40).contains(&message.offset)
            || (41..50).contains(&message.offset)
    });
    assert_whole(root.path(), &taken.collect::<Vec<_>>());
}
