//! GitHub's Events API, one request at a time. With GH Archive, the only place that names `reqwest`.
//!
//! [`Client::get`] makes one request and returns one [`Answer`]. It has no error: every failure of GitHub, a proxy or the network is
//! an outcome, by which the caller schedules the next request. This module does not know when to ask, which events are new, or
//! which were missed.

mod answer;
mod authorization;
mod client;
mod headers;
mod link;

pub use answer::{Answer, Outcome, Page};
pub use authorization::TokenNumber;
pub use client::Client;
pub use headers::{Hints, Quota, is_fit_etag, poll_interval};
