//! How long the batches of a session go on trying.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::retry::{Backoff, Interrupted};

/// Shared by a session and its batches. Until the session ends, batches wait for Redis without end.
pub(super) struct Patience {
    /// Fires when a batch may not try again. It fires with the program's shutdown too.
    retries_over: CancellationToken,
    /// Fires when a batch may not even wait for an answer that is under way.
    waits_over: CancellationToken,
}

impl Patience {
    /// Without end, until `shutdown`.
    pub(super) fn until(shutdown: &CancellationToken) -> Self {
        Self { retries_over: shutdown.child_token(), waits_over: CancellationToken::new() }
    }

    /// The session is to end: Redis is not asked again for anything that it has refused.
    pub(super) fn end_retries(&self) {
        self.retries_over.cancel();
    }

    /// The time is over: nothing is waited for any more.
    pub(super) fn end_waits(&self) {
        self.waits_over.cancel();
    }

    /// Waits for Redis's answer.
    ///
    /// # Errors
    /// [`Interrupted`] when the time is over first.
    pub(super) async fn answer<T>(&self, asked: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            answer = asked => Ok(answer),
            () = self.waits_over.cancelled() => Err(Interrupted),
        }
    }

    /// Waits for something that need not be waited for once the session is to end.
    ///
    /// # Errors
    /// [`Interrupted`] when the session is to end.
    pub(super) async fn turn<T>(&self, comes: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            turn = comes => Ok(turn),
            () = self.retries_over.cancelled() => Err(Interrupted),
        }
    }

    /// Waits before Redis is asked again.
    ///
    /// # Errors
    /// [`Interrupted`] when it is not to be asked again.
    pub(super) async fn pause(&self, backoff: &mut Backoff) -> Result<(), Interrupted> {
        backoff.pause(&self.retries_over).await
    }
}
