//! Events on a terminal as they load, and every few seconds the hour's top developers.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, stdout};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::Headline;
use crate::retry::sleep;
use crate::store::{DeveloperScore, Fault, Store, StreamEntry};
use crate::terminal::Escaped;

/// How often to ask for what is new. A blocking read would hold the connection that all calls share.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Lines shown of one look; a person reads no more, and the rest is counted.
const LINES_PER_LOOK_MAX: usize = 8;
/// Entries asked for at once.
const READ_MAX: usize = 1000;
/// How often the top developers are shown.
const LEADERS_EVERY: Duration = Duration::from_secs(5);
const LEADERS: u32 = 5;

/// Shows events until `shutdown`, or until nobody reads stdout any more. Redis being away is for others to report.
pub async fn run(store: &Store, shutdown: &CancellationToken) {
    let mut place: Option<String> = None;
    let mut hour = String::new();
    let mut leaders_due = Instant::now() + LEADERS_EVERY;
    while sleep(LOOK_EVERY, shutdown).await.is_ok() {
        let Ok(entries) = look(store, &mut place).await else { continue };
        if let Some(newest) = entries.last().map(headline).filter(|newest| newest.created_at.len() >= 13) {
            // `2015-01-01T12:…` belongs to the hour `2015-01-01-12`.
            hour = newest.created_at.chars().take(13).map(|c| if c == 'T' { '-' } else { c }).collect();
        }
        let mut text = lines(&entries);
        if Instant::now() >= leaders_due && !hour.is_empty() {
            leaders_due = Instant::now() + LEADERS_EVERY;
            if let Ok(leaders) = store.leaderboard(&hour, LEADERS).await {
                text.push_str(&leaderboard(&hour, &leaders));
            }
        }
        // A closed pipe ends the watching, not the pipeline.
        if stdout().write_all(text.as_bytes()).await.is_err() || stdout().flush().await.is_err() {
            return;
        }
    }
}

/// What has come since the last look; the first one begins at the stream's end.
async fn look(store: &Store, place: &mut Option<String>) -> Result<Vec<StreamEntry>, Fault> {
    let Some(after) = place else {
        *place = Some(store.stream_end().await?);
        return Ok(Vec::new());
    };
    let entries = store.stream_after(after, READ_MAX).await?;
    if let Some(newest) = entries.last() {
        after.clone_from(&newest.id);
    }
    Ok(entries)
}

fn headline(entry: &StreamEntry) -> Headline {
    Headline::from_fields(|name| entry.fields.get(name).map(String::as_str))
}

fn lines(entries: &[StreamEntry]) -> String {
    let mut text = String::new();
    for entry in entries.iter().take(LINES_PER_LOOK_MAX) {
        let Headline { kind, created_at, actor, repo } = headline(entry);
        let (kind, actor, repo) =
            (Escaped(&kind).to_string(), Escaped(&actor).to_string(), Escaped(&repo).to_string());
        text.push_str(&format!("{}  {kind:<30} {actor:<24} {repo}\n", Escaped(&created_at)));
    }
    let more = entries.len().saturating_sub(LINES_PER_LOOK_MAX);
    if more > 0 {
        text.push_str(&format!("… and {more} more\n"));
    }
    text
}

fn leaderboard(hour: &str, leaders: &[DeveloperScore]) -> String {
    let mut text = format!("──── top developers of {} UTC ────\n", Escaped(hour));
    for DeveloperScore { login, score } in leaders {
        text.push_str(&format!("{score:>8}  {}\n", Escaped(login)));
    }
    if leaders.is_empty() {
        text.push_str("          nobody has scored yet\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str) -> StreamEntry {
        let fields =
            [("type", kind), ("created_at", "2026-01-01T00:00:00Z"), ("actor", r#"{"login":"a\u001b[2J"}"#)];
        StreamEntry { id: "1-0".into(), fields: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).into() }
    }

    #[test]
    fn hostile_text_is_shown_escaped_and_floods_are_counted() {
        let entries = vec![entry("Push\x07Event"); LINES_PER_LOOK_MAX + 3];
        let text = lines(&entries);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains(r"Push\u{7}Event") && text.contains(r"a\u{1b}[2J"), "{text}");
        assert!(text.ends_with("… and 3 more\n"), "{text}");
    }

    #[test]
    fn leaders_are_named_with_their_points() {
        let leaders = [DeveloperScore { login: "x\n".into(), score: 12 }];
        assert!(leaderboard("2026-01-01-00", &leaders).contains("12  x\\u{a}\n"));
    }
}
