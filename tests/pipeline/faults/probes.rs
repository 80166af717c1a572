//! Bad clients of `--metrics-listen`: they cost neither the loader its work nor others their answers.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::corner::Corner;
use crate::support::events::event;
use crate::support::status::Status;
use crate::support::wait::eventually;

/// Connections that say nothing. The server has room for some more.
const IDLE: usize = 500;
/// A connection without a whole request is closed well before this.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

/// True once the server has closed the connection; waits for `patience`.
fn is_closed(connection: &mut TcpStream, patience: Duration) -> bool {
    connection.set_read_timeout(Some(patience)).unwrap();
    match connection.read(&mut [0; 1000]) {
        // An answer, such as "408", comes before the end.
        Ok(1..) => is_closed(connection, patience),
        Ok(0) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Sends one byte of its headers three times a second, and gives how long the server bears it.
fn trickle(mut connection: TcpStream) -> Duration {
    let started = Instant::now();
    let mut bytes = b"GET /metrics HTTP/1.1\r\nX-Long: ".iter().chain(std::iter::repeat(&b'x'));
    while started.elapsed() < CLOSED_WITHIN {
        let sent = connection.write_all(&[*bytes.next().unwrap()]);
        if sent.is_err() || is_closed(&mut connection, Duration::from_millis(300)) {
            break;
        }
    }
    started.elapsed()
}

#[test]
fn idle_and_trickling_clients_of_the_metrics_are_closed_and_the_loader_goes_on() {
    let corner = Corner::new("probes");
    let status = Status::new();
    let _loader = corner.loader(&["--stream-maxlen", "0", "--metrics-listen", &status.address]);
    eventually("the loader is ready", || status.is_ready());
    let idle: Vec<_> = (0..IDLE).map(|_| TcpStream::connect(&status.address).unwrap()).collect();
    let trickling = TcpStream::connect(&status.address).unwrap();
    let trickling = std::thread::spawn(move || trickle(trickling));
    corner.publish(&(0..1000).map(|id| event(id).bytes()).collect::<Vec<_>>());
    eventually("all is loaded beside them", || corner.loaded() == 1000);
    assert!(status.is_ready(), "others are answered");
    let took = trickling.join().unwrap();
    assert!(took < CLOSED_WITHIN, "headers that trickle are still waited for after {took:?}");
    for mut connection in idle {
        assert!(is_closed(&mut connection, CLOSED_WITHIN), "an idle connection is still open");
    }
    assert!(status.is_ready());
}
