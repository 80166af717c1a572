//! Publishes the events of gaps from GH Archive's files. Each file is read once, for all gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::gap_find::Finder;
use super::gap_plan::Gap;
use super::gaps::Filler;
use super::inputs::Input;
use super::reading;
use crate::broker::Outgoing;
use crate::event::{Hour, HourName};
use crate::gharchive::{FetchError, Fetched, Mark, Reject};
use crate::retry::Interrupted;

/// What a part of the gaps got.
pub(super) struct Filled {
    /// The gaps, with the number of events found for each.
    pub(super) finder: Arc<Finder>,
    /// Hours of which a part is missing, and why: it may be had later.
    pub(super) damaged: BTreeMap<Hour, String>,
    /// For each mirror, the hours whose files were read whole.
    pub(super) read: Vec<BTreeSet<Hour>>,
}

impl Filled {
    /// The first hour of `gap` of which a part is missing, and why.
    pub(super) fn damage_of(&self, gap: &Gap) -> Option<(Hour, &str)> {
        gap.hours().find_map(|hour| Some((hour, self.damaged.get(&hour)?.as_str())))
    }
}

/// What was had of one mirror's file.
enum Had {
    Whole,
    /// The mirror has no file.
    None,
    /// A part of it cannot be had now, for this reason.
    Less(String),
}

impl Filler<'_> {
    /// Publishes the events that `gaps` missed, from every file that may hold some and was not read for them before.
    pub(super) async fn fill(&mut self, gaps: Vec<Gap>) -> anyhow::Result<Filled> {
        let names = self.names();
        let wanted = wanted(&gaps, &names);
        let finder = Arc::new(Finder::new(gaps, self.mirrors.are_several()));
        let mut filled =
            Filled { finder, damaged: BTreeMap::new(), read: vec![BTreeSet::new(); names.len()] };
        for (index, (hour, of_mirrors)) in wanted.iter().enumerate() {
            let place = (index, wanted.len());
            let fetched = self.fetch(*hour, of_mirrors).await?;
            for (mirror, fetched) in fetched.into_iter().enumerate() {
                if !of_mirrors.contains(&mirror) {
                    continue;
                }
                match self.fill_from_mirror(*hour, &names[mirror], fetched, &filled.finder, place).await? {
                    Had::Whole => drop(filled.read[mirror].insert(*hour)),
                    Had::None => {}
                    Had::Less(why) => drop(filled.damaged.insert(*hour, why)),
                }
            }
        }
        self.damaged.extend(filled.damaged.keys().map(|hour| (*hour, Instant::now())));
        Ok(filled)
    }

    /// Fetches the hour's file from the mirrors at these places.
    async fn fetch(&self, hour: Hour, of_mirrors: &BTreeSet<usize>) -> Result<Vec<Fetched>, FetchError> {
        let (mirrors, folder) = (&self.mirrors, self.folder.path());
        if of_mirrors.len() == mirrors.names().len() {
            return mirrors.fetch(hour, folder, &self.shutdown).await;
        }
        mirrors.fetch_some(|place| of_mirrors.contains(&place), hour, folder, &self.shutdown).await
    }

    /// Publishes the events of one mirror's file.
    async fn fill_from_mirror(
        &mut self,
        hour: Hour,
        mirror: &str,
        fetched: Fetched,
        finder: &Arc<Finder>,
        place: (usize, usize),
    ) -> anyhow::Result<Had> {
        let name = HourName(hour);
        Ok(match fetched {
            Fetched::File { path, is_ours } => {
                let is_whole = self.fill_from(hour, &path, Arc::clone(finder), place).await?;
                if is_ours && let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!("remove {}: {error}", path.display());
                }
                if is_whole { Had::Whole } else { Had::Less(format!("{name}.json.gz is damaged")) }
            }
            // `say_what_stays` has logged it.
            Fetched::Missing { place } => {
                tracing::debug!("no {place}");
                Had::None
            }
            Fetched::Refused { reason } => {
                tracing::warn!("hour {name}: {reason}");
                Had::Less(format!("{name}.json.gz is refused"))
            }
            Fetched::Away => Had::Less(format!("{mirror} is away, which may have {name}.json.gz")),
        })
    }

    /// Publishes the events of one file; false if the file breaks off.
    async fn fill_from(
        &mut self,
        hour: Hour,
        path: &Path,
        finder: Arc<Finder>,
        place: (usize, usize),
    ) -> anyhow::Result<bool> {
        let (input, name) = (Input::Hour(hour), HourName(hour).to_string());
        self.rejects.begin();
        let mut is_whole = true;
        let mut batches =
            reading::start(&input, path, Mark::default(), move |event| finder.wants(event, hour));
        loop {
            let batch = tokio::select! {
                batch = batches.recv() => batch,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            let Some(batch) = batch else { return Ok(is_whole) };
            is_whole &= !batch.breaks_off;
            for reject in &batch.rejects {
                self.tally.rejected += 1;
                self.rejects.keep(&name, reject)?;
            }
            self.rejects.flush()?;
            let messages: Vec<Outgoing> =
                batch.events.into_iter().map(|event| self.feeder.message(event)).collect();
            for refused in self.feeder.publish_and_count(&messages, &mut self.tally).await? {
                self.rejects.keep(&name, &Reject::of_file(refused.reason))?;
            }
            self.tally.unwanted += batch.unwanted;
            #[allow(clippy::cast_precision_loss)]
            let fraction = place.0 as f64 / place.1 as f64;
            self.progress.show(
                &self.tally,
                Some(fraction),
                &format!("{name} ({} of {})", place.0 + 1, place.1),
            );
        }
    }
}

/// The files that may hold events of `gaps`: by hour, the places of the mirrors.
pub(super) fn wanted<'a>(
    gaps: impl IntoIterator<Item = &'a Gap>,
    mirrors: &[String],
) -> BTreeMap<Hour, BTreeSet<usize>> {
    let mut wanted: BTreeMap<Hour, BTreeSet<usize>> = BTreeMap::new();
    for gap in gaps {
        let open = gap.open(mirrors);
        gap.hours().for_each(|hour| wanted.entry(hour).or_default().extend(&open));
    }
    wanted
}
