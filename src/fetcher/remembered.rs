//! The fetcher's memory in its saved form: one JSON document. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::feed::Feed;
use super::memory::TAIL_MIN;
use super::schedule::FEW_SOURCES;
use crate::config::Source;
use crate::gap::GapRecord;
use crate::lack::Lack;

/// Marks of events kept over all sources, to recognise them after a restart: 2 MiB.
const MARKS_MAX: usize = 200_000;
const MARKS_OF_SOURCE_MAX: usize = 300;
/// Saving every 3 s reaches this after 400 million years.
const REVISION_MAX: u64 = 1 << 52;
/// Sources that are kept though this fetcher does not poll them, because they may come back: so many, or as many as are polled or
/// were until now if that is more. A list may be emptied by mistake.
const OTHERS_MIN: usize = 1000;
/// All sources together have no more bytes than this, or no others are kept: RabbitMQ 4 takes messages of 16 MiB at most.
const SOURCES_BYTES_MAX: usize = 12 * 1024 * 1024;

/// The memory that a fetcher continues from. Members are only ever added.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Grows with each save.
    pub(super) revision: u64,
    /// Each source as its feed wrote it, by name. Read one by one, so that damage to one does not cost the others.
    #[serde(default)]
    pub(super) sources: BTreeMap<Name, Box<RawValue>>,
    /// Those of them that are not polled any more, the first to leave first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<Name>,
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

/// The name of a source. Names that differ in upper and lower case only are the same, as everywhere at GitHub.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn of(source: &Source) -> Self {
        Self(source.to_string())
    }

    fn lower(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.lower().cmp(other.lower())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

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

    /// Adds those sources of `older` that this one does not poll. Of too many, it adds the last to leave.
    pub(super) fn keep_others(&mut self, older: &Self) {
        let is_away = |name: &&Name| !self.sources.contains_key(*name) && older.sources.contains_key(*name);
        let mut left_before = BTreeSet::new();
        let mut left: Vec<&Name> =
            older.left.iter().filter(|name| left_before.insert(*name)).filter(is_away).collect();
        let earlier = left.len();
        left.extend(older.sources.keys().filter(|name| is_away(name) && !left_before.contains(*name)));
        if left.len() > earlier {
            let polled_before = older.sources.len().saturating_sub(left_before.len());
            let others_max = OTHERS_MIN.max(polled_before).max(self.sources.len());
            left.drain(..left.len().saturating_sub(others_max));
        }
        let bytes_of = |name: &Name, raw: &RawValue| name.0.len() + raw.get().len();
        let mut bytes: usize = self.sources.iter().map(|(name, raw)| bytes_of(name, raw)).sum();
        let fits = |name: &&&Name| {
            bytes += bytes_of(name, &older.sources[**name]);
            bytes <= SOURCES_BYTES_MAX
        };
        let count = left.iter().rev().take_while(fits).count();
        left.drain(..left.len() - count);
        let others: Vec<_> =
            left.iter().map(|name| ((*name).clone(), older.sources[*name].clone())).collect();
        self.left = left.into_iter().cloned().collect();
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

    fn name(text: &str) -> Name {
        Name(text.to_owned())
    }

    fn remembered(revision: u64, sources: &[&str]) -> Remembered {
        of(revision, sources.iter().map(|source| name(source)), "{}")
    }

    fn of(revision: u64, sources: impl Iterator<Item = Name>, raw: &str) -> Remembered {
        let raw = || RawValue::from_string(raw.to_owned()).unwrap();
        Remembered { revision, sources: sources.map(|name| (name, raw())).collect(), ..Remembered::default() }
    }

    fn names(prefix: char, count: usize) -> impl Iterator<Item = Name> {
        (0..count).map(move |number| name(&format!("repos/{prefix}/{number}")))
    }

    #[test]
    fn the_newest_memory_wins_and_garbage_does_not_matter() {
        let bodies =
            [remembered(2, &["a"]).json(), b"garbage".to_vec(), remembered(3, &["b"]).json(), b"{}".to_vec()];
        let newest = Remembered::newest(&bodies);
        assert_eq!((newest.revision, newest.sources.contains_key(&name("b"))), (3, true));
        assert_eq!(Remembered::newest(&[]).revision, 0);
        let forged = remembered(u64::MAX, &["c"]).json();
        assert_eq!(Remembered::newest(&[forged, remembered(3, &["b"]).json()]).revision, 3);
    }

    /// The memory after these sources are polled in place of those of `before`, and read by the next process.
    fn then(before: &Remembered, polled: impl Iterator<Item = Name>) -> Remembered {
        let mut now = of(before.revision + 1, polled, r#"{"i":90}"#);
        now.keep_others(before);
        Remembered::newest(&[now.json()])
    }

    fn begin_with(memory: &Remembered, letter: char) -> usize {
        memory.sources.keys().filter(|name| name.0.starts_with(&format!("repos/{letter}/"))).count()
    }

    #[test]
    fn a_list_that_is_emptied_loses_nothing_and_of_many_that_leave_the_last_are_kept() {
        let mut memory = then(&Remembered::default(), names('n', 2_000));
        for _ in 0..3 {
            memory = then(&memory, names('n', 0));
            assert_eq!((memory.sources.len(), memory.left.len()), (2_000, 2_000), "all of them");
        }
        memory = then(&memory, names('n', 2_000));
        assert_eq!((memory.sources.len(), memory.left.len()), (2_000, 0), "they are back");
        memory = then(&memory, names('z', 30));
        memory = then(&memory, names('a', 20));
        assert_eq!(['a', 'n', 'z'].map(|letter| begin_with(&memory, letter)), [20, 970, 30]);
        assert_eq!(memory.left.len(), 1_000, "as many as a short list keeps");
        memory = then(&memory, names('z', 10));
        assert_eq!(
            ['a', 'n', 'z'].map(|letter| begin_with(&memory, letter)),
            [20, 960, 30],
            "the last to leave"
        );
    }

    #[test]
    fn a_name_in_another_case_is_the_same() {
        let memory = then(&remembered(1, &["repos/A/b", "orgs/x"]), [name("repos/a/B")].into_iter());
        assert_eq!((memory.sources.len(), memory.left.len()), (2, 1));
        assert_eq!(memory.sources[&name("REPOS/A/B")].get(), r#"{"i":90}"#, "what is polled counts");
        let json = String::from_utf8(memory.json()).unwrap();
        assert!(json.contains(r#""left":["orgs/x"]"#) && json.contains(r#""repos/a/B":{"#), "{json}");
    }

    #[test]
    fn the_whole_memory_fits_into_a_message_whatever_is_polled() {
        let raw = format!(r#"{{"e":"{}"}}"#, "x".repeat(1_500));
        let before = of(1, names('b', 5_000), &raw);
        for (polled, others) in [(0, 5_000), (4_500, 3_779), (9_000, 0)] {
            let mut now = of(2, names('p', polled), &raw);
            now.keep_others(&before);
            assert!(now.json().len() < 14_000_000, "{}", now.json().len());
            assert_eq!(begin_with(&now, 'b'), others, "{polled}");
        }
    }

    #[test]
    fn few_sources_keep_whole_pages_and_thousands_a_few_marks() {
        assert_eq!([1, 100, 1000, 3000, 20_000].map(marks_of_each), [300, 300, 200, 66, 16]);
    }
}
