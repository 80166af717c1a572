//! Servers that are not the ones a program looks for. They live as long as the tests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Reads what comes first, and answers each connection by `answer`; gives its port.
pub fn answering(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    serving(move |mut client| {
        let mut buffer = [0; 64 * 1024];
        let count = client.read(&mut buffer).unwrap_or(0);
        // A client that has closed its connection gets no answer.
        let _ = client.write_all(&answer(&buffer[..count]));
    })
}

/// A web server that takes no request for a good one. As real ones do, it waits for the end of the line.
pub fn web_server() -> u16 {
    serving(|mut client| {
        let mut byte = [0];
        while client.read_exact(&mut byte).is_ok() && byte != *b"\n" {}
        let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    })
}

/// Takes connections and never says a word.
pub fn mute() -> u16 {
    serving(std::mem::forget)
}

fn serving(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        std::thread::scope(|scope| {
            for client in listener.incoming().flatten() {
                let serve = &serve;
                scope.spawn(move || serve(client));
            }
        });
    });
    port
}
