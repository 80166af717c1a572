//! The pipeline on real servers, one story a module.

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod core;
mod dashboard;
mod end_to_end;
mod failover;
mod failures;
mod faults;
mod hostile;
mod loading;
mod metrics;
mod property;
mod replay;
mod rights;
mod script;
mod secrets;
mod tls;
mod traces;
