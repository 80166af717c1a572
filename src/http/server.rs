//! The accept loop. `axum::serve` is not enough for hostile clients: it installs no timer, so hyper's timeout for headers never
//! fires, and it does not limit connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWrite;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// Time limit for the headers of each request on a connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const HEADERS_MAX: usize = 64;
/// Most bytes of a request's headers, and of output not sent yet.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long a client may leave data unread.
const STALL_MAX: Duration = Duration::from_secs(15);
/// The size of the system's send buffer for a client.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 256;
/// The pause after a failed accept. If file descriptors ran out, some may be free afterwards.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at `address`. Errors name `whom`.
pub(crate) fn listen(address: SocketAddr, whom: &str) -> anyhow::Result<TcpListener> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Accepted connections inherit it.
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().with_context(|| format!("{whom} cannot listen on {address}"))
}

/// Serves for ever.
pub(crate) async fn serve(listener: TcpListener, app: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (http, app) = (http.clone(), app.clone());
                tokio::spawn(async move {
                    serve_one(&http, stream, app).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("accepting a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection whose write fails when it waits longer than `patience`. A timeout inside an answer cannot notice a client that does
/// not read: hyper polls an answer only while the socket accepts data.
fn impatient<T: AsyncWrite>(connection: T, patience: Duration) -> Pin<Box<TimeoutWriter<T>>> {
    let mut connection = TimeoutWriter::new(connection);
    connection.set_timeout(Some(patience));
    Box::pin(connection)
}

async fn serve_one(http: &http1::Builder, stream: TcpStream, app: Router) {
    // Send small packets at once (TCP_NODELAY).
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(impatient(stream, STALL_MAX));
    if let Err(error) = http.serve_connection(io, TowerToHyperService::new(app)).await {
        tracing::debug!("a connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (ours, _theirs) = duplex(16);
        let mut ours = impatient(ours, PATIENCE);
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = impatient(ours, PATIENCE);
        let reading = tokio::spawn(async move {
            let mut byte = [0; 16];
            for _ in 0..10 {
                tokio::time::sleep(PATIENCE / 4).await;
                theirs.read_exact(&mut byte).await.unwrap();
            }
        });
        ours.write_all(&[0; 160]).await.unwrap();
        reading.await.unwrap();
    }
}
