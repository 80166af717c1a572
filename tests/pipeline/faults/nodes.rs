//! A cluster's list of nodes: a node that refuses, hangs or dies is left for the next one.

use std::net::TcpListener;
use std::time::Instant;

use crate::support::proxy::Proxy;
use crate::support::run::Run;

#[test]
fn nodes_that_refuse_and_hang_are_left_and_named_and_the_lost_one_is_not_tried_first() {
    let mut run = Run::new("nodes");
    let amqp = run.corner.amqp_url.clone();
    let (refusing, mut first, second) = (Proxy::away(&amqp), Proxy::up(&amqp), Proxy::up(&amqp));
    // It connects and says nothing, as a frozen process does.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("amqp://{}", hanging.local_addr().unwrap());
    let port =
        |proxy: &Proxy| format!("127.0.0.1:{}", url::Url::parse(&proxy.url(&amqp)).unwrap().port().unwrap());
    let list = [refusing.url(&amqp), silent.clone(), first.url(&amqp), second.url(&amqp)].join(",");
    run = run.rabbitmq_at(list);
    let began = Instant::now();
    run.loader(&[]).wait_for(&format!("from RabbitMQ at {}", port(&first)));
    // One timeout to connect, not one for each connection in turn.
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    let told = run.last().wait_for(&format!("consuming through {}", port(&first)));
    assert!(told.contains(&port(&refusing)) && told.contains(silent.trim_start_matches("amqp://")), "{told}");
    run.publish(20);
    run.drains();
    let lost = Instant::now();
    first.stop();
    run.last().wait_for(&format!("consuming through {} has ended; next is {}", port(&first), port(&second)));
    run.last().wait_for(&format!("from RabbitMQ at {}", port(&second)));
    assert!(lost.elapsed().as_secs() < 2, "{:?}", lost.elapsed());
    assert!(!run.last().stderr().contains("guest"), "{}", run.last().stderr());
    run.finish();
}
