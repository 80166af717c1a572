//! GitHub's Events API, one request at a time. With GH Archive, the only place that names `reqwest`.
//!
//! [`Client::get`] makes one request and gives one [`Answer`]: there is no error to forget, because everything that GitHub,
//! a proxy or the network may do to us is an outcome that the caller schedules by. When to ask, what is new and what was
//! missed is not known here.

mod answer;
mod client;
mod headers;
mod link;

pub use answer::{Answer, Outcome, Page};
pub use client::Client;
pub use headers::{Hints, Quota, is_fit_etag, poll_interval};
