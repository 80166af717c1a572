//! The network between a loader and RabbitMQ.

use crate::support::corner::amqp_url;
use crate::support::proxy::Proxy;
use crate::support::run::Run;

/// A run whose loader reaches RabbitMQ through the proxy, with work under way.
fn running_through(proxy: &Proxy, story: &str) -> Run {
    let mut run = Run::new(story).rabbitmq_at(proxy.url(&amqp_url()));
    run.begin(1000, &[]);
    run
}

#[test]
fn acks_that_get_lost_with_the_connection_make_duplicates_and_nothing_else() {
    let proxy = Proxy::up(&amqp_url());
    let mut run = running_through(&proxy, "ackslost");
    // The next thing it sends is an ack, of what it has loaded.
    proxy.cut_after(0);
    run.last().wait_for("(consuming) is away");
    assert!(run.finish().duplicates > run.copies(), "no ack was lost");
}

#[test]
fn a_connection_that_is_reset_is_built_anew() {
    let proxy = Proxy::up(&amqp_url());
    let mut run = running_through(&proxy, "reset");
    for _ in 0..3 {
        proxy.reset();
        run.wait_until_unready();
        run.wait_until_ready();
    }
    run.finish();
}
