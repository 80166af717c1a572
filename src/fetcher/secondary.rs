//! GitHub's secondary limits, which hold for all tokens: it counts them over everything that a client does.
//!
//! GitHub may answer a secondary limit with a plain 403, as it does for a blocked repository. So a refusal is taken for the
//! source's own, unless several sources are refused in a row.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Source;
use crate::duration::Rounded;
use crate::retry::doubled;

/// The first wait when GitHub limits us without saying for how long, as its documentation asks; doubled each time, up to the hour
/// that its limits last.
const LIMITED_WAIT_FIRST: Duration = Duration::from_secs(60);
const LIMITED_WAIT_MAX: Duration = Duration::from_secs(3600);
/// If so many different sources that answered before are refused in a row, this is taken for a limit of all requests. Further
/// requests would prolong the limit.
const REFUSED_IN_A_ROW_MAX: usize = 3;
/// The same for sources that never answered, as long as no source has. They may just as well be refused for good.
const REFUSED_AT_FIRST_MAX: usize = 10;

/// GitHub's secondary limits, by its last answers to any token.
#[derive(Default)]
pub(super) struct SecondaryLimit {
    closed_until: Option<Instant>,
    limited_in_a_row: u32,
    /// The sources whose last answer was good.
    good: HashSet<Source>,
    /// Some source has given a good answer.
    has_answered: bool,
    /// The different sources that were refused since the last good answer, or since that closed us, and that count.
    refused: Vec<Source>,
}

impl SecondaryLimit {
    /// Closes for the time that GitHub asks for. If it asks for none: a minute, and twice as long each further time.
    pub(super) fn limit(&mut self, asked: Option<Duration>, now: Instant) {
        self.limited_in_a_row = self.limited_in_a_row.saturating_add(1);
        let growing = || doubled(LIMITED_WAIT_FIRST, self.limited_in_a_row, LIMITED_WAIT_MAX);
        let wait = asked.unwrap_or_else(growing);
        self.close_until(now + wait);
    }

    /// Notes a good answer about `source`.
    pub(super) fn answer(&mut self, source: &Source) {
        self.limited_in_a_row = 0;
        self.refused.clear();
        self.has_answered = true;
        if !self.good.contains(source) {
            self.good.insert(source.clone());
        }
    }

    /// Notes that `source` was refused. A single refused source concerns only that source. Several in a row that answered before
    /// close all.
    pub(super) fn refuse(&mut self, source: &Source, now: Instant) {
        let was_good = self.good.remove(source);
        if (self.has_answered && !was_good) || self.refused.contains(source) {
            return;
        }
        self.refused.push(source.clone());
        let enough = if self.has_answered { REFUSED_IN_A_ROW_MAX } else { REFUSED_AT_FIRST_MAX };
        if self.refused.len() < enough {
            return;
        }
        if self.has_answered {
            self.limit(None, now);
        } else {
            // The wait does not grow: the sources that were not asked yet may be well.
            self.close_until(now + LIMITED_WAIT_FIRST);
        }
        let refused: Vec<_> = self.refused.drain(..).map(|source| source.to_string()).collect();
        let (refused, wait) = (refused.join(", "), self.closed_for(now).unwrap_or_default());
        tracing::warn!(
            refused,
            wait_s = wait.as_secs(),
            "GitHub refused {refused}, one after the other: this is taken for a limit of all requests; no source is polled \
             for {}",
            Rounded(wait)
        );
    }

    /// Forgets a source that is no longer polled.
    pub(super) fn forget(&mut self, source: &Source) {
        self.good.remove(source);
        self.refused.retain(|refused| refused != source);
    }

    /// How long no source may be polled. None if sources may be polled.
    pub(super) fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.closed_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    fn close_until(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(Some(until));
    }
}
