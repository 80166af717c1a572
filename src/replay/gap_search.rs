//! Searches for gaps of which no file held an event: which mirrors were read, and when another search is worth it. The records of the
//! gaps have it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::gap_plan::{Files, Gap, GapState};
use crate::event::Hour;
use crate::gap::GapRecord;

/// How long the record of a gap that GH Archive lacks stays after the last search. A mirror has this time to get the files, and a user
/// to name another mirror. Without an end, the queue and each round's work would grow for ever.
pub(super) const KEPT_DAYS: i64 = 90;

/// What a record has of searches that found nothing, besides [`GapRecord::lacked_by`].
///
/// ```json
/// {"searched_at":"2026-01-04T12:00:00Z","files_read":{"https://data.gharchive.org":6}}
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Searched {
    /// When the last search ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    searched_at: Option<DateTime<Utc>>,
    /// By the names of mirrors that are not in `lacked_by`: the number of the gap's files that were read whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files_read: BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    record: &'a GapRecord,
    #[serde(flatten)]
    searched: &'a Searched,
}

impl Searched {
    /// Reads it from the body of a record. Most have none.
    pub(super) fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

impl Gap {
    /// The body of its record.
    pub(super) fn json(&self) -> Vec<u8> {
        let whole = Whole { record: &self.record, searched: &self.searched };
        // Strings and numbers into memory: this cannot fail.
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    /// True if files were read for it before, and none held an event of it.
    pub(super) fn is_searched(&self) -> bool {
        self.searched.searched_at.is_some() || !self.record.lacked_by.is_empty()
    }

    /// The places of the `mirrors` that may have events of it: all but those whose files were all read.
    pub(super) fn open(&self, mirrors: &[String]) -> Vec<usize> {
        (0..mirrors.len()).filter(|place| !self.record.lacked_by.contains(&mirrors[*place])).collect()
    }

    /// The gap after a search that found no event. `read` has the hours whose files were read whole, for each of the `mirrors`.
    pub(super) fn after_search(
        &self,
        mirrors: &[String],
        read: &[BTreeSet<Hour>],
        now: DateTime<Utc>,
    ) -> Self {
        let mut after = self.clone();
        after.searched.searched_at = Some(now.trunc_subsecs(0));
        let all = self.hours().count();
        for place in self.open(mirrors) {
            let name = &mirrors[place];
            let files = self.hours().filter(|hour| read[place].contains(hour)).count();
            if files == all {
                after.searched.files_read.remove(name);
                after.record.lacked_by.push(name.clone());
            } else if files > self.files_read_of(name) {
                after.searched.files_read.insert(name.clone(), files);
            }
        }
        after
    }

    fn files_read_of(&self, mirror: &str) -> usize {
        self.searched.files_read.get(mirror).copied().unwrap_or_default()
    }

    /// The state of a gap that [`Self::is_searched`]: it can be filled again once a mirror has more of its files than were read.
    pub(super) fn state_after_search(&self, files: &Files) -> GapState {
        let has = |place: usize, hour: &Hour| files.again.contains(&(place, *hour));
        let has_more = |place: &usize| {
            let there = self.hours().filter(|hour| has(*place, hour)).count();
            there > self.files_read_of(&files.mirrors[*place])
        };
        let open = self.open(&files.mirrors);
        if !open.iter().any(has_more) {
            return self.lacked(&files.mirrors);
        }
        if !self.record.lacked_by.is_empty() {
            return self.fillable(&[]);
        }
        let is_missing = |hour: &Hour| !open.iter().any(|place| has(*place, hour));
        self.fillable(&self.hours().filter(is_missing).collect::<Vec<_>>())
    }

    /// The state of a gap that has been searched, while no mirror has more files.
    pub(super) fn lacked(&self, mirrors: &[String]) -> GapState {
        let open: Vec<&str> = self.open(mirrors).into_iter().map(|place| mirrors[place].as_str()).collect();
        if open.is_empty() { GapState::Lacked } else { GapState::LackedSoFar(open.join(", ")) }
    }

    /// True if its last search was so long ago that the record goes.
    pub(super) fn is_given_up(&self, now: DateTime<Utc>) -> bool {
        let since = self.searched.searched_at.unwrap_or(self.record.to);
        since.checked_add_signed(TimeDelta::days(KEPT_DAYS)).is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NAMES: [&str; 2] = ["a", "b"];

    fn gap() -> Gap {
        let json = r#"{"source":"repos/o/r","from":"2026-01-01T12:00:00Z","to":"2026-01-01T12:00:01Z","seconds":1,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}"#;
        Gap::parse(json.as_bytes()).unwrap()
    }

    fn names() -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    fn now() -> DateTime<Utc> {
        "2026-01-04T12:00:00Z".parse().unwrap()
    }

    /// The gap, read from its record, after a search in which both mirrors had so many files.
    fn searched(gap: &Gap, files: [usize; 2]) -> Gap {
        let read = files.map(|files| gap.hours().take(files).collect());
        Gap::parse(&gap.after_search(&names(), &read, now()).json()).unwrap()
    }

    /// Its state while both mirrors have so many files.
    fn state(gap: &Gap, files: [usize; 2]) -> GapState {
        let of = |place: usize| gap.hours().take(files[place]).map(move |hour| (place, hour));
        let again: HashSet<_> = of(0).chain(of(1)).collect();
        gap.state(&Files { again, mirrors: names(), ..Files::default() }, now())
    }

    #[test]
    fn only_mirrors_whose_files_were_all_read_lack_a_gap_and_others_are_read_when_they_have_more() {
        let gap = gap();
        assert!(!gap.is_searched() && gap.record.lacked_by.is_empty());
        let one = searched(&gap, [7, 3]);
        assert_eq!((one.record.lacked_by.as_slice(), one.open(&names())), (&["a".to_owned()][..], vec![1]));
        assert_eq!(one.record.id(), gap.record.id());
        assert_eq!(state(&one, [7, 3]), GapState::LackedSoFar("b".into()));
        assert_eq!(state(&one, [7, 2]), GapState::LackedSoFar("b".into()));
        assert_eq!(state(&one, [0, 4]), GapState::Whole);
        // A search in which a mirror did not answer takes nothing back.
        assert_eq!(state(&searched(&one, [0, 0]), [0, 3]), GapState::LackedSoFar("b".into()));
        let both = searched(&one, [0, 7]);
        assert_eq!(both.record.lacked_by, NAMES);
        assert_eq!(state(&both, [7, 7]), GapState::Lacked);
        assert!(!GapState::Lacked.can_be_filled() && !GapState::LackedSoFar(String::new()).can_be_filled());
    }

    #[test]
    fn a_gap_that_no_mirror_had_whole_says_what_is_missing_when_it_is_searched_again() {
        let gap = searched(&gap(), [3, 0]);
        assert_eq!(gap.record.lacked_by, [""; 0]);
        assert_eq!(state(&gap, [3, 0]), GapState::LackedSoFar("a, b".into()));
        assert!(matches!(state(&gap, [6, 0]), GapState::InPart(why) if why.ends_with("for 2026-01-01-18")));
        assert_eq!(state(&gap, [0, 7]), GapState::Whole);
    }

    #[test]
    fn a_record_goes_90_days_after_the_last_search() {
        let end = now() + TimeDelta::days(90);
        let gap = searched(&gap(), [7, 7]);
        assert!(!gap.is_given_up(end - TimeDelta::seconds(1)) && gap.is_given_up(end));
        let json = String::from_utf8(searched(&gap, [0, 3]).json()).unwrap();
        assert!(json.ends_with(r#""lacked_by":["a","b"],"searched_at":"2026-01-04T12:00:00Z"}"#), "{json}");
        let never = json.replace("2026-01-04T12:00:00Z", "+262142-12-31T00:00:00Z");
        assert!(!Gap::parse(never.as_bytes()).unwrap().is_given_up(now()));
    }
}
