//! Folders that cannot be written.

use std::os::unix::fs::symlink;

use super::{assert_files, export, start};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::wait::eventually;

#[test]
fn a_second_export_into_the_same_folder_is_refused_and_the_first_goes_on() {
    let corner = Corner::new("export-lock");
    let folder = tempfile::tempdir().unwrap();
    let first = start(&corner, folder.path(), &["--follow"]);
    eventually("it runs", || folder.path().join(".export/lock").exists());
    for flags in [&[][..], &["--types", "PushEvent"], &["--since", "0"]] {
        let ended = start(&corner, folder.path(), flags).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("another export writes into"), "{}", ended.stderr);
    }
    first.stop();
    export(&corner, folder.path(), &[]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named_before_anything_is_read() {
    let corner = Corner::undeclared("export-folder", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for to in [file.to_str().unwrap(), "/proc/no-such-folder"] {
        let ended = corner.replay(folder.path(), &["export", "--to", to]).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let words = format!("error: create {to}");
        assert!(ended.stderr.contains(&words) && ended.stderr.contains("--to"), "{}", ended.stderr);
    }
}

#[test]
fn a_full_disk_ends_it_with_a_remedy_and_the_next_one_writes_all() {
    let corner = Corner::new("export-full");
    let folder = tempfile::tempdir().unwrap();
    let (ten, eleven) = (hour(10, 0..1, 1), hour(11, 0..1, 1));
    let following = start(&corner, folder.path(), &["--follow", "--grace", "0s"]);
    corner.archive(&ten);
    eventually("the first hour", || folder.path().join("2015-01-01-10.json.gz").exists());
    symlink("/dev/full", folder.path().join(".export/2015-01-01-11.part")).unwrap();
    corner.archive(&eleven);
    let ended = following.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for words in ["2015-01-01-11.part: No space left on device", "the same command continues once"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert_files(folder.path(), &[(10, &ten)]);
    export(&corner, folder.path(), &[]);
    assert_files(folder.path(), &[(10, &ten), (11, &eleven)]);
}

#[test]
fn a_damaged_file_is_named_and_what_is_to_be_added_comes_once_it_is_gone() {
    let corner = Corner::new("export-damaged");
    let folder = tempfile::tempdir().unwrap();
    let (early, late) = (hour(10, 0..100, 5), hour(10, 100..150, 5));
    let file = folder.path().join("2015-01-01-10.json.gz");
    corner.archive(&early);
    export(&corner, folder.path(), &[]);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    corner.archive(&late);
    let ended = start(&corner, folder.path(), &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("2015-01-01-10.json.gz cannot be read to its end"), "{}", ended.stderr);
    std::fs::write(&file, &whole).unwrap();
    export(&corner, folder.path(), &[]);
    assert_files(folder.path(), &[(10, &[&early[..], &late].concat())]);
}
