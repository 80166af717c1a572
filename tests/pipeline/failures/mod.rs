//! Failures: what cannot be loaded is kept for a person, what can is loaded, and nothing else is touched.

mod bad_input;
mod invalid;
mod mismatch;
mod readiness;
mod retries;
mod servers;
mod unknown;
mod usage;
