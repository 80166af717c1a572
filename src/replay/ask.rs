//! Asks for confirmation on the terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use tokio_util::sync::CancellationToken;

use crate::config::UsageError;
use crate::retry::Interrupted;

/// Refuses `flag` if there is no terminal to ask on.
///
/// # Errors
/// [`UsageError`] that names the flag to add.
pub(super) fn check(flag: &str) -> Result<(), UsageError> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(UsageError(format!(
        "{flag} asks on the terminal before it deletes, and there is none: write {flag} --yes"
    )))
}

/// Asks, and gives whether the answer was yes.
///
/// # Errors
/// [`Interrupted`] when the program is to stop before there is an answer.
pub(super) async fn confirm(question: &str, shutdown: &CancellationToken) -> Result<bool, Interrupted> {
    let mut stderr = std::io::stderr().lock();
    // If the question cannot be shown, nobody answers yes.
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    drop(stderr);
    let (sender, answer) = tokio::sync::oneshot::channel();
    // Not `spawn_blocking`: a read from the terminal can last for ever, and must not hold up the program's end.
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
        // Fails only when the receiver is dropped.
        let _ = sender.send(line);
    });
    tokio::select! {
        line = answer => Ok(line.is_ok_and(|line| ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()))),
        () = shutdown.cancelled() => Err(Interrupted),
    }
}
