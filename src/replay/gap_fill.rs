//! Publishes the events of gaps from GH Archive's files. Each file is read once, for all gaps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::gap_find::Finder;
use super::gap_plan::{Gap, hours_of};
use super::gaps::Filler;
use super::inputs::Input;
use super::reading;
use crate::broker::Outgoing;
use crate::event::{Hour, HourName};
use crate::gharchive::{Fetched, Mark, Reject};
use crate::retry::Interrupted;

/// What a part of the gaps got.
pub(super) struct Filled {
    /// The gaps, with the number of events found for each.
    pub(super) finder: Arc<Finder>,
    /// Hours of which a part is missing, and why: it may be had later.
    pub(super) damaged: BTreeMap<Hour, String>,
}

impl Filler<'_> {
    /// Publishes the events that `gaps` missed, from every file that may hold some.
    pub(super) async fn fill(&mut self, gaps: Vec<Gap>) -> anyhow::Result<Filled> {
        let mut damaged = BTreeMap::new();
        let hours: Vec<Hour> = hours_of(&gaps).into_iter().collect();
        let finder = Arc::new(Finder::new(gaps, self.mirrors.are_several()));
        for (index, hour) in hours.iter().enumerate() {
            let fetched = self.mirrors.fetch(*hour, self.folder.path(), &self.shutdown).await?;
            let names: Vec<String> = self.mirrors.names().map(str::to_owned).collect();
            for (fetched, mirror) in fetched.into_iter().zip(names) {
                let place = (index, hours.len());
                if let Some(why) = self.fill_from_mirror(*hour, &mirror, fetched, &finder, place).await? {
                    damaged.insert(*hour, why);
                }
            }
        }
        self.damaged.extend(damaged.keys().map(|hour| (*hour, Instant::now())));
        Ok(Filled { finder, damaged })
    }

    /// Publishes the events of one mirror's file. Gives the reason if a part of them cannot be had now.
    async fn fill_from_mirror(
        &mut self,
        hour: Hour,
        mirror: &str,
        fetched: Fetched,
        finder: &Arc<Finder>,
        place: (usize, usize),
    ) -> anyhow::Result<Option<String>> {
        let name = HourName(hour);
        Ok(match fetched {
            Fetched::File { path, is_ours } => {
                let is_whole = self.fill_from(hour, &path, Arc::clone(finder), place).await?;
                if is_ours && let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!("remove {}: {error}", path.display());
                }
                (!is_whole).then(|| format!("{name}.json.gz is damaged"))
            }
            // `say_what_stays` has logged it.
            Fetched::Missing { place } => {
                tracing::debug!("no {place}");
                None
            }
            Fetched::Refused { reason } => {
                tracing::warn!("hour {name}: {reason}");
                Some(format!("{name}.json.gz is refused"))
            }
            Fetched::Away => Some(format!("{mirror} is away, which may have {name}.json.gz")),
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
