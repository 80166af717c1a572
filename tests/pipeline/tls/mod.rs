//! Connections with TLS: certificates of a CA of our own, client certificates, and everything that can be wrong with them.

mod trouble;
mod working;

use crate::support::certificates::{Authority, Identity};

/// The names of a server on this machine.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

fn amqps(port: u16) -> String {
    format!("amqps://guest:guest@localhost:{port}/%2f")
}

fn rediss(port: u16) -> String {
    format!("rediss://localhost:{port}/")
}

fn https(port: u16) -> String {
    format!("https://localhost:{port}")
}
