//! GH Archive (<https://www.gharchive.org>): GitHub's public events as one gzipped file of JSON lines an hour, since 2011.
//!
//! An [`Hour`](crate::event::Hour) names a file, [`Mirror`] brings it to a local disk, [`Reader`] takes events out of it. Files are cut by the hour in
//! which their events were *crawled*: an event can stand in a file up to six hours later than its own hour. They hold
//! duplicates, and damage of every kind: what cannot be read is handed out as a [`Reject`] with its place, and never ends the
//! rest. Reading is blocking and bounded: a line has at most [`crate::event::BODY_BYTES_MAX`] bytes in memory, whatever the
//! file holds.

mod download;
mod lines;
mod mark;
mod mirror;
mod open;
mod reader;
mod records;
mod what;

pub use download::FetchError;
pub use mark::Mark;
pub use mirror::{Fetched, Mirror};
pub use reader::{Batch, Named, Reader, Reject};
pub use what::What;
