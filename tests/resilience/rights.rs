//! Least rights in RabbitMQ: everything in the lines of docs/SECURITY.md is needed. That they are enough is also in
//! `tests/pipeline/rights/on_rabbitmq.rs`.

use crate::support::rabbitmq_rights::are_enough_and_told_where_lacking;

#[test]
fn every_program_names_each_right_that_it_lacks_in_rabbitmq() {
    are_enough_and_told_where_lacking(|rights| rights);
}
