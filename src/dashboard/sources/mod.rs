//! The sources that the fetcher on duty polls, as it tells them. Pure, but for the answer.
//!
//! The fetcher repeats all sources within ten seconds, in parts. So a source that is not repeated is not polled any more, and a
//! dashboard that has just started knows all after ten seconds.

mod answer;
mod view;

pub(super) use answer::sources;

use std::collections::BTreeMap;
use std::mem::size_of;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::moment::Moment;
use crate::status::{SourceState, SourceStatus, SourcesPart};

/// Sources known at most, and their bytes. Anyone who may publish to the exchange could invent any number.
const SOURCES_MAX: usize = 20_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest name is that of a network, with 210. Longer texts are cut, longer names are refused.
const TEXT_CHARS_MAX: usize = 300;
const STATE_CHARS_MAX: usize = 40;
/// A source that is not repeated for so long, while others are, is not polled any more. That is three times the fetcher's round.
const REPEATED_WITHIN: Duration = Duration::from_secs(30);
/// The same while no fetcher tells anything: as long as programs are listed that have fallen silent.
const FORGET_AFTER: Duration = Duration::from_secs(120);

/// All sources, by name.
#[derive(Default)]
pub(super) struct Sources {
    known: BTreeMap<String, Known>,
    /// Of `known`, about.
    bytes: usize,
    listening_since: Option<Moment>,
    /// When the last part came, and since when parts have come without a long silence.
    heard: Option<Heard>,
    /// Sources that the fetcher says it polls.
    told: Option<u64>,
    budget_covers_all: Option<bool>,
}

struct Known {
    status: SourceStatus,
    heard_at: Moment,
}

#[derive(Clone, Copy)]
struct Heard {
    last: Moment,
    since: Moment,
}

impl Sources {
    /// Begins to listen, also again after RabbitMQ was away. Silence before `now` does not count.
    pub(super) fn begin_to_listen(&mut self, now: Moment) {
        self.listening_since = Some(now);
        self.heard = self.heard.map(|heard| Heard { since: now, ..heard });
    }

    /// Takes a part that came at `now`. A body that is no part is ignored.
    pub(super) fn hear(&mut self, body: &[u8], now: Moment) {
        let Ok(part) = serde_json::from_slice::<SourcesPart>(body) else { return };
        let since = self.heard.filter(|heard| now.since(heard.last) <= REPEATED_WITHIN);
        self.heard = Some(Heard { last: now, since: since.map_or(now, |heard| heard.since) });
        (self.told, self.budget_covers_all) = (Some(part.total), part.budget_covers_all);
        part.sources.into_iter().filter_map(checked).for_each(|status| self.know(status, now));
    }

    fn know(&mut self, status: SourceStatus, heard_at: Moment) {
        let before = self.known.get(&status.source);
        let bytes = self.bytes - before.map_or(0, |known| bytes_of(&known.status)) + bytes_of(&status);
        let has_room = before.is_some() || self.known.len() < SOURCES_MAX;
        if has_room && bytes <= BYTES_MAX {
            self.bytes = bytes;
            self.known.insert(status.source.clone(), Known { status, heard_at });
        }
    }

    /// Forgets sources that are not polled any more.
    pub(super) fn tick(&mut self, now: Moment) {
        let Some(heard) = self.heard else { return };
        let later = |one: Moment, other: Moment| if one.is_before(other) { other } else { one };
        let listening_since = self.listening_since;
        let is_forgotten = |known: &Known| {
            let silent_since = listening_since.map_or(known.heard_at, |since| later(since, known.heard_at));
            heard.last.since(later(heard.since, known.heard_at)) > REPEATED_WITHIN
                || now.since(silent_since) > FORGET_AFTER
        };
        let forgotten = self.known.extract_if(.., |_, known| is_forgotten(known));
        self.bytes -= forgotten.map(|(_, known)| bytes_of(&known.status)).sum::<usize>();
        if self.known.is_empty() && now.since(later(heard.since, heard.last)) > FORGET_AFTER {
            (self.told, self.budget_covers_all) = (None, None);
        }
    }

    /// When the last part came.
    fn heard_at(&self) -> Option<DateTime<Utc>> {
        self.heard.map(|heard| heard.last.at)
    }
}

fn bytes_of(status: &SourceStatus) -> usize {
    let texts = [&status.trouble, &status.moved_to].into_iter().flatten().map(String::len).sum::<usize>();
    size_of::<Known>() + 2 * status.source.len() + status.state.text().len() + texts
}

/// The status with texts and numbers within their limits. None if it has no name that a source can have.
fn checked(mut status: SourceStatus) -> Option<SourceStatus> {
    let cut = |text: &mut String, chars_max| {
        if let Some((end, _)) = text.char_indices().nth(chars_max) {
            text.truncate(end);
        }
    };
    if status.source.is_empty() || status.source.chars().nth(TEXT_CHARS_MAX).is_some() {
        return None;
    }
    [&mut status.trouble, &mut status.moved_to]
        .into_iter()
        .flatten()
        .for_each(|text| cut(text, TEXT_CHARS_MAX));
    if let SourceState::Other(text) = &mut status.state {
        cut(text, STATE_CHARS_MAX);
    }
    status.coverage = status.coverage.map(|part| part.clamp(0.0, 1.0));
    status.events_per_hour = status.events_per_hour.map(|rate| rate.clamp(0.0, 1e9));
    status.weight = status.weight.clamp(0.0, 1e9);
    Some(status)
}

#[cfg(test)]
mod tests;
