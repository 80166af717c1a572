//! An archive that was declared again is another one, whatever its length.

use github_event_etl::broker::Part;

use super::{assert_files, export, files, start};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::wait::eventually;

/// Deletes the archive and declares it again, with these events.
fn replace(corner: &Corner, events: &[Vec<u8>]) {
    corner.amqp().delete(&corner.queue("archive"));
    corner.declare_parts("load", &[Part::Archive]);
    corner.archive(events);
}

#[test]
fn an_archive_that_was_declared_again_is_read_from_its_beginning() {
    let corner = Corner::new("export-reset");
    let folder = tempfile::tempdir().unwrap();
    let (old, fewer, more) = (hour(10, 0..100, 5), hour(11, 0..30, 5), hour(12, 0..200, 5));
    corner.archive(&old);
    export(&corner, folder.path(), &[]);
    for events in [&fewer, &more] {
        replace(&corner, events);
        let ended = export(&corner, folder.path(), &[]);
        assert!(ended.stderr.contains("it was declared again"), "{}", ended.stderr);
    }
    assert_files(folder.path(), &[(10, &old), (11, &fewer), (12, &more)]);
}

#[test]
fn events_of_an_archive_that_is_deleted_while_it_is_followed_are_not_lost() {
    let corner = Corner::new("export-deleted");
    let folder = tempfile::tempdir().unwrap();
    let (written, waiting, new) = (hour(10, 0..100, 5), hour(11, 0..100, 5), hour(12, 0..30, 5));
    let following = start(&corner, folder.path(), &["--follow", "--grace", "1day"]);
    corner.archive(&[&written[..], &waiting].concat());
    corner.archive(&[b"the last message".to_vec()]);
    following.wait_for("offset 200 of the archive is no event");
    assert!(files(folder.path()).is_empty());
    replace(&corner, &new);
    following.wait_for("it was declared again");
    eventually("what was in no file yet", || files(folder.path()).len() >= 2);
    following.stop();
    export(&corner, folder.path(), &[]);
    assert_files(folder.path(), &[(10, &written), (11, &waiting), (12, &new)]);
}
