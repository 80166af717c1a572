//! The connection to RabbitMQ below lapin: repairs frames that lapin could not parse, and ends with its owner (`owned`).
//!
//! Every publisher chooses the bytes of a message's properties. If a text is not UTF-8, lapin ends the connection. If tables
//! are nested deep, its thread overflows the stack. RabbitMQ would redeliver that message, and all others, to the next
//! connection. So `frames` finds the frames that carry foreign texts. `repair` makes them readable and notes the damage in a
//! header of ours.

mod frames;
mod owned;
mod repair;
mod stream;

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::io::{AsyncRead, AsyncWrite};
use futures_util::{Stream, TryFutureExt as _};
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, RustlsConnector};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};
use rustls::ClientConfig;

pub(super) use owned::OwnedConnection;
use owned::{Abort, AbortOnDrop};
pub(super) use repair::UNREADABLE;
use stream::Readable;

/// Connects as lapin would, with every frame made readable. lapin's own TLS would read the system's certificates for every connection.
pub(super) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    tls: Option<ClientConfig>,
) -> lapin::Result<OwnedConnection> {
    let tokio = Tokio::current();
    let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), ReadableTokio(tokio.clone())));
    // An attempt that is given up is aborted, too.
    let owner = AbortOnDrop::new();
    let abort = owner.abort();
    let tls = tls.map(RustlsConnector::from);
    let tokio = Runtime::new(tokio);
    let connect = async move |uri: AMQPUri, _| {
        let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri };
        let stream = plain.connect_async(&tokio).await?;
        let stream = match &tls {
            Some(tls) => stream.into_rustls(tls, &plain.authority.host).await?,
            None => stream,
        };
        Ok(AsyncTcpStream::Plain(Readable::new(stream, abort.clone())))
    };
    let connection = Connection::connector(uri, runtime, connect, properties).await?;
    Ok(OwnedConnection::new(connection, owner))
}

/// Tokio, but for the type of its streams. lapin takes a transport of ours only together with a reactor that names it.
#[derive(Clone, Debug)]
struct ReadableTokio(Tokio);

type TokioStream = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

impl Reactor for ReadableTokio {
    type TcpStream = Readable<TokioStream>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(period)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        // lapin's own way to connect, which `connect` replaces.
        let readable = |stream| Readable::new(AsyncTcpStream::Plain(stream), Abort::default());
        self.0.tcp_connect_addr(address).map_ok(readable)
    }
}
