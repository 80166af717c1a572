//! A connection that ends when it is dropped.
//!
//! lapin closes a connection when nothing refers to it any more. A request without an answer still does. After a `basic.consume`
//! without an answer, lapin keeps the connection and its heartbeats. Then RabbitMQ gives a share of the queue to a consumer that
//! nobody reads. Also, lapin waits without limit for the answer to its `connection.close`.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use lapin::Connection;
use tokio::runtime::Handle;

/// How long lapin may take to close a connection that is dropped. Then its socket is closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection whose socket is closed soon after this is dropped.
pub(in crate::broker) struct OwnedConnection {
    // Dropped first: then lapin closes the connection in order, if it can.
    connection: Connection,
    _abort: AbortOnDrop,
}

/// Aborts a connection, or the attempt to open one, [`GOODBYE`] after this is dropped.
pub(super) struct AbortOnDrop(Abort);

/// Tells the stream of a connection that the connection is aborted.
#[derive(Clone, Default)]
pub(super) struct Abort(Arc<State>);

#[derive(Default)]
struct State {
    is_aborted: AtomicBool,
    reader: AtomicWaker,
}

impl OwnedConnection {
    pub(super) fn new(connection: Connection, abort: AbortOnDrop) -> Self {
        Self { connection, _abort: abort }
    }
}

impl Deref for OwnedConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl AbortOnDrop {
    pub(super) fn new() -> Self {
        Self(Abort::default())
    }

    /// For the stream of the connection.
    pub(super) fn abort(&self) -> Abort {
        self.0.clone()
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        let at_once = AbortAtOnce(self.0.clone());
        // Without a runtime, the program is ending.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GOODBYE).await;
                drop(at_once);
            });
        }
    }
}

/// Aborts when it is dropped, which the end of the runtime does, too.
struct AbortAtOnce(Abort);

impl Drop for AbortAtOnce {
    fn drop(&mut self) {
        let Abort(state) = &self.0;
        state.is_aborted.store(true, Ordering::Release);
        state.reader.wake();
    }
}

impl Abort {
    /// Fails if the connection is aborted. Otherwise wakes `reader` when that happens.
    pub(super) fn check_for(&self, reader: &Waker) -> io::Result<()> {
        self.0.reader.register(reader);
        self.check()
    }

    /// Fails if the connection is aborted.
    pub(super) fn check(&self) -> io::Result<()> {
        let is_aborted = self.0.is_aborted.load(Ordering::Acquire);
        if is_aborted { Err(io::Error::from(io::ErrorKind::ConnectionAborted)) } else { Ok(()) }
    }
}
