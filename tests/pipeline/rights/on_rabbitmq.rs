//! The users of RabbitMQ.

use crate::support::rabbitmq_rights::are_enough_and_told_where_lacking;

/// That each of all rights is needed takes two minutes: `tests/resilience/rights.rs`.
#[test]
fn every_program_works_with_its_rights_in_rabbitmq_and_names_one_that_it_lacks() {
    are_enough_and_told_where_lacking(|rights| {
        let any = rights[rand::random_range(0..rights.len())];
        vec![any]
    });
}
