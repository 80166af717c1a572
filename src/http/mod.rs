//! The web server that the dashboard and `--metrics-listen` share. It bounds the cost of bad clients in memory, connections and time.

mod server;

pub(crate) use server::{listen, serve};
