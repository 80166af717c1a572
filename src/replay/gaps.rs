//! `replay gaps`: publishes the events that polling missed, from GH Archive once its files exist.
//!
//! A round goes through all records in parts. It fills every gap of a part that can be filled, file by file. Then it removes the records
//! of these gaps, and moves the other records to the tail of the queue, so that the next part is at its head. Meanwhile no record is
//! unacked, because RabbitMQ closes the channel after half an hour. A round that is killed is repeated, which is harmless.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::bail;
use chrono::Utc;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::feeder::{Feeder, Target};
use super::gap_outcome::Outcome;
use super::gap_plan::{Files, Gap, GapState, hours_of, may_still_come};
use super::gap_queue::{GapQueue, RECORDS_MAX, Settled};
use super::progress::Progress;
use super::rejects::Rejects;
use super::state::StateFolder;
use super::tally::Tally;
use super::{Ended, gap_list};
use crate::broker::Broker;
use crate::config::{GapsArgs, Tls};
use crate::event::Hour;
use crate::gharchive::{Has, Mirrors};
use crate::health::Health;
use crate::retry;

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
pub(super) struct Filler<'a> {
    pub(super) args: &'a GapsArgs,
    pub(super) mirrors: Mirrors,
    queue: GapQueue,
    pub(super) feeder: Feeder,
    pub(super) folder: StateFolder,
    pub(super) rejects: Rejects,
    pub(super) tally: Tally,
    pub(super) progress: Progress,
    /// Hours of which a file was refused or damaged, or a mirror away, and when.
    pub(super) damaged: HashMap<Hour, Instant>,
    /// Ids of gaps whose state was logged, so that `--watch` logs it once.
    said: HashSet<String>,
    /// The summary has said that gaps of single sources may stay incomplete.
    pub(super) has_warned: bool,
    pub(super) shutdown: CancellationToken,
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
    let mirrors = Mirrors::new(&args.mirror, tls, health)?;
    let queue = GapQueue::new(broker, health, shutdown.clone());
    if args.list {
        return gap_list::run(args, queue, &mirrors, &shutdown).await;
    }
    let target = if args.publish.queue.is_some() { Target::LoadQueue } else { Target::Everywhere };
    let identity = (broker.cluster(), broker.names().gaps(), args.dry_run);
    let mut filler = Filler {
        args,
        mirrors,
        queue,
        feeder: Feeder::new(broker, target, &args.publish.pace, args.dry_run, health, shutdown.clone())
            .with_copies(args.copies.archive && !args.dry_run, health),
        folder: StateFolder::open(&args.state.state_dir, "gaps", &identity)?,
        rejects: Rejects::into(&args.state.state_dir, &Rejects::new_name()),
        tally: Tally::default(),
        progress: Progress::start(&Tally::default(), 0.0),
        damaged: HashMap::new(),
        said: HashSet::new(),
        has_warned: false,
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
            let outcome = self.round().await?;
            if self.args.watch {
                retry::sleep(self.args.every, &self.shutdown).await?;
                continue;
            }
            if !outcome.is_whole() {
                bail!("not every gap could be filled: {outcome}; the log says which and why");
            }
            return Ok(());
        }
    }

    /// Goes through all records there are now, part by part.
    async fn round(&mut self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let before = self.tally.events;
        let mut records = self.queue.look(RECORDS_MAX).await?;
        let mut rest = records.behind;
        loop {
            let messages = records.messages;
            let mut settled = self.fill_part(records.gaps, &mut outcome).await?;
            if self.args.dry_run {
                break;
            }
            if self.args.publish.queue.is_some() {
                // Other queues still miss these events, so the records stay.
                settled = Settled::default();
            }
            if !settled.is_empty() || rest > 0 || self.args.watch {
                self.queue.settle(messages, &settled).await?;
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
        self.tell(self.tally.events - before, &outcome);
        Ok(outcome)
    }

    /// Fills the gaps that can be filled, and returns what becomes of their records.
    async fn fill_part(&mut self, gaps: Vec<Gap>, outcome: &mut Outcome) -> anyhow::Result<Settled> {
        let planned = self.plan(gaps).await?;
        self.say_what_stays(&planned, outcome);
        let can_be_filled = planned.into_iter().filter(|planned| planned.state.can_be_filled());
        let (gaps, states): (Vec<Gap>, Vec<GapState>) =
            can_be_filled.map(|planned| (planned.gap, planned.state)).unzip();
        if gaps.is_empty() {
            return Ok(Settled::default());
        }
        let filled = self.fill(gaps).await?;
        let (mut settled, names) = (Settled::default(), self.names());
        let mut more = 0_u64;
        for ((gap, found), state) in filled.finder.counts().zip(states) {
            let id = gap.record.id();
            let damage = gap.hours().find_map(|hour| Some((hour, filled.damaged.get(&hour)?)));
            if let Some((hour, why)) = damage {
                if may_still_come(hour, self.args.patience, Utc::now()) {
                    tracing::warn!("{id} is not filled yet, and stays on record: {why}");
                    outcome.damaged += 1;
                    continue;
                }
                tracing::warn!("{id} is filled in part: {why}");
                outcome.in_part += 1;
            } else if found == 0 {
                outcome.lacked += 1;
                // `say_what_stays` has counted it.
                outcome.in_part -= usize::from(matches!(state, GapState::InPart(_)));
                more += u64::from(!self.say_once(&id, &format!("{}; the record stays", GapState::Lacked)));
                settled.changed.insert(id, gap.json_lacked_by(&names));
                continue;
            }
            outcome.fill(gap, found);
            settled.done.insert(id);
        }
        if more > 0 {
            tracing::warn!(
                "GH Archive lacks {} more gaps, too: replay gaps --list names them",
                HumanCount(more)
            );
        }
        Ok(settled)
    }

    fn names(&self) -> Vec<String> {
        self.mirrors.names().map(str::to_owned).collect()
    }

    /// Finds out the state of each gap now.
    async fn plan(&mut self, gaps: Vec<Gap>) -> anyhow::Result<Vec<Planned>> {
        let (now, names) = (Utc::now(), self.names());
        let (mut there, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        // An hour that is not over has no file. Nothing is asked for gaps that GH Archive is known to lack.
        let open = gaps.iter().filter(|gap| !gap.is_lacked_by(&names));
        for hour in hours_of(open).into_iter().filter(|hour| hour.end() <= now) {
            let hours = match self.mirrors.has(hour, &self.shutdown).await? {
                Has::Yes => &mut there,
                Has::Unknown => &mut unknown,
                Has::No => continue,
            };
            hours.insert(hour);
        }
        let files = self.files(there, unknown);
        let plan = |gap: Gap| Planned { state: gap.state(&files, now), gap };
        Ok(gaps.into_iter().map(plan).collect())
    }

    /// The files to use: those that are `there`, without damaged ones that may be replaced soon.
    fn files(&self, mut there: BTreeSet<Hour>, unknown: BTreeSet<Hour>) -> Files {
        let patience = self.args.patience;
        let is_damaged =
            |hour: &Hour| self.damaged.get(hour).is_some_and(|since| since.elapsed() < DAMAGED_AGAIN);
        let now = Utc::now();
        there.retain(|hour| !(is_damaged(hour) && may_still_come(*hour, patience, now)));
        Files { there, unknown, patience, mirrors: self.names() }
    }

    fn say_what_stays(&mut self, planned: &[Planned], outcome: &mut Outcome) {
        let mut more = 0_u64;
        for Planned { gap, state } in planned {
            match state {
                GapState::Whole => continue,
                GapState::Waits(_) | GapState::Unknown => outcome.waiting += 1,
                GapState::InPart(_) => outcome.in_part += 1,
                GapState::Impossible(_) => outcome.impossible += 1,
                GapState::Lacked => outcome.lacked += 1,
            }
            let id = gap.record.id();
            if matches!(state, GapState::Waits(_)) {
                tracing::debug!("{id} {state}");
            } else {
                more += u64::from(!self.say_once(&id, &state.to_string()));
            }
        }
        if more > 0 {
            tracing::warn!(
                "{} more gaps stay, wholly or in part: replay gaps --list says why",
                HumanCount(more)
            );
        }
    }

    /// Logs the state of a gap, unless it was logged before. False if too many were logged.
    fn say_once(&mut self, id: &str, state: &str) -> bool {
        if self.said.contains(id) {
            return true;
        }
        if self.said.len() >= SAID_MAX {
            return false;
        }
        self.said.insert(id.to_owned());
        tracing::warn!("{id} {state}");
        true
    }
}
