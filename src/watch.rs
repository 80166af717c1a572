//! `standalone --watch`: prints events on a terminal as they load, and every few seconds the hour's top developers and how the
//! sources are.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, stdout};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::{Headline, Hour};
use crate::retry::sleep;
use crate::status::FetcherFigures;
use crate::store::{DeveloperScore, Fault, Store, StreamEntry};
use crate::terminal::Escaped;

/// How often to read new events. A blocking read would hold the connection that all calls share.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Entries asked for at once.
const READ_MAX: usize = 1000;
/// Events that may wait to be shown. Of more, the oldest are only counted.
const WAITING_MAX: usize = 1000;
/// Each look shows this part of the waiting events, up to a number that people can follow. So the events of one poll are spread over
/// the time until the next.
const SHARE_PER_LOOK: usize = 40;
const LINES_PER_LOOK_MAX: usize = 8;
/// Events loaded before that are shown at the start.
const HISTORY: usize = 20;
/// How often the top developers are shown.
const LEADERS_EVERY: Duration = Duration::from_secs(5);
const LEADERS: u32 = 5;

/// Shows events until `shutdown`, or until the reader of stdout is gone. Other tasks report that Redis is away.
pub async fn run(store: &Store, fetcher: &FetcherFigures, shutdown: &CancellationToken) {
    let mut view = View::default();
    let mut leaders_due = Instant::now() + LEADERS_EVERY;
    while sleep(LOOK_EVERY, shutdown).await.is_ok() {
        let Ok(entries) = view.look(store).await else { continue };
        let mut text = view.take(entries);
        if let Some(hour) = view.hour.filter(|_| Instant::now() >= leaders_due) {
            leaders_due = Instant::now() + LEADERS_EVERY;
            if let Ok(leaders) = store.leaderboard(hour, LEADERS).await {
                text.push_str(&leaderboard(hour, &leaders));
            }
            text.push_str(&sources(fetcher.sources().summary()));
        }
        // A closed pipe ends the watching, not the pipeline.
        if stdout().write_all(text.as_bytes()).await.is_err() || stdout().flush().await.is_err() {
            return;
        }
    }
}

/// The position in the stream, and the events that wait to be shown.
#[derive(Default)]
struct View {
    /// The id of the last entry read.
    place: Option<String>,
    /// Read and not shown yet.
    waiting: VecDeque<StreamEntry>,
    /// The hour of the newest event.
    hour: Option<Hour>,
}

impl View {
    /// The events since the last look; at first, the newest ones.
    async fn look(&mut self, store: &Store) -> Result<Vec<StreamEntry>, Fault> {
        let entries = match &self.place {
            Some(after) => store.stream_after(after, READ_MAX).await?,
            None => store.stream_newest(HISTORY).await?,
        };
        if let Some(newest) = entries.last() {
            self.place = Some(newest.id.clone());
        }
        Ok(entries)
    }

    /// Takes new events, and returns the lines to show now.
    fn take(&mut self, entries: Vec<StreamEntry>) -> String {
        self.hour = entries.last().and_then(|newest| headline(newest).hour()).or(self.hour);
        self.waiting.extend(entries);
        let too_many = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..too_many);
        let now = self.waiting.len().div_ceil(SHARE_PER_LOOK).min(LINES_PER_LOOK_MAX);
        let mut text: String = self.waiting.drain(..now).map(|entry| line(&entry)).collect();
        if too_many > 0 {
            text.push_str(&format!("… and {too_many} more\n"));
        }
        text
    }
}

fn headline(entry: &StreamEntry) -> Headline {
    Headline::from_fields(|name| entry.fields.get(name).map(String::as_str))
}

fn line(entry: &StreamEntry) -> String {
    let Headline { kind, created_at, actor, repo } = headline(entry);
    let (kind, actor) = (Escaped(&kind).to_string(), Escaped(&actor).to_string());
    format!("{}  {kind:<30} {actor:<24} {}\n", Escaped(&created_at), Escaped(&repo))
}

fn leaderboard(hour: Hour, leaders: &[DeveloperScore]) -> String {
    let mut text = format!("──── top developers of {hour} UTC ────\n");
    for DeveloperScore { login, score } in leaders {
        text.push_str(&format!("{score:>8}  {}\n", Escaped(login)));
    }
    if leaders.is_empty() {
        text.push_str("          nobody has scored yet\n");
    }
    text
}

/// A line about several sources: how many there are, how many are well, and their coverage.
fn sources(summary: Option<(usize, usize, f64)>) -> String {
    let Some((total @ 2.., well, coverage)) = summary else { return String::new() };
    let percent = (coverage * 1000.0).floor() / 10.0;
    format!("──── sources: {well} of {total} well, coverage {percent} % ────\n")
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
    fn hostile_text_is_shown_escaped() {
        let text = View::default().take(vec![entry("Push\x07Event")]);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(text.contains(r"Push\u{7}Event") && text.contains(r"a\u{1b}[2J"), "{text}");
    }

    #[test]
    fn a_polls_events_flow_by_and_of_a_flood_the_oldest_are_counted() {
        let mut view = View::default();
        assert_eq!(view.take(vec![entry("PushEvent"); 300]).lines().count(), 8);
        assert_eq!(view.hour.unwrap().to_string(), "2026-01-01-00");
        let looks =
            std::iter::from_fn(|| Some(view.take(Vec::new()))).take_while(|text| !text.is_empty()).count();
        assert!((40..400).contains(&looks), "{looks}");
        assert!(view.take(vec![entry("PushEvent"); 1500]).ends_with("… and 500 more\n"));
    }

    #[test]
    fn several_sources_have_a_line_and_one_has_none() {
        assert_eq!((sources(None), sources(Some((1, 1, 0.1)))), Default::default());
        let line = "──── sources: 1998 of 2000 well, coverage 99.2 % ────\n";
        assert_eq!(sources(Some((2000, 1998, 0.9929))), line);
    }

    #[test]
    fn leaders_are_named_with_their_points() {
        let leaders = [DeveloperScore { login: "x\n".into(), score: 12 }];
        assert!(leaderboard("2026-01-01-00".parse().unwrap(), &leaders).contains("12  x\\u{a}\n"));
    }
}
