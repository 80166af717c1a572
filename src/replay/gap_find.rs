//! Finds the gaps that an event belongs to, among thousands, and counts the events of each gap. Pure.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::gap_plan::Gap;
use crate::event::{Event, Hour, identity};
use crate::source::Source;

/// Events that are remembered, so that one that several files hold counts once. Events beyond count once for each file.
const EVENTS_MAX: usize = 900_000;

/// The gaps of one source, by their beginning.
#[derive(Default)]
struct OfSource {
    /// Places in the list of all gaps.
    gaps: Vec<usize>,
    /// For each of them, the latest end of this gap and those before it.
    latest_ends: Vec<DateTime<Utc>>,
}

/// Gaps, found by the names in an event, and the number of events found for each.
pub(super) struct Finder {
    gaps: Vec<Gap>,
    everything: OfSource,
    /// By the name in lower case, as GitHub compares names.
    repositories: HashMap<String, OfSource>,
    repository_ids: HashMap<u64, OfSource>,
    organisations: HashMap<String, OfSource>,
    users: HashMap<String, OfSource>,
    /// True if an event that was found once is not wanted again.
    each_once: bool,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    events: HashSet<u64>,
    /// For each gap.
    counts: Vec<u64>,
}

impl Finder {
    /// A finder for `gaps`. With `each_once`, an event that several files hold is wanted from the first of them only.
    pub(super) fn new(gaps: Vec<Gap>, each_once: bool) -> Self {
        let found = Mutex::new(Found { events: HashSet::new(), counts: vec![0; gaps.len()] });
        let mut finder = Self {
            everything: OfSource::default(),
            repositories: HashMap::new(),
            repository_ids: HashMap::new(),
            organisations: HashMap::new(),
            users: HashMap::new(),
            each_once,
            found,
            gaps: Vec::new(),
        };
        let mut order: Vec<usize> = (0..gaps.len()).collect();
        order.sort_by_key(|place| gaps[*place].record.from);
        for place in order {
            finder.enter(place, &gaps[place]);
        }
        finder.gaps = gaps;
        finder
    }

    /// Enters a gap. They come by their beginning.
    fn enter(&mut self, place: usize, gap: &Gap) {
        let named = |sources: &mut HashMap<String, OfSource>, name: &str| {
            sources.entry(name.to_ascii_lowercase()).or_default().push(place, gap.end());
        };
        match gap.source() {
            Source::Events => self.everything.push(place, gap.end()),
            Source::Repository(name) | Source::Network(name) => {
                named(&mut self.repositories, name);
                if let Some(id) = gap.repository_id() {
                    self.repository_ids.entry(id).or_default().push(place, gap.end());
                }
            }
            Source::Organisation(login) => named(&mut self.organisations, login),
            Source::User(login) => named(&mut self.users, login),
        }
    }

    /// True if the event, from the file of this hour, is wanted for some gap. Counts it for each gap that wants it.
    pub(super) fn wants(&self, event: &Event, file: Hour) -> bool {
        let created = event.created();
        let mut places = Vec::new();
        let mut look = |of_source: Option<&OfSource>| {
            let candidates =
                of_source.into_iter().flat_map(|of_source| of_source.around(created, &self.gaps));
            places.extend(
                candidates
                    .filter(|place| self.gaps[*place].may_be_in(file) && self.gaps[*place].wants(event)),
            );
        };
        look(Some(&self.everything));
        if !self.repositories.is_empty() {
            look(of_name(&self.repositories, event.repo_name()));
        }
        if !self.repository_ids.is_empty() {
            look(event.repo_id().and_then(|id| self.repository_ids.get(&id)));
        }
        if !self.organisations.is_empty() {
            look(of_name(&self.organisations, event.org_login()));
        }
        if !self.users.is_empty() {
            look(of_name(&self.users, event.actor_login()));
        }
        if places.is_empty() {
            return false;
        }
        // By its name and by its number, a gap may be found twice.
        places.sort_unstable();
        places.dedup();
        let mut found = self.found.lock();
        let is_first = found.is_first(identity(&event.id, created));
        if is_first {
            places.iter().for_each(|place| found.counts[*place] += 1);
        }
        is_first || !self.each_once
    }

    /// The gaps, each with the number of events found for it.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&Gap, u64)> {
        let counts = self.found.lock().counts.clone();
        self.gaps.iter().zip(counts)
    }
}

fn of_name<'a>(
    sources: &'a HashMap<String, OfSource>,
    name: Option<std::borrow::Cow<'_, str>>,
) -> Option<&'a OfSource> {
    sources.get(&name?.to_ascii_lowercase())
}

impl OfSource {
    fn push(&mut self, place: usize, end: DateTime<Utc>) {
        let latest = self.latest_ends.last().map_or(end, |before| end.max(*before));
        self.gaps.push(place);
        self.latest_ends.push(latest);
    }

    /// The gaps that may hold an event of this time: those that begin before it, back to where all have ended.
    fn around(&self, created: DateTime<Utc>, all: &[Gap]) -> impl Iterator<Item = usize> {
        let begun = self.gaps.partition_point(|place| all[*place].record.from <= created);
        let gaps = self.gaps[..begun].iter().zip(&self.latest_ends[..begun]).rev();
        gaps.take_while(move |(_, latest)| **latest > created).map(|(place, _)| *place)
    }
}

impl Found {
    fn is_first(&mut self, event: u64) -> bool {
        if self.events.len() < EVENTS_MAX { self.events.insert(event) } else { !self.events.contains(&event) }
    }
}

/// About how many events a gap had, if its source was as busy in it as afterwards. The poll that found the gap shows how busy it was
/// from the end of the gap to the poll. At least two: the fetcher saw the last event before the gap and the first one after it. None if that poll says nothing.
pub(super) fn expected(gap: &Gap) -> Option<u64> {
    let record = &gap.record;
    let polled_s = u64::try_from((record.detected_at - record.to).num_seconds()).ok().filter(|s| *s > 0)?;
    let events = u64::try_from(record.events_in_poll).ok().filter(|events| *events > 0)?;
    Some((events.saturating_mul(record.seconds) / polled_s).max(2))
}

#[cfg(test)]
mod tests;
