//! A program's own account of itself: `/readyz` and `/metrics`.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::redis_server::free_port;

/// Where a program that is to be started will tell its state.
pub struct Status {
    pub address: String,
}

impl Status {
    pub fn new() -> Self {
        Self { address: format!("127.0.0.1:{}", free_port()) }
    }

    /// True when `/readyz` says 200, false when it says anything else or nobody listens.
    pub fn is_ready(&self) -> bool {
        self.get("/readyz").starts_with("HTTP/1.1 200")
    }

    /// The whole answer; empty when nobody listens.
    pub fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return String::new() };
        let mut answer = String::new();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        answer
    }
}
