//! The files of GH Archive that may hold a gap's events, and whether the gap can be filled from them. Pure.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use super::gap_search::Searched;
use crate::event::{Event, Hour, HourName};
use crate::gap::GapRecord;
use crate::source::Source;

/// Hours by which an event's file can be later than the event.
const LATE_HOURS: i64 = 6;
/// The years of gaps that are accepted: GH Archive begins in the first, and time arithmetic works up to the last.
const YEARS: std::ops::RangeInclusive<i32> = 2011..=9999;
const LONGEST: TimeDelta = TimeDelta::days(366);

/// Why a gap that is too early or too long is not filled, and the remedy.
pub(super) const OUT_OF_REACH: &str =
    "it begins before GH Archive, or is longer than a year; publish its hours with replay gharchive";

/// A gap, read from its record.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) record: GapRecord,
    pub(super) searched: Searched,
    source: Source,
}

/// Why a message of the queue is no gap to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoGap {
    /// It is no record of a gap, for this reason.
    NoRecord(String),
    /// No replay fills it: it begins before GH Archive, or is longer than a year.
    OutOfReach(Box<GapRecord>),
}

impl Gap {
    /// Reads a record from the queue.
    ///
    /// # Errors
    /// The reason why the body is no gap to fill.
    pub(super) fn parse(body: &[u8]) -> Result<Self, NoGap> {
        let record = GapRecord::parse(body).map_err(NoGap::NoRecord)?;
        // Each hour of a gap is a request to GH Archive, so a record must not ask for too many.
        if !YEARS.contains(&record.from.year())
            || !YEARS.contains(&record.to.year())
            || record.to - record.from > LONGEST
        {
            return Err(NoGap::OutOfReach(Box::new(record)));
        }
        let no_source = |why| NoGap::NoRecord(format!("source '{}' {why}", record.source));
        let source = record.source.parse().map_err(no_source)?;
        Ok(Self { searched: Searched::of(body), record, source })
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The number of its repository, if the record has it. It stays when the repository is renamed.
    pub(super) fn repository_id(&self) -> Option<u64> {
        self.record.repo_id
    }

    /// When it is over: it includes `to`, which is a whole second.
    pub(super) fn end(&self) -> DateTime<Utc> {
        self.record.to + TimeDelta::seconds(1)
    }

    /// True if the gap may have missed `event`.
    pub(super) fn wants(&self, event: &Event) -> bool {
        event.created() >= self.record.from && event.created() < self.end() && self.is_of(event)
    }

    /// True for an event of the source. An event names its repository as it was called then, so the number decides if both have it:
    /// the repository may have been renamed since, and another one may have its old name.
    fn is_of(&self, event: &Event) -> bool {
        match (&self.source, self.repository_id(), event.repo_id()) {
            (Source::Repository(_), Some(own), Some(of_event)) => own == of_event,
            _ => self.source.shows(event),
        }
    }

    /// True if the file of this hour may hold its events: see [`Self::hours`].
    pub(super) fn may_be_in(&self, file: Hour) -> bool {
        file >= Hour::of(self.record.from) && file <= Hour::of(self.record.to).plus(LATE_HOURS)
    }

    /// The hours whose files may hold its events.
    pub(super) fn hours(&self) -> impl Iterator<Item = Hour> + use<> {
        self.own_hours().chain((1..=LATE_HOURS).map({
            let last = Hour::of(self.record.to);
            move |later| last.plus(later)
        }))
    }

    /// The hours of the gap itself. Without their files, little or nothing of it can be filled.
    fn own_hours(&self) -> impl Iterator<Item = Hour> + use<> {
        Hour::of(self.record.from).through(Hour::of(self.record.to))
    }

    /// The state of the gap at `now`.
    pub(super) fn state(&self, files: &Files, now: DateTime<Utc>) -> GapState {
        if self.is_searched() {
            return self.state_after_search(files);
        }
        if self.hours().any(|hour| files.unknown.contains(&hour)) {
            return GapState::Unknown;
        }
        let missing: Vec<Hour> = self.hours().filter(|hour| !files.there.contains(hour)).collect();
        if let Some(hour) = missing.iter().find(|hour| may_still_come(**hour, files.patience, now)) {
            return GapState::Waits(*hour);
        }
        let own: Vec<Hour> = self.own_hours().collect();
        if own.iter().all(|hour| missing.contains(hour)) {
            GapState::Impossible(list(&own))
        } else {
            self.fillable(&missing)
        }
    }

    /// The state of a gap that can be filled, without the files that are `missing`.
    pub(super) fn fillable(&self, missing: &[Hour]) -> GapState {
        match missing {
            [] => self.source.unrecognised().map_or(GapState::Whole, |why| GapState::InPart(why.into())),
            missing => GapState::InPart(format!("GH Archive has no file for {}", list(missing))),
        }
    }
}

fn list(hours: &[Hour]) -> String {
    hours.iter().map(|hour| HourName(*hour).to_string()).collect::<Vec<_>>().join(", ")
}

/// Which files exist.
#[derive(Default)]
pub(super) struct Files {
    /// Hours of which some mirror has a file.
    pub(super) there: BTreeSet<Hour>,
    /// Files for which GH Archive did not answer in time.
    pub(super) unknown: BTreeSet<Hour>,
    /// For gaps that were searched before: files, with the place of the mirror that has them.
    pub(super) again: HashSet<(usize, Hour)>,
    /// How long after its hour a file may still appear.
    pub(super) patience: Duration,
    /// The names of the mirrors.
    pub(super) mirrors: Vec<String>,
}

/// True while an hour's file may still appear, or a new one in place of a damaged one.
pub(super) fn may_still_come(hour: Hour, patience: Duration, now: DateTime<Utc>) -> bool {
    // A patience that is too long to add means to wait for ever.
    TimeDelta::from_std(patience)
        .ok()
        .and_then(|patience| hour.end().checked_add_signed(patience))
        .is_none_or(|end| now < end)
}

/// The state of a gap: whether it can be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GapState {
    /// It can be filled: every file exists.
    Whole,
    /// It can be filled in part, for the reason in the text.
    InPart(String),
    /// It waits for this file, which does not exist yet.
    Waits(Hour),
    /// It cannot be filled: its hours have no files, and none will come.
    Impossible(String),
    /// GH Archive did not answer.
    Unknown,
    /// All its files of all mirrors were read, and hold no event of it.
    Lacked,
    /// The files that were read hold no event of it. Of these mirrors, not all files were read.
    LackedSoFar(String),
}

impl GapState {
    /// True if events can be published now.
    pub(super) fn can_be_filled(&self) -> bool {
        matches!(self, Self::Whole | Self::InPart(_))
    }

    /// True if files were read, and no mirror has more.
    pub(super) fn is_lacked(&self) -> bool {
        matches!(self, Self::Lacked | Self::LackedSoFar(_))
    }
}

impl fmt::Display for GapState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("can be filled"),
            Self::InPart(why) => write!(f, "can be filled in part: {why}"),
            Self::Waits(hour) => write!(f, "waits for {}.json.gz", HourName(*hour)),
            Self::Impossible(hours) => write!(f, "cannot be filled: GH Archive has no file for {hours}"),
            Self::Unknown => f.write_str("unknown: GH Archive not reachable"),
            Self::Lacked => f.write_str("GH Archive lacks it too: its files hold no event of it"),
            Self::LackedSoFar(open) => write!(
                f,
                "GH Archive lacks it so far: not all files of {open} were read, and those that were hold no event of it"
            ),
        }
    }
}

/// The hours whose files may fill `gaps`.
pub(super) fn hours_of<'a>(gaps: impl IntoIterator<Item = &'a Gap>) -> BTreeSet<Hour> {
    gaps.into_iter().flat_map(Gap::hours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(source: &str, from: &str, to: &str) -> Gap {
        let json = format!(
            r#"{{"source":"{source}","from":"2026-01-01T{from}Z","to":"2026-01-01T{to}Z","seconds":1,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}}"#
        );
        Gap::parse(json.as_bytes()).unwrap()
    }

    fn names(hours: impl Iterator<Item = Hour>) -> Vec<String> {
        hours.map(|hour| HourName(hour).to_string()).collect()
    }

    #[test]
    fn a_gap_needs_the_files_of_its_hours_and_of_six_later_ones() {
        assert_eq!(
            names(gap("events", "17:59:59", "18:00:01").hours()),
            ["17", "18", "19", "20", "21", "22", "23", "0"].map(|hour| match hour {
                "0" => "2026-01-02-0".to_owned(),
                hour => format!("2026-01-01-{hour}"),
            })
        );
        let both = [gap("events", "01:00:00", "01:00:01"), gap("events", "02:59:00", "02:59:01")];
        assert_eq!(
            names(hours_of(&both).into_iter()).join(" "),
            (1..9).map(|hour| format!("2026-01-01-{hour}")).collect::<Vec<_>>().join(" ")
        );
        let may_be_in = |hour: &str| both[1].may_be_in(hour.parse().unwrap());
        assert_eq!(
            ["2026-01-01-01", "2026-01-01-02", "2026-01-01-08", "2026-01-01-09"].map(may_be_in),
            [false, true, true, false]
        );
    }

    #[test]
    fn a_gap_is_filled_when_all_files_are_there_and_says_what_is_in_the_way() {
        let gap = gap("events", "12:00:00", "12:59:59");
        let all: BTreeSet<Hour> = gap.hours().collect();
        let without = |hour: &str| {
            all.iter()
                .copied()
                .filter(|one| HourName(*one).to_string() != format!("2026-01-01-{hour}"))
                .collect()
        };
        let at = |there: BTreeSet<Hour>, now: &str| {
            let files = Files { there, patience: Duration::from_secs(3 * 24 * 3600), ..Files::default() };
            gap.state(&files, now.parse().unwrap()).to_string()
        };
        assert_eq!(at(all.clone(), "2026-01-01T20:00:00Z"), "can be filled");
        assert_eq!(at(without("15"), "2026-01-01T20:00:00Z"), "waits for 2026-01-01-15.json.gz");
        assert_eq!(at(without("15"), "2026-01-04T15:59:59Z"), "waits for 2026-01-01-15.json.gz");
        assert_eq!(
            at(without("15"), "2026-01-04T16:00:00Z"),
            "can be filled in part: GH Archive has no file for 2026-01-01-15"
        );
        assert_eq!(
            at(without("12"), "2026-02-01T00:00:00Z"),
            "cannot be filled: GH Archive has no file for 2026-01-01-12"
        );
    }

    #[test]
    fn of_a_gap_whose_files_nobody_knows_nothing_is_said() {
        let gap = gap("events", "12:00:00", "12:00:01");
        let (mut there, mut unknown): (BTreeSet<Hour>, _) = (gap.hours().collect(), BTreeSet::new());
        unknown.extend(there.pop_last());
        let files = Files { there, unknown, ..Files::default() };
        let state = gap.state(&files, Utc::now());
        assert_eq!(state.to_string(), "unknown: GH Archive not reachable");
        assert!(!state.can_be_filled());
    }

    #[test]
    fn only_events_of_the_feed_inside_the_gap_are_wanted() {
        let event = |at: &str| {
            format!(
                r#"{{"id":"1","type":"A","created_at":"2026-01-01T{at}Z","actor":{{"login":"Me"}},"repo":{{"name":"o/R"}},"org":{{"login":"o"}}}}"#
            )
        };
        let wants = |source: &str, at: &str| {
            gap(source, "12:00:10", "12:00:20").wants(&Event::parse(event(at).as_bytes()).unwrap())
        };
        for (at, expected) in [
            ("12:00:09", false),
            ("12:00:10", true),
            ("12:00:20", true),
            ("12:00:20.9", true),
            ("12:00:21", false),
        ] {
            assert_eq!(wants("events", at), expected, "{at}");
        }
        for (source, expected) in [
            ("repos/o/r", true),
            ("repos/o/x", false),
            ("networks/O/R", true),
            ("orgs/O", true),
            ("orgs/x", false),
            ("users/me", true),
            ("users/o", false),
        ] {
            assert_eq!(wants(source, "12:00:15"), expected, "{source}");
        }
    }

    #[test]
    fn the_number_of_a_repository_decides_if_record_and_event_have_it_since_names_change() {
        let gap = |number: &str| {
            let json = format!(
                r#"{{"source":"repos/o/old","from":"2026-01-01T12:00:00Z","to":"2026-01-01T12:00:09Z","seconds":9,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300{number}}}"#
            );
            Gap::parse(json.as_bytes()).unwrap()
        };
        let event = |repo: &str| {
            format!(r#"{{"id":"1","type":"A","created_at":"2026-01-01T12:00:01Z","repo":{repo}}}"#)
        };
        for (repo, by_number, by_name) in [
            (r#"{"id":7,"name":"o/old"}"#, true, true),
            (r#"{"id":7,"name":"o/new"}"#, true, false),
            (r#"{"id":8,"name":"o/old"}"#, false, true),
            (r#"{"name":"O/OLD"}"#, true, true),
            (r#"{"name":"o/new"}"#, false, false),
        ] {
            let body = event(repo);
            let event = Event::parse(body.as_bytes()).unwrap();
            assert_eq!(gap(r#","repo_id":7"#).wants(&event), by_number, "{repo}");
            assert_eq!(gap("").wants(&event), by_name, "{repo}");
        }
    }

    #[test]
    fn a_record_that_no_fetcher_can_have_written_is_refused() {
        let parse = |from: &str, to: &str| {
            let json = format!(
                r#"{{"source":"events","from":"{from}","to":"{to}","seconds":1,"detected_at":"2026-01-01T12:02:00Z","events_in_poll":300}}"#
            );
            Gap::parse(json.as_bytes()).map(drop)
        };
        assert_eq!(parse("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), Ok(()));
        for (from, to) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"),
            ("2015-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2015-01-01T00:00:00Z", "+262142-12-31T23:59:59Z"),
            ("+262142-12-31T23:59:58Z", "+262142-12-31T23:59:59Z"),
        ] {
            assert!(matches!(parse(from, to), Err(NoGap::OutOfReach(_))), "{from} {to}");
        }
    }

    #[test]
    fn a_network_is_filled_in_part_only() {
        let gap = gap("networks/o/r", "12:00:00", "12:00:01");
        let files = Files { there: gap.hours().collect(), ..Files::default() };
        assert!(matches!(gap.state(&files, Utc::now()), GapState::InPart(why) if why.contains("forks")));
    }
}
