//! The fetcher's memory in its saved form: one JSON document. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::feed::Feed;
use super::memory::TAIL_MIN;
use super::schedule::FEW_SOURCES;
use crate::gap::GapRecord;
use crate::lack::Lack;

/// Marks of events kept over all sources, to recognise them after a restart: 2 MiB.
const MARKS_MAX: usize = 200_000;
const MARKS_OF_SOURCE_MAX: usize = 300;
/// Saving every 3 s reaches this after 400 million years.
const REVISION_MAX: u64 = 1 << 52;
/// Sources that are kept though this fetcher does not poll them: they may come back.
const OTHERS_MAX: usize = 1000;

/// The memory that a fetcher continues from. Members are only ever added.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Grows with each save.
    pub(super) revision: u64,
    /// Each source as its feed wrote it, by name. Read one by one, so that damage to one does not cost the others.
    #[serde(default)]
    pub(super) sources: BTreeMap<String, Box<RawValue>>,
    /// Events that the archive lacks and does not have on record yet.
    #[serde(default)]
    pub(super) archive_lack: Option<Lack>,
    /// Events that the archive has confirmed, in the same form. If the archive is deleted, it lacks them.
    #[serde(default)]
    pub(super) archived: Option<Lack>,
    /// Gaps that are not recorded in their queue yet.
    #[serde(default)]
    pub(super) gaps: Vec<GapRecord>,
}

impl Remembered {
    /// The newest of several memories. Messages that are not a memory are logged and left out.
    pub(super) fn newest(bodies: &[Vec<u8>]) -> Self {
        let parsed = bodies.iter().filter_map(|body| match Self::parse(body) {
            Ok(remembered) => Some(remembered),
            Err(why) => {
                tracing::error!(
                    "the queue of the fetcher's memory holds a message that is not a memory, which is dropped: {why}"
                );
                None
            }
        });
        parsed.max_by_key(|remembered| remembered.revision).unwrap_or_default()
    }

    fn parse(body: &[u8]) -> Result<Self, String> {
        let remembered: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if remembered.revision > REVISION_MAX {
            return Err(format!("no fetcher saves {} times", remembered.revision));
        }
        Ok(remembered)
    }

    /// Its JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        // Strings and numbers into memory: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Adds those sources of `older` that this one does not have.
    pub(super) fn keep_others(&mut self, older: &BTreeMap<String, Box<RawValue>>) {
        let others = older.iter().filter(|(source, _)| !self.sources.contains_key(*source)).take(OTHERS_MAX);
        let others: Vec<_> = others.map(|(source, raw)| (source.clone(), raw.clone())).collect();
        self.sources.extend(others);
    }
}

/// How many marks each of so many sources keeps at most. Few keep the marks of all events that GitHub shows. Of many, each keeps
/// those of its last hours.
pub(super) fn marks_of_each(sources: usize) -> usize {
    (MARKS_MAX / sources.max(1)).clamp(TAIL_MIN, MARKS_OF_SOURCE_MAX)
}

/// The memory of a feed, one of so many, as JSON. None if it cannot be written, which does not happen: it is plain values.
pub(super) fn raw(feed: &Feed, sources: usize) -> Option<Box<RawValue>> {
    let marks_max = marks_of_each(sources);
    let is_few = sources <= FEW_SOURCES;
    let snapshot = if is_few { feed.snapshot(marks_max) } else { feed.short_snapshot(marks_max) };
    serde_json::value::to_raw_value(&snapshot).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(revision: u64, sources: &[&str]) -> Remembered {
        let raw = || RawValue::from_string("{}".into()).unwrap();
        let sources = sources.iter().map(|source| ((*source).to_owned(), raw())).collect();
        Remembered { revision, sources, ..Remembered::default() }
    }

    #[test]
    fn the_newest_memory_wins_and_garbage_does_not_matter() {
        let bodies =
            [remembered(2, &["a"]).json(), b"garbage".to_vec(), remembered(3, &["b"]).json(), b"{}".to_vec()];
        let newest = Remembered::newest(&bodies);
        assert_eq!((newest.revision, newest.sources.contains_key("b")), (3, true));
        assert_eq!(Remembered::newest(&[]).revision, 0);
        let forged = remembered(u64::MAX, &["c"]).json();
        assert_eq!(Remembered::newest(&[forged, remembered(3, &["b"]).json()]).revision, 3);
    }

    #[test]
    fn sources_that_are_not_polled_now_are_kept() {
        let mut now = remembered(2, &["a"]);
        now.keep_others(&remembered(1, &["a", "b"]).sources);
        assert_eq!(now.sources.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn few_sources_keep_whole_pages_and_thousands_a_few_marks() {
        assert_eq!([1, 100, 1000, 3000, 20_000].map(marks_of_each), [300, 300, 200, 66, 16]);
    }
}
