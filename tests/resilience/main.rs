//! More faults, rows 24 to 50 of docs/FAULTS.md. `make test-faults` runs them: together they take minutes.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod dead_letters;
mod duplicates;
mod fuzz;
mod github;
mod limits;
mod looking;
mod network;
mod poison;
mod quorum;
mod redis_cluster;
mod redis_refuses;
mod redis_restarts;
mod redis_tls;
mod rights;
mod rolling;
mod sentinel;
mod slow_link;
mod watchers;
mod zombie;
