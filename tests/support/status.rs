//! A program's own account of itself: `/readyz` and `/metrics`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

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
        self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
    }

    /// True when `/readyz` says that it is not, with these words in its answer.
    pub fn is_unready_because(&self, words: &str) -> bool {
        self.get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.0 503") && answer.contains(words))
    }

    /// The whole answer; an error when nobody listens.
    pub fn get(&self, path: &str) -> std::io::Result<String> {
        get(&self.address, path)
    }
}

/// The whole answer of a web server to a plain request.
pub fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: test\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
