//! What waiting cannot mend ends the program with exit code 1 and a remedy.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::support::corner::Corner;
use crate::support::wait::block_on;

#[test]
fn wrong_credentials_end_the_program_with_the_remedy_and_without_the_password() {
    let corner = Corner::undeclared("denied", &[]);
    let mut url = url::Url::parse(&corner.amqp_url).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let ended = corner.loader_at(url.as_str(), &corner.redis_url, &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("RabbitMQ refuses access"), "{}", ended.stderr);
    assert!(ended.stderr.contains("check user, password and virtual host in --amqp-url (AMQP_URL)"));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_virtual_host_that_does_not_exist_ends_the_program_with_the_remedy() {
    let corner = Corner::undeclared("vhost", &[]);
    let url = corner.amqp_url.replace("%2f", "no-such-vhost");
    assert_ne!(url, corner.amqp_url);
    let ended = corner.loader_at(&url, &corner.redis_url, &[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("check user, password and virtual host"), "{}", ended.stderr);
}

#[test]
fn a_queue_that_exists_with_other_settings_ends_the_program_and_the_difference_is_shown() {
    let corner = Corner::undeclared("mismatch", &["load"]);
    let queue = corner.queue("load");
    let classic = corner.amqp().channel.queue_declare(
        queue.as_str().into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    block_on(classic).unwrap();
    let ended = corner.loader(&[]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for text in [&queue, "inequivalent arg", "received the value", "but current is none", "--namespace"] {
        assert!(ended.stderr.contains(text), "'{text}' is not in\n{}", ended.stderr);
    }
}
