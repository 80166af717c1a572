//! An archive that was declared again is another one, whatever its length.

use github_event_etl::broker::Part;

use super::{assert_files, export, files, start};
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;
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
fn offsets_that_rabbitmq_takes_for_itself_are_no_missing_messages() {
    let node = RabbitNode::lent();
    let redis = RedisServer::start(&[]);
    // It takes one at the beginning of each segment.
    let small = r#"{"stream-max-segment-size-bytes":100000}"#;
    node.ctl(&["set_policy", "small", ".*archive", small, "--apply-to", "queues"]);
    let corner = Corner::at("export-segments", &node.url(), &redis.url());
    let folder = tempfile::tempdir().unwrap();
    let events = hour(12, 0..5000, 50);
    for batch in events.chunks(100) {
        corner.archive(batch);
    }
    let ended = export(&corner, folder.path(), &[]);
    assert!(!ended.stdout.contains("up to offset 5000 "), "there was none: {}", ended.stdout);
    assert!(!ended.stderr.contains("removed"), "{}", ended.stderr);
    assert_files(folder.path(), &[(12, &events)]);
    corner.replay(folder.path(), &["archive"]).succeed();
    node.ctl(&["clear_policy", "small"]);
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
