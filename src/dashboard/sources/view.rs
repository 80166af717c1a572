//! What an answer shows of the sources: a part of them in an order, and figures over all. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use crate::status::{SourceState, SourceStatus};

/// Which sources an answer shows.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// In lower case; sources whose name contains it.
    pub(super) search: Option<String>,
    /// Labels of states. All if empty.
    pub(super) states: Vec<&'static str>,
    pub(super) sort: SortBy,
    pub(super) descending: bool,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// Orders of the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SortBy {
    /// Sources with trouble first, then those with the least coverage.
    #[default]
    Worst,
    Source,
    State,
    Weight,
    EventsPerHour,
    LastPollAt,
    NextPollAt,
    NewestEventAt,
    Coverage,
    Gaps,
    GapSeconds,
    Events,
    Token,
}

impl SortBy {
    /// All of them, by the values of `sort`.
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("worst", Self::Worst),
        ("source", Self::Source),
        ("state", Self::State),
        ("weight", Self::Weight),
        ("events_per_hour", Self::EventsPerHour),
        ("last_poll_at", Self::LastPollAt),
        ("next_poll_at", Self::NextPollAt),
        ("newest_event_at", Self::NewestEventAt),
        ("coverage", Self::Coverage),
        ("gaps", Self::Gaps),
        ("gap_seconds", Self::GapSeconds),
        ("events", Self::Events),
        ("token", Self::Token),
    ];

    fn compare(self, a: &SourceStatus, b: &SourceStatus, descending: bool) -> Ordering {
        let by = match self {
            Self::Worst => ordered(Some((badness(a), share(a))), Some((badness(b), share(b))), descending),
            Self::Source => ordered(Some(&a.source), Some(&b.source), descending),
            Self::State => ordered(Some(a.state.text()), Some(b.state.text()), descending),
            Self::Weight => ordered(Some(a.weight), Some(b.weight), descending),
            Self::EventsPerHour => ordered(a.events_per_hour, b.events_per_hour, descending),
            Self::LastPollAt => ordered(a.last_poll_at, b.last_poll_at, descending),
            Self::NextPollAt => ordered(a.next_poll_at, b.next_poll_at, descending),
            Self::NewestEventAt => ordered(a.newest_event_at, b.newest_event_at, descending),
            Self::Coverage => ordered(a.coverage, b.coverage, descending),
            Self::Gaps => ordered(Some(a.gaps), Some(b.gaps), descending),
            Self::GapSeconds => ordered(Some(a.gap_seconds), Some(b.gap_seconds), descending),
            Self::Events => ordered(Some(a.events), Some(b.events), descending),
            Self::Token => ordered(a.token, b.token, descending),
        };
        by.then_with(|| a.source.cmp(&b.source))
    }
}

/// Unknown values come last in both directions.
fn ordered<T: PartialOrd>(a: Option<T>, b: Option<T>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            // Numbers from JSON: none is not a number.
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The order of the worst: nothing comes of the source, it has another name, it waits for its first poll, it is polled.
fn badness(status: &SourceStatus) -> u8 {
    match &status.state {
        _ if status.blind => 0,
        SourceState::Polled => 3,
        SourceState::NeverPolled => 2,
        SourceState::Moved => 1,
        SourceState::Refused
        | SourceState::Missing
        | SourceState::Failing
        | SourceState::Stale
        | SourceState::Other(_) => 0,
    }
}

/// Coverage, or more than all where it is not known.
fn share(status: &SourceStatus) -> f64 {
    status.coverage.unwrap_or(2.0)
}

/// Figures over all sources.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(in super::super) struct Summary {
    pub(in super::super) total: usize,
    /// Polled, and nothing is wrong.
    pub(in super::super) well: usize,
    pub(in super::super) blind: usize,
    states: BTreeMap<&'static str, usize>,
    pub(in super::super) coverage: Coverage,
    /// The sum of the rates that are known. None if none is.
    events_per_hour: Option<f64>,
    budget_covers_all: Option<bool>,
}

/// Coverage over the sources where it is known.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(in super::super) struct Coverage {
    /// Each source counts the same.
    mean: Option<f64>,
    /// Each source counts by its rate: the share of events that are seen, about.
    by_events: Option<f64>,
    worst: Option<f64>,
}

impl Coverage {
    /// By events where rates are known, otherwise the mean.
    pub(in super::super) fn overall(&self) -> Option<f64> {
        self.by_events.or(self.mean)
    }
}

impl Sources {
    /// The chosen sources, and how many there are with other limits.
    pub(super) fn choose(&self, choice: &Choice) -> (usize, Vec<&SourceStatus>) {
        let mut chosen: Vec<_> =
            self.known.values().map(|known| &known.status).filter(|status| choice.takes(status)).collect();
        let matching = chosen.len();
        chosen.sort_unstable_by(|a, b| choice.sort.compare(a, b, choice.descending));
        let chosen = chosen.into_iter().skip(choice.offset).take(choice.limit).collect();
        (matching, chosen)
    }

    /// The figures over all sources.
    #[expect(clippy::cast_precision_loss, reason = "numbers of sources are small")]
    pub(in super::super) fn summary(&self) -> Summary {
        let mut summary = Summary { budget_covers_all: self.budget_covers_all, ..Summary::default() };
        let (mut shares, mut of_known, mut weighed, mut rates) = (0_usize, 0.0, 0.0, 0.0);
        for status in self.known.values().map(|known| &known.status) {
            summary.total += 1;
            summary.well += usize::from(status.is_well());
            summary.blind += usize::from(status.blind);
            *summary.states.entry(status.state.label()).or_default() += 1;
            if let Some(rate) = status.events_per_hour {
                *summary.events_per_hour.get_or_insert(0.0) += rate;
            }
            let Some(share) = status.coverage else { continue };
            (shares, of_known) = (shares + 1, of_known + share);
            let worst = summary.coverage.worst.get_or_insert(share);
            *worst = worst.min(share);
            if let Some(rate) = status.events_per_hour {
                (weighed, rates) = (weighed + share * rate, rates + rate);
            }
        }
        // Rates have two decimals. Their sum has no more.
        summary.events_per_hour = summary.events_per_hour.map(|sum| (sum * 100.0).round() / 100.0);
        summary.coverage.mean = (shares > 0).then(|| of_known / shares as f64);
        summary.coverage.by_events = (rates > 0.0).then(|| weighed / rates);
        summary
    }
}

impl Choice {
    fn takes(&self, status: &SourceStatus) -> bool {
        (self.states.is_empty() || self.states.contains(&status.state.label()))
            && self.search.as_ref().is_none_or(|text| status.source.to_lowercase().contains(text))
    }
}
