//! How long the batches of a session wait for Redis: without end, until the session ends.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use crate::retry::{Backoff, Interrupted};

/// Two signals that a session gives its batches: no more retries, then no more waits.
pub(super) struct Patience {
    /// Fires when a batch may not retry. It also fires at the program's shutdown.
    retries_over: CancellationToken,
    /// Fires when a batch may not wait any longer for an answer.
    waits_over: CancellationToken,
}

impl Patience {
    /// Lasts until `shutdown`, or until the session ends.
    pub(super) fn until(shutdown: &CancellationToken) -> Self {
        Self { retries_over: shutdown.child_token(), waits_over: CancellationToken::new() }
    }

    /// Ends the retries: Redis is not asked again for anything that it has refused.
    pub(super) fn end_retries(&self) {
        self.retries_over.cancel();
    }

    /// Ends the waits for answers.
    pub(super) fn end_waits(&self) {
        self.waits_over.cancel();
    }

    /// Waits for Redis's answer.
    ///
    /// # Errors
    /// [`Interrupted`] when waits end first.
    pub(super) async fn answer<T>(&self, asked: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            answer = asked => Ok(answer),
            () = self.waits_over.cancelled() => Err(Interrupted),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Interrupted`] when retries end first.
    pub(super) async fn turn<T>(&self, comes: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            turn = comes => Ok(turn),
            () = self.retries_over.cancelled() => Err(Interrupted),
        }
    }

    /// Waits before a retry.
    ///
    /// # Errors
    /// [`Interrupted`] when retries have ended.
    pub(super) async fn pause(&self, backoff: &mut Backoff) -> Result<(), Interrupted> {
        backoff.pause(&self.retries_over).await
    }
}
