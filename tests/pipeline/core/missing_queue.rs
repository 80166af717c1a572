//! A load queue that is gone, or that does not exist yet: no event is confirmed and lost.

use std::collections::BTreeSet;

use lapin::types::FieldTable;

use crate::end_to_end::recording;
use crate::support::corner::Corner;
use crate::support::github::GitHub;
use crate::support::wait::{block_on, eventually};

const PAGES: [&str; 2] = ["--per-poll", "50"];

#[test]
fn a_load_queue_deleted_while_the_fetcher_works_is_declared_again_and_gets_the_rest() {
    let (corner, recording) = (Corner::new("gone"), recording(600));
    let github = GitHub::recorded(&recording, &PAGES);
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 200);
    // With it go those that it held: that is what the command does. All that is published from now on must be kept.
    corner.amqp().delete(&corner.queue("load"));
    let deleted_at = github.served().events.fetched;
    github.until_all_fetched(recording.len());
    fetcher.stop();
    assert!(corner.try_ready("load").is_some(), "the load queue is there again");
    let kept = corner.ready("load") + corner.ready("unrouted");
    let least = recording.len() as u64 - deleted_at;
    assert!(
        u64::from(kept) >= least,
        "{kept} are kept, and at least {least} were published after the deletion"
    );
}

#[test]
fn events_published_while_no_load_queue_is_bound_are_kept_with_the_unrouted_messages() {
    let (corner, recording) = (Corner::new("unbound"), recording(150));
    let github = GitHub::recorded(&recording, &PAGES);
    let (load, exchange) = (corner.queue("load"), corner.namespace.clone());
    let fetcher = corner.fetcher(&github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 50);
    let channel = &corner.amqp().channel;
    let unbind = channel.queue_unbind(
        load.as_str().into(),
        exchange.as_str().into(),
        "#".into(),
        FieldTable::default(),
    );
    block_on(unbind).unwrap();
    github.until_all_fetched(recording.len());
    fetcher.stop();
    eventually("nothing is lost", || {
        (corner.ready("load") + corner.ready("unrouted")) as usize == recording.len()
    });
    assert!(corner.ready("unrouted") > 0);
    let bodies: BTreeSet<_> =
        corner.take_all("load").into_iter().chain(corner.take_all("unrouted")).map(|m| m.body).collect();
    assert_eq!(bodies, recording.into_iter().collect());
}

#[test]
fn a_loader_declares_its_own_queues_and_nothing_else() {
    let corner = Corner::undeclared("own", &["load"]);
    let loader = corner.loader(&[]);
    loader.wait_for("consuming");
    let own = [corner.retries("load"), vec!["load.dead".into(), "load".into()]].concat();
    eventually("its queues are there", || own.iter().all(|queue| corner.try_ready(queue).is_some()));
    for queue in ["archive", "gaps", "unrouted", "fetcher"] {
        assert_eq!(corner.try_ready(queue), None, "{queue}");
    }
    loader.stop();
}
