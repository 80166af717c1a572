//! The web server that the dashboard and `--metrics-listen` share. It bounds the cost of bad clients in memory, connections and time.

mod server;
mod stall;

pub(crate) use server::{listen, serve};
