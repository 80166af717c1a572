//! A broker that an older version has set up: its archive is bound to the exchange, its dead letters have no dead-letter exchange.

use github_event_etl::broker::Part;
use lapin::types::AMQPValue;

use crate::support::amqp::text;
use crate::support::archive_files::hour;
use crate::support::corner::Corner;
use crate::support::rabbitmq::RabbitNode;
use crate::support::redis_server::RedisServer;

const CORE: &[Part] = &[Part::Exchange, Part::LoadQueue];

#[test]
fn who_publishes_takes_the_archives_binding_away() {
    let corner = Corner::undeclared("upgrade", &["load"]);
    corner.declare_bound_archive();
    corner.declare_parts("load", CORE);
    corner.publish(&hour(12, 0..10, 5));
    corner.drain();
    assert_eq!(corner.loaded(), 10);
    let marker = hour(13, 0..1, 5);
    corner.archive(&marker);
    let archive = corner.amqp().read_stream(&corner.queue("archive"), |read| !read.is_empty());
    assert_eq!(archive[0].body, marker[0]);
}

#[test]
fn a_broken_archive_that_is_still_bound_does_not_hold_up_publishing() {
    let mut node = RabbitNode::start();
    let redis = RedisServer::start(&[]);
    let mut corner = Corner::undeclared_at("upgrade-broken", &["load"], node.url(), redis.url());
    corner.break_archive(&mut node);
    corner.declare_parts("load", CORE);
    corner.publish(&hour(12, 0..10, 5));
    corner.drain();
    assert_eq!(corner.loaded(), 10);
}

#[test]
fn dead_letters_without_a_dead_letter_exchange_are_taken_as_they_are() {
    let corner = Corner::undeclared("upgrade-dead", &["load"]);
    for name in ["load.dead", "gaps"] {
        let never = AMQPValue::LongLongInt(1_000_000_000);
        corner.amqp().declare_queue(
            &corner.queue(name),
            &[("x-queue-type", text("quorum")), ("x-delivery-limit", never)],
        );
    }
    corner.declare_parts("load", &[Part::LoadQueue, Part::Gaps, Part::Exchange]);
    corner.publish(&[b"no event".to_vec()]);
    corner.drain();
    corner.wait_until_ready("load.dead", 1);
}
