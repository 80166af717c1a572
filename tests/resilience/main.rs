//! More faults, on servers of their own where they break one. `make test-faults` runs them: together they take minutes.

#[path = "../support/mod.rs"]
mod support;
