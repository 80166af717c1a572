//! RabbitMQ goes away between GitHub's answer and the confirms: the page is published in the end, and not asked for again
//! before that.

use super::recording;
use crate::loading::DRAIN;
use crate::support::corner::Corner;
use crate::support::dump::assert_same;
use crate::support::github::GitHub;
use crate::support::oracle::Oracle;
use crate::support::proxy::{Proxy, Way};

#[test]
fn a_page_whose_confirms_were_lost_is_published_when_rabbitmq_is_back() {
    let (corner, recording) = (Corner::new("unconfirmed"), recording(600));
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let mut proxy = Proxy::up(&corner.amqp_url);
    let fetcher = corner.polling("fetcher", &proxy.url(&corner.amqp_url), &github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 150);
    proxy.stop();
    fetcher.wait_for("(publishing) is away");
    // It holds a page that is not stored, so it must not ask for more: the answer would be taken for the next.
    let asked = github.served().requests;
    let unpublished = github.served().events.fetched;
    assert!(unpublished < recording.len() as u64);
    proxy.start();
    fetcher.wait_for("is back after");
    assert!(github.served().requests <= asked + 2, "it went on polling while RabbitMQ was away");
    github.until_all_fetched(recording.len());
    let ended = fetcher.stop();
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!((corner.ready("load.dead"), corner.ready("gaps")), (0, 0), "{}", ended.stderr);
}

#[test]
fn what_was_sent_but_never_arrived_is_sent_again() {
    let (corner, recording) = (Corner::new("swallowed"), recording(300));
    let github = GitHub::recorded(&recording, &["--per-poll", "50"]);
    let mut proxy = Proxy::up(&corner.amqp_url);
    let fetcher = corner.polling("fetcher", &proxy.url(&corner.amqp_url), &github.url, &[]);
    github.until("some are fetched", |served| served.events.fetched >= 100);
    // What it publishes from here on gets lost on the way, without an error.
    proxy.black_hole(&[Way::ToServer]);
    let asked = github.served().requests;
    fetcher.wait_for("(publishing) is away");
    assert!(github.served().requests <= asked + 1, "it polled although nothing was confirmed");
    proxy.stop();
    proxy.start();
    fetcher.wait_for("is back after");
    github.until_all_fetched(recording.len());
    fetcher.stop();
    corner.loader(&DRAIN).succeed();
    assert_same("Redis", &corner.dump(), &Oracle::of(&recording).lines());
    assert_eq!(corner.ready("gaps"), 0);
}

#[test]
fn a_rabbitmq_that_is_away_at_start_is_waited_for_before_github_is_asked_anything() {
    let (corner, recording) = (Corner::new("nobroker"), recording(100));
    let github = GitHub::recorded(&recording, &["--per-poll", "100"]);
    let mut proxy = Proxy::away(&corner.amqp_url);
    let fetcher = corner.polling("fetcher", &proxy.url(&corner.amqp_url), &github.url, &["--once"]);
    fetcher.wait_for(&format!("RabbitMQ at 127.0.0.1:{} (publishing) is away", proxy.port));
    assert_eq!(github.served().requests, 0);
    proxy.start();
    fetcher.succeed();
    assert_eq!(corner.ready("load"), 100);
}
