//! Looking creates nothing: a mistyped queue is named, and does not exist afterwards either.

use crate::support::amqp::Amqp;
use crate::support::corner::Corner;
use crate::support::events::event;

fn exists(corner: &Corner, queue: &str) -> bool {
    use lapin::options::QueueDeclareOptions;
    let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let amqp = Amqp::connect(&corner.amqp_url);
    let queue = corner.queue(queue);
    crate::support::wait::block_on(amqp.channel.queue_declare(
        queue.as_str().into(),
        look,
        Default::default(),
    ))
    .is_ok()
}

#[test]
fn a_mistyped_queue_of_dead_letters_is_named_and_never_made() {
    let mut corner = Corner::new("missing-dead");
    corner.forget("typo");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    for flags in
        [&["--list"][..], &["--dry-run"], &[], &["--save", file.to_str().unwrap()], &["--discard", "--yes"]]
    {
        let ended = corner.replay(folder.path(), &[&["dead", "--queue", "typo"], flags].concat()).wait();
        assert_eq!(ended.code, Some(1), "{flags:?}: {}", ended.stdout);
        let named = format!("queue {} does not exist", corner.queue("typo.dead"));
        assert!(ended.stderr.contains(&named), "{flags:?}: {}", ended.stderr);
        assert!(!exists(&corner, "typo") && !exists(&corner, "typo.dead"), "{flags:?}");
    }
    assert!(!file.exists());
}

#[test]
fn a_dry_run_for_a_mistyped_queue_does_not_make_it() {
    let mut corner = Corner::new("missing-dry");
    corner.forget("typo");
    corner.archive(&[event(1).bytes()]);
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_str().unwrap();
    for command in [&["archive"][..], &["gaps", "--base-url", base], &["gharchive", "-"]] {
        let command = [command, &["--dry-run", "--queue", "typo"]].concat();
        corner.replay(folder.path(), &command).succeed();
        assert!(!exists(&corner, "typo") && !exists(&corner, "typo.dead"), "{command:?}");
    }
}

#[test]
fn listing_where_nothing_exists_leaves_nothing() {
    let corner = Corner::undeclared("missing-all", &["load"]);
    let state = tempfile::tempdir().unwrap();
    let base = ["--base-url", state.path().to_str().unwrap()];
    for (command, code) in [
        (&["dead", "--list"][..], 1),
        (&["dead", "--list", "--queue", "unrouted"], 1),
        (&["gaps", "--list", base[0], base[1]], 0),
    ] {
        let ended = corner.replay(state.path(), command).wait();
        assert_eq!(ended.code, Some(code), "{command:?}: {}", ended.stderr);
    }
    for queue in ["load", "load.dead", "gaps", "unrouted", "archive"] {
        assert!(!exists(&corner, queue), "{queue}");
    }
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 0);
}
