//! Finds out which files exist, and so the state of each gap.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::Utc;

use super::gap_fill::wanted;
use super::gap_plan::{Files, Gap, hours_of, may_still_come};
use super::gaps::{Filler, Planned};
use crate::event::Hour;
use crate::gharchive::{FetchError, Has};

/// How long to wait before a damaged file is fetched again. It has 0.1 GB, and GH Archive needs time to replace it.
const DAMAGED_AGAIN: Duration = Duration::from_secs(3600);
/// The same when `--patience` is over: hardly anyone will replace it.
const DAMAGED_LATE_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// How often `--watch` asks for files of gaps that were searched before. Each of their hours is a request.
pub(super) const SEARCHED_AGAIN: Duration = Duration::from_secs(3600);

impl Filler<'_> {
    /// Finds out the state of each gap now.
    pub(super) async fn plan(&self, gaps: Vec<Gap>) -> anyhow::Result<Vec<Planned>> {
        let now = Utc::now();
        let (mut there, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        // An hour that is not over has no file.
        let never_searched = gaps.iter().filter(|gap| !gap.is_searched());
        for hour in hours_of(never_searched).into_iter().filter(|hour| hour.end() <= now) {
            let hours = match self.mirrors.has(hour, &self.shutdown).await? {
                Has::Yes => &mut there,
                Has::Unknown => &mut unknown,
                Has::No => continue,
            };
            hours.insert(hour);
        }
        // Damaged files that may be replaced soon count as missing.
        there.retain(|hour| {
            !(self.is_damaged(*hour) && may_still_come(*hour, self.args.patience, Utc::now()))
        });
        let again = if self.looks_again { self.files_again(&gaps).await? } else { HashSet::new() };
        let files = Files { there, unknown, again, patience: self.args.patience, mirrors: self.names() };
        let plan = |gap: Gap| Planned { state: gap.state(&files, now), gap };
        Ok(gaps.into_iter().map(plan).collect())
    }

    /// The files of gaps that were searched before, at the mirrors that may have events of them. A mirror that does not answer is not
    /// asked again.
    async fn files_again(&self, gaps: &[Gap]) -> Result<HashSet<(usize, Hour)>, FetchError> {
        let wanted = wanted(gaps.iter().filter(|gap| gap.is_searched()), &self.names());
        let (mut there, mut silent) = (HashSet::new(), BTreeSet::new());
        for (hour, open) in wanted.into_iter().filter(|(hour, _)| !self.is_damaged(*hour)) {
            let open = &open - &silent;
            if open.is_empty() {
                continue;
            }
            let has = self.mirrors.which_have(|place| open.contains(&place), hour, &self.shutdown).await?;
            silent.extend(open.iter().filter(|place| has[**place].is_none()));
            there.extend(open.iter().filter(|place| has[**place] == Some(true)).map(|place| (*place, hour)));
        }
        Ok(there)
    }

    /// True if a file of this hour was refused or damaged, or a mirror away, and it is too early to try again.
    fn is_damaged(&self, hour: Hour) -> bool {
        let wait = if may_still_come(hour, self.args.patience, Utc::now()) {
            DAMAGED_AGAIN
        } else {
            DAMAGED_LATE_AGAIN
        };
        self.damaged.get(&hour).is_some_and(|since| since.elapsed() < wait)
    }

    /// The names of the mirrors.
    pub(super) fn names(&self) -> Vec<String> {
        self.mirrors.names().map(str::to_owned).collect()
    }
}
