//! `replay export`: writes the archive stream into hourly files, in GH Archive's form.
//!
//! - `job` reads the stream, here and over as many sessions as it takes. `cursor` is a place in it.
//! - `writer` takes messages. An event waits in the `spool` of its hour (`spools`: all of them, bounded), then goes into the `hour_file`.
//! - `folder` has the names, the lock and the position. `line` makes lines of events, `totals` counts.

mod cursor;
mod folder;
mod hour_file;
mod job;
mod line;
mod spool;
mod spools;
mod totals;
mod writer;

pub(super) use job::run;
