//! An export that is killed loses nothing, writes nothing twice, and leaves no half file where others look.

use super::{assert_files, export, files, start, temporary};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::wait::eventually;

#[test]
fn a_kill_while_it_reads_leaves_no_file_and_the_next_one_writes_all() {
    let corner = Corner::new("export-kill");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..30_000, 50);
    corner.archive(&events);
    let killed = start(&corner, folder.path(), &[]);
    eventually("it writes", || temporary(folder.path()) == 1);
    killed.kill();
    assert!(files(folder.path()).is_empty(), "it was over before it was killed");
    assert_eq!(temporary(folder.path()), 1);
    let ended = export(&corner, folder.path(), &[]);
    assert!(ended.stdout.contains("wrote 30,000 events: 1 new files"), "{}", ended.stdout);
    assert_files(folder.path(), &[(12, &events)]);
    assert_eq!(temporary(folder.path()), 0);
}

#[test]
fn a_kill_while_it_finishes_files_repeats_no_event_and_forgets_none() {
    let corner = Corner::new("export-kill-files");
    let folder = tempfile::tempdir().unwrap();
    let hours: Vec<(u32, Vec<Vec<u8>>)> = (0..24).map(|at| (at, hour(at, 0..400, 5))).collect();
    for (_, events) in &hours {
        corner.archive(events);
    }
    // The position is saved some seconds after a file is there: this dies in between, each time with more files.
    for count in [1, 5, 9] {
        let killed = start(&corner, folder.path(), &["--follow", "--grace", "0s"]);
        eventually("files are there", || files(folder.path()).len() >= count);
        killed.kill();
    }
    let before = files(folder.path());
    assert!(before.len() < 24, "it was over before it was killed");
    let ended = export(&corner, folder.path(), &[]);
    assert!(
        ended.stdout.contains(&format!("left out {} duplicates", separated(before.len() * 400))),
        "{ended:?}"
    );
    let expected: Vec<_> = hours.iter().map(|(at, events)| (*at, &events[..])).collect();
    assert_files(folder.path(), &expected);
    let after = files(folder.path());
    assert!(
        before.iter().all(|(name, lines)| after[name] == *lines),
        "files that are whole stay as they are"
    );
}

/// A number as people read it.
fn separated(number: usize) -> String {
    match number {
        1000.. => format!("{},{:03}", number / 1000, number % 1000),
        _ => number.to_string(),
    }
}

#[test]
fn a_position_that_is_lost_or_damaged_costs_time_and_nothing_else() {
    let corner = Corner::new("export-position");
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..300, 5);
    corner.archive(&events);
    export(&corner, folder.path(), &[]);
    let hidden = folder.path().join(".export");
    let is_position = |path: &std::path::PathBuf| path.to_str().unwrap().contains("position");
    let position = hidden.read_dir().unwrap().map(|entry| entry.unwrap().path()).find(is_position).unwrap();
    std::fs::write(&position, "{").unwrap();
    let ended = export(&corner, folder.path(), &[]);
    assert!(ended.stderr.contains("cannot be used") && ended.stdout.contains("wrote 0 events"), "{ended:?}");
    std::fs::remove_dir_all(&hidden).unwrap();
    let ended = export(&corner, folder.path(), &[]);
    assert!(ended.stdout.contains("wrote 0 events") && ended.stdout.contains("read 300"), "{ended:?}");
    assert_files(folder.path(), &[(12, &events)]);
}
