//! `replay gaps`: publishes the events that polling missed, from GH Archive once its files exist.
//!
//! A round goes through all records in parts. It fills every gap of a part that can be filled, file by file. Then it removes the records
//! of these gaps, and moves the other records to the tail of the queue, so that the next part is at its head. Meanwhile no record is
//! unacked, because RabbitMQ closes the channel after half an hour. A round that is killed is repeated, which is harmless.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::Utc;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::feeder::{Feeder, Target};
use super::gap_plan::{Files, Gap, GapState, by_hour, may_still_come};
use super::gap_queue::{GapQueue, RECORDS_MAX};
use super::inputs::Input;
use super::progress::Progress;
use super::rejects::Rejects;
use super::state::StateFolder;
use super::tally::{Size, Tally};
use super::{Ended, gap_list, reading, say};
use crate::broker::{Broker, Outgoing};
use crate::config::{GapsArgs, Tls};
use crate::event::{Hour, HourName};
use crate::gharchive::{Fetched, Mark, Mirror, Reject};
use crate::health::Health;
use crate::retry::{self, Interrupted};

/// How long to wait before a damaged file is fetched again. It has 0.1 GB, and GH Archive needs time to replace it.
const DAMAGED_AGAIN: Duration = Duration::from_secs(3600);
/// Gaps that cannot be filled and are named in the log; more are only counted.
const SAID_MAX: usize = 100;

/// A gap and its state.
pub(super) struct Planned {
    pub(super) gap: Gap,
    pub(super) state: GapState,
}

/// The state of `replay gaps` over all rounds.
struct Filler<'a> {
    args: &'a GapsArgs,
    mirror: Mirror,
    queue: GapQueue,
    feeder: Feeder,
    folder: StateFolder,
    rejects: Rejects,
    tally: Tally,
    progress: Progress,
    /// Hours whose files were refused or damaged, and when.
    damaged: HashMap<Hour, Instant>,
    /// Ids of gaps whose state was logged, so that `--watch` logs it once.
    said: HashSet<String>,
    shutdown: CancellationToken,
}

/// The number of gaps by outcome of a round.
#[derive(Default)]
struct GapCounts {
    filled: usize,
    waiting: usize,
    in_part: usize,
    impossible: usize,
    /// Not filled yet: a file is damaged and may be replaced.
    damaged: usize,
}

/// Fills or lists gaps, as `args` says.
///
/// # Errors
/// - For bad usage.
/// - When a local disk cannot be written.
/// - When RabbitMQ refuses access at the start.
/// - When a gap could not be filled completely, and waiting does not help.
pub(super) async fn run(
    args: &GapsArgs,
    broker: &Broker,
    tls: &Tls,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    args.check()?;
    let mirror = Mirror::new(&args.mirror.base_url()?, tls, health)?;
    let queue = GapQueue::new(broker, health, shutdown.clone());
    if args.list {
        return gap_list::run(args, queue, &mirror, &shutdown).await;
    }
    let target = if args.publish.queue.is_some() { Target::LoadQueue } else { Target::Everywhere };
    let identity = (broker.cluster(), broker.names().gaps(), args.dry_run);
    let mut filler = Filler {
        args,
        mirror,
        queue,
        feeder: Feeder::new(broker, target, &args.publish.pace, args.dry_run, health, shutdown.clone())
            .with_copies(args.copies.archive && !args.dry_run, health),
        folder: StateFolder::open(&args.state.state_dir, "gaps", &identity)?,
        rejects: Rejects::into(&args.state.state_dir, &Rejects::new_name()),
        tally: Tally::default(),
        progress: Progress::start(&Tally::default(), 0.0),
        damaged: HashMap::new(),
        said: HashSet::new(),
        shutdown,
    };
    let ended = filler.work().await;
    filler.feeder.close().await;
    filler.queue.close().await;
    if !matches!(Ended::of(&ended), Ended::Stopped) {
        filler.folder.forget();
    }
    ended
}

impl Filler<'_> {
    async fn work(&mut self) -> anyhow::Result<()> {
        self.feeder.open().await?;
        loop {
            let counts = self.round().await?;
            if self.args.watch {
                retry::sleep(self.args.every, &self.shutdown).await?;
                continue;
            }
            if counts.in_part + counts.impossible + counts.damaged > 0 {
                bail!(
                    "not every gap could be filled: {} in part, {} not at all, {} not yet because a file is damaged; the log says which and why",
                    counts.in_part,
                    counts.impossible,
                    counts.damaged
                );
            }
            return Ok(());
        }
    }

    /// Goes through all records there are now, part by part.
    async fn round(&mut self) -> anyhow::Result<GapCounts> {
        let mut counts = GapCounts::default();
        let before = self.tally.events;
        let mut records = self.queue.look(RECORDS_MAX).await?;
        let mut rest = records.behind;
        loop {
            let messages = records.messages;
            let mut done = self.fill_part(records.gaps, &mut counts).await?;
            if self.args.dry_run {
                break;
            }
            if self.args.publish.queue.is_some() {
                // Other queues still miss these events, so the records stay.
                done.clear();
            }
            if !done.is_empty() || rest > 0 || self.args.watch {
                self.queue.settle(messages, &done).await?;
            }
            if rest == 0 || messages == 0 {
                break;
            }
            records = self.queue.look(RECORDS_MAX.min(rest)).await?;
            rest = rest.saturating_sub(records.messages);
        }
        if self.args.dry_run && rest > 0 {
            tracing::warn!("{} more records are not read in a dry run", HumanCount(u64::from(rest)));
        }
        self.tell(self.tally.events - before, &counts);
        Ok(counts)
    }

    /// Fills the gaps that can be filled, and returns the ids of the finished records.
    async fn fill_part(&mut self, gaps: Vec<Gap>, counts: &mut GapCounts) -> anyhow::Result<HashSet<String>> {
        let planned = self.plan(gaps).await?;
        self.say_what_stays(&planned, counts);
        let can_be_filled = planned.into_iter().filter(|planned| planned.state.can_be_filled());
        let gaps: Vec<Gap> = can_be_filled.map(|planned| planned.gap).collect();
        let damaged = self.fill(&gaps).await?;
        let mut done: HashSet<String> = gaps.iter().map(|gap| gap.record.id()).collect();
        for gap in &gaps {
            let Some(hour) = gap.hours().find(|hour| damaged.contains(hour)) else { continue };
            let (id, name) = (gap.record.id(), HourName(hour));
            if may_still_come(hour, self.args.patience, Utc::now()) {
                tracing::warn!("{id} is not filled yet, and stays on record: {name}.json.gz is damaged");
                counts.damaged += 1;
                done.remove(&id);
            } else {
                tracing::warn!("{id} is filled in part: {name}.json.gz is damaged");
                counts.in_part += 1;
            }
        }
        counts.filled += done.len();
        Ok(done)
    }

    /// Finds out the state of each gap now.
    async fn plan(&mut self, gaps: Vec<Gap>) -> anyhow::Result<Vec<Planned>> {
        let now = Utc::now();
        let mut there = BTreeSet::new();
        // An hour that is not over has no file.
        for hour in by_hour(&gaps).into_keys().filter(|hour| hour.end() <= now) {
            if self.mirror.has(hour, &self.shutdown).await? {
                there.insert(hour);
            }
        }
        let files = self.files(there);
        let plan = |gap: Gap| Planned { state: gap.state(&files, now), gap };
        Ok(gaps.into_iter().map(plan).collect())
    }

    /// The files to use: those that are `there`, without damaged ones that may be replaced soon.
    fn files(&self, mut there: BTreeSet<Hour>) -> Files {
        let patience = self.args.patience;
        let is_damaged =
            |hour: &Hour| self.damaged.get(hour).is_some_and(|since| since.elapsed() < DAMAGED_AGAIN);
        let now = Utc::now();
        there.retain(|hour| !(is_damaged(hour) && may_still_come(*hour, patience, now)));
        Files { there, unknown: BTreeSet::new(), patience }
    }

    fn say_what_stays(&mut self, planned: &[Planned], counts: &mut GapCounts) {
        let mut more = 0_u64;
        for Planned { gap, state } in planned {
            match state {
                GapState::Whole => continue,
                GapState::Waits(_) | GapState::Unknown => counts.waiting += 1,
                GapState::InPart(_) => counts.in_part += 1,
                GapState::Impossible(_) => counts.impossible += 1,
            }
            let id = gap.record.id();
            if matches!(state, GapState::Waits(_)) {
                tracing::debug!("{id} {state}");
            } else if self.said.len() >= SAID_MAX {
                more += u64::from(!self.said.contains(&id));
            } else if self.said.insert(id.clone()) {
                tracing::warn!("{id} {state}");
            }
        }
        if more > 0 {
            tracing::warn!(
                "{} more gaps stay, wholly or in part: replay gaps --list says why",
                HumanCount(more)
            );
        }
    }
    /// Publishes the events that `gaps` missed, from every file that may hold some. Returns the hours whose files were not read
    /// to their end.
    async fn fill(&mut self, gaps: &[Gap]) -> anyhow::Result<BTreeSet<Hour>> {
        let mut damaged = BTreeSet::new();
        let by_hour = by_hour(gaps);
        let count = by_hour.len();
        for (index, (hour, which)) in by_hour.into_iter().enumerate() {
            let gaps: Vec<Gap> = which.into_iter().map(|index| gaps[index].clone()).collect();
            match self.mirror.fetch(hour, self.folder.path(), &self.shutdown).await? {
                Fetched::File { path, is_ours } => {
                    if !self.fill_from(hour, &path, gaps, (index, count)).await? {
                        damaged.insert(hour);
                    }
                    if is_ours && let Err(error) = std::fs::remove_file(&path) {
                        tracing::warn!("remove {}: {error}", path.display());
                    }
                }
                // `say_what_stays` has logged it.
                Fetched::Missing { place } => tracing::debug!("no {place}"),
                Fetched::Refused { reason } => {
                    tracing::warn!("hour {}: {reason}", HourName(hour));
                    damaged.insert(hour);
                }
            }
        }
        self.damaged.extend(damaged.iter().map(|hour| (*hour, Instant::now())));
        Ok(damaged)
    }

    /// Publishes the events of one file; false if the file breaks off.
    async fn fill_from(
        &mut self,
        hour: Hour,
        path: &Path,
        gaps: Vec<Gap>,
        place: (usize, usize),
    ) -> anyhow::Result<bool> {
        let (input, name) = (Input::Hour(hour), HourName(hour).to_string());
        self.rejects.begin();
        let mut is_whole = true;
        let mut batches = reading::start(&input, path, Mark::default(), move |event| {
            gaps.iter().any(|gap| gap.wants(event))
        });
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

    fn tell(&self, events: u64, counts: &GapCounts) {
        let GapCounts { filled, waiting, impossible, in_part, damaged } = counts;
        let waiting = waiting + damaged;
        if self.args.watch && *filled == 0 && events == 0 {
            tracing::debug!(waiting, impossible, "no gap can be filled now");
            return;
        }
        let verb = if self.args.dry_run { "would fill" } else { "filled" };
        let size = Size(self.tally.bytes);
        say(&format!(
            "{verb} {filled} gaps ({in_part} of them in part) with {} events ({size} in all); {waiting} wait for files to come, {impossible} cannot be filled\n",
            HumanCount(events)
        ));
        if self.tally.rejected > 0 {
            say(&format!(
                "rejected {}: see {}\n",
                HumanCount(self.tally.rejected),
                self.rejects.path().display()
            ));
        }
    }
}
