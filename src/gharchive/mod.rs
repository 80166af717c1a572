//! GH Archive (<https://www.gharchive.org>): GitHub's public events as one gzipped file of JSON lines an hour, since 2011.
//!
//! An [`Hour`](crate::event::Hour) names a file, [`Mirrors`] bring it to a local disk, [`Reader`] reads its events.
//!
//! - Files are cut by the hour in which their events were *crawled*. An event can be in the file of an hour up to six hours later
//!   than its own.
//! - Files hold duplicates, and damage of every kind. A line that cannot be read becomes a [`Reject`] with its place, and reading goes
//!   on.
//! - Reading is blocking. Its memory is bounded: a line has little more than [`crate::event::BODY_BYTES_MAX`] bytes in memory.

mod download;
mod heard;
mod lines;
mod mark;
mod mirror;
mod mirrors;
mod open;
mod reader;
mod records;

pub use download::FetchError;
pub use mark::Mark;
pub use mirror::Fetched;
pub use mirrors::{Has, Mirrors};
pub use reader::{Batch, RawEvent, Reader, Reject};
