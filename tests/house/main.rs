//! Tests that read the sources and the documents. They need no server: `make check` runs them.

mod documents;
mod invariants;
#[path = "../support/sources.rs"]
mod sources;
