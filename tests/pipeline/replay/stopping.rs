//! A replay that gets SIGTERM ends in time, in any phase, with exit code 0.

use crate::support::archive_files::{hour, write};
use crate::support::archive_host::{ArchiveHost, Mishap};
use crate::support::corner::Corner;
use crate::support::stranger::mute;
use crate::support::wait::eventually;

#[test]
fn every_replay_ends_well_when_told_to_while_rabbitmq_is_away_or_silent() {
    let corner = Corner::undeclared("stop-away", &[]);
    let state = tempfile::tempdir().unwrap();
    let base = ["--base-url", state.path().to_str().unwrap()];
    let to = state.path().join("export");
    let commands: [&[&str]; 10] = [
        &["archive"],
        &["archive", "--dry-run"],
        &["archive", "--reset", "--yes"],
        &["dead"],
        &["dead", "--list"],
        &["export", "--follow", "--to", to.to_str().unwrap()],
        &["gaps", base[0], base[1]],
        &["gaps", "--list", base[0], base[1]],
        &["gharchive", "2015-01-01-0", base[0], base[1]],
        &["gharchive", "2015-01-01-0", base[0], base[1], "--archive"],
    ];
    let silent = format!("amqp://127.0.0.1:{}/%2f", mute());
    let away = "amqp://127.0.0.1:1/%2f".to_owned();
    for url in [away, silent] {
        let running = commands.map(|command| {
            (command, corner.replay(state.path(), &[command, &["--amqp-url", &url]].concat()))
        });
        for (command, replay) in running {
            replay.wait_for("is away");
            let ended = replay.stop();
            assert!(!ended.stderr.contains("error:"), "{command:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_replay_ends_well_when_told_to_while_a_queue_is_too_long() {
    let corner = Corner::new("stop-gate");
    let state = tempfile::tempdir().unwrap();
    let path = write(state.path(), "x.json", &hour(12, 0..2000, 5));
    corner.replay(state.path(), &["gharchive", path.to_str().unwrap(), "--archive"]).succeed();
    for command in [&["archive"][..], &["gharchive", path.to_str().unwrap()]] {
        let replay = corner.replay(state.path(), &[command, &["--max-queue", "100"]].concat());
        replay.wait_for("waiting:");
        let ended = replay.stop();
        assert!(ended.stdout.contains("the same command continues from here"), "{}", ended.stdout);
    }
    assert_eq!(corner.ready("load"), 2000);
}

#[test]
fn a_download_that_a_limit_has_made_needless_leaves_nothing_behind() {
    let corner = Corner::new("stop-limit");
    let (files, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    (0..3).for_each(|number| {
        write(files.path(), &format!("2015-01-01-{number}.json.gz"), &hour(number, 0..3000, 5));
    });
    let host = ArchiveHost::serving(files.path(), &[Mishap::Status(503)]);
    let command = ["gharchive", "2015-01-01-0..2", "--base-url", &host.url, "--limit", "5"];
    corner.replay(state.path(), &command).succeed();
    corner.wait_until_ready("load", 5);
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0, "downloads and positions are gone");
}

#[test]
fn what_cannot_be_gone_on_with_is_not_said_to_be() {
    let corner = Corner::new("stop-stdin");
    let state = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let replay = corner.replay_fed(state.path(), &["gharchive", "-"], reader.into());
    std::io::Write::write_all(&mut &writer, &vec![b'\n'; 100_000]).unwrap();
    eventually("it reads", || state.path().read_dir().unwrap().count() > 0);
    let ended = replay.stop();
    assert!(ended.stdout.ends_with("stopped\n"), "{}", ended.stdout);
    drop(writer);
    assert_eq!(state.path().read_dir().unwrap().count(), 0, "no position is left");
}
