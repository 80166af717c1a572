//! `dashboard --tail`: events on a terminal, or as JSON lines for another program, as they load.

use std::future::pending;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, Interest, stdout};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::config::{TailArgs, TailFormat};
use crate::event::{Filter, Headline, Rebuilt};
use crate::health::Health;
use crate::retry::{Backoff, sleep};
use crate::store::{Fault, Store, StreamEntry, StreamPosition};
use crate::terminal::Escaped;

/// How often to read new events.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Entries asked for at once.
const READ_MAX: usize = 200;
/// How often the events printed are compared with the events added.
const COMPARE_EVERY: Duration = Duration::from_secs(2);

/// Prints the events that the filter takes, until `shutdown` or until the reader of stdout is gone.
///
/// # Errors
/// When Redis refuses access at the start, and waiting does not help.
pub(super) async fn run(
    args: &TailArgs,
    store: Store,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        ended = print(args, store, health, shutdown) => ended,
        () = nobody_reads() => Ok(()),
    }
}

/// Ends when the reader of stdout is gone. A write would notice that too, but only when an event comes. Never ends if stdout is a file.
async fn nobody_reads() {
    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    // Unchecked: the checked conversion makes the pipe non-blocking for all processes that share it.
    let Ok(stdout) = stdout.and_then(pipe::Sender::from_owned_fd_unchecked) else {
        return pending().await;
    };
    loop {
        match stdout.ready(Interest::ERROR).await {
            Ok(ready) if ready.is_error() => return,
            Ok(_) => {}
            Err(_) => pending().await,
        }
    }
}

async fn print(
    args: &TailArgs,
    store: Store,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let redis = health.dependency(format!("Redis at {}", store.address()));
    let filter = args.filter();
    let mut tail = Tail { store, place: None, compared_at: Instant::now() };
    let mut backoff = Backoff::for_server();
    let mut pause = Duration::ZERO;
    while sleep(pause, &shutdown).await.is_ok() {
        let entries = match tail.look().await {
            Ok(entries) => entries,
            Err(fault) if fault.waiting_cannot_help() && tail.place.is_none() => {
                anyhow::bail!("Redis at {}: {fault}", tail.store.address())
            }
            Err(fault) => {
                redis.away(fault);
                pause = backoff.next_delay();
                continue;
            }
        };
        redis.up();
        backoff.reset();
        pause = if entries.len() == READ_MAX { Duration::ZERO } else { LOOK_EVERY };
        let text: String = entries.iter().filter_map(|entry| line(args.format, &filter, entry)).collect();
        // The reader is gone: the end, not a failure.
        if stdout().write_all(text.as_bytes()).await.is_err() || stdout().flush().await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

struct Tail {
    store: Store,
    /// The position in the stream. None before the first read.
    place: Option<StreamPosition>,
    compared_at: Instant,
}

impl Tail {
    /// The events since the last read. The first call finds the end of the stream.
    async fn look(&mut self) -> Result<Vec<StreamEntry>, Fault> {
        let Some(place) = &mut self.place else {
            self.place = Some(self.store.stream_position().await?);
            tracing::debug!("printing events as they load");
            return Ok(Vec::new());
        };
        let entries = self.store.stream_after(&place.last_id, READ_MAX).await?;
        if let Some(newest) = entries.last() {
            place.last_id.clone_from(&newest.id);
            place.added += entries.len() as u64;
        }
        if entries.len() < READ_MAX && self.compared_at.elapsed() >= COMPARE_EVERY {
            self.compared_at = Instant::now();
            let there = self.store.stream_position().await?;
            if there.last_id == place.last_id {
                let missed = there.added.saturating_sub(place.added);
                if missed > 0 {
                    tracing::warn!(missed, "{missed} events left the stream before they could be printed");
                }
                *place = there;
            }
        }
        Ok(entries)
    }
}

/// The line for an event. None if the filter rejects it.
fn line(format: TailFormat, filter: &Filter, entry: &StreamEntry) -> Option<String> {
    let headline = Headline::from_fields(|name| entry.fields.get(name).map(String::as_str));
    filter.takes(&headline).then(|| shown(format, &headline, entry))
}

fn shown(format: TailFormat, headline: &Headline, entry: &StreamEntry) -> String {
    match format {
        // JSON escapes control characters, except DEL, C1 and those that reorder text.
        TailFormat::Json => {
            let json = serde_json::to_string(&Rebuilt::new(&entry.fields, usize::MAX)).unwrap_or_default();
            format!("{}\n", escaped_json(&json))
        }
        TailFormat::Text => {
            let (kind, actor) = (Escaped(&headline.kind).to_string(), Escaped(&headline.actor).to_string());
            format!("{}  {kind:<30} {actor:<24} {}\n", Escaped(&headline.created_at), Escaped(&headline.repo))
        }
    }
}

/// The same JSON, with `\u` escapes in place of characters that could control a terminal.
fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if Escaped::is_safe(c) {
            text.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(login: &str) -> StreamEntry {
        let fields = [
            ("id", "1".to_owned()),
            ("type", "Push\u{9b}Event".to_owned()),
            ("created_at", "2026-01-01T00:00:00Z".to_owned()),
            ("actor", format!(r#"{{"login":"{login}"}}"#)),
        ];
        StreamEntry { id: "1-0".into(), fields: fields.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    fn text(format: TailFormat, login: &str) -> String {
        line(format, &Filter::default(), &entry(login)).unwrap()
    }

    #[test]
    fn hostile_text_is_escaped_in_both_formats() {
        let plain = text(TailFormat::Text, r"a\u001b[2J");
        assert!(plain.contains(r"a\u{1b}[2J") && plain.contains(r"Push\u{9b}Event"), "{plain}");
        let json = text(TailFormat::Json, "a\u{202e}b\u{7f}");
        assert!(json.contains(r"a\u202eb\u007f") && json.contains(r"Push\u009bEvent"), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&value["type"], &value["actor"]["login"]),
            (&"Push\u{9b}Event".into(), &"a\u{202e}b\u{7f}".into())
        );
        assert_eq!(json.lines().count(), 1);
    }
}
