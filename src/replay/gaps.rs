//! `replay gaps`: publishes the events that polling missed, from GH Archive once its files exist.
//!
//! A round goes through all records in parts. It fills every gap of a part that can be filled, file by file. Then it removes the records
//! of these gaps, and moves the other records to the tail of the queue, so that the next part is at its head. If nothing has changed and
//! there is no other part, the records stay where they are. Meanwhile no record is unacked, because RabbitMQ closes the channel after
//! half an hour. A round that is killed is repeated, which is harmless.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::bail;
use chrono::Utc;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::feeder::{Feeder, Target};
use super::gap_files::SEARCHED_AGAIN;
use super::gap_fill::Filled;
use super::gap_outcome::Outcome;
use super::gap_plan::{Gap, GapState, OUT_OF_REACH, may_still_come};
use super::gap_queue::{GapQueue, RECORDS_MAX, Settled};
use super::gap_search::KEPT_DAYS;
use super::progress::Progress;
use super::rejects::Rejects;
use super::state::StateFolder;
use super::tally::Tally;
use super::{Ended, gap_list};
use crate::broker::Broker;
use crate::config::{GapsArgs, Tls};
use crate::event::Hour;
use crate::gap::GapRecord;
use crate::gharchive::Mirrors;
use crate::health::Health;
use crate::retry;
use crate::terminal::Escaped;

/// Sentences about gaps that are not filled in the log; more are only counted.
const SAID_MAX: usize = 100;
/// Deliveries that RabbitMQ counts of a record before it is published anew: half of the limit that policies often set.
const COUNTED_MAX: u32 = 10;

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
    /// What was logged about gaps that are not filled, so that `--watch` logs it once.
    said: HashSet<String>,
    /// When a round last asked for files of gaps that were searched before.
    looked_again: Option<Instant>,
    /// True if this round asks for them.
    pub(super) looks_again: bool,
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
/// - When a gap could not be filled completely, and waiting does not help. Gaps that an earlier run found to be lacked by GH Archive do
///   not count.
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
        looked_again: None,
        looks_again: true,
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
        self.looks_again = self.looked_again.is_none_or(|at| at.elapsed() >= SEARCHED_AGAIN);
        if self.looks_again {
            self.looked_again = Some(Instant::now());
        }
        let mut records = self.queue.look(RECORDS_MAX).await?;
        let mut rest = records.behind;
        loop {
            let messages = records.messages;
            let mut settled = self.fill_part(records.gaps, &mut outcome).await?;
            self.tell_out_of_reach(&records.out_of_reach, &mut outcome, &mut settled);
            if self.args.dry_run {
                break;
            }
            if !self.removes() {
                settled = Settled::default();
            }
            // Records behind these, or a limit of deliveries, make them move though nothing has changed.
            if !settled.is_empty() || rest > 0 || records.counted >= COUNTED_MAX {
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

    /// True if records of gaps are removed. With `--queue` they stay, because other queues still miss these events.
    fn removes(&self) -> bool {
        !self.args.dry_run && self.args.publish.queue.is_none()
    }

    /// Tells of records that no replay fills, and removes them: they would be told in each round.
    fn tell_out_of_reach(&self, records: &[GapRecord], outcome: &mut Outcome, settled: &mut Settled) {
        outcome.impossible += records.len();
        for record in records {
            let (id, end) = (record.id(), if self.removes() { "; its record is removed" } else { "" });
            tracing::warn!("{} cannot be filled: {OUT_OF_REACH}{end}", Escaped(&id));
            settled.done.insert(id);
        }
    }

    /// Fills the gaps that can be filled, and returns what becomes of their records.
    async fn fill_part(&mut self, gaps: Vec<Gap>, outcome: &mut Outcome) -> anyhow::Result<Settled> {
        let (mut settled, mut planned) = (Settled::default(), self.plan(gaps).await?);
        if self.removes() {
            remove_given_up(&mut planned, &mut settled);
        }
        self.say_what_stays(&planned, outcome);
        let can_be_filled = planned.into_iter().filter(|planned| planned.state.can_be_filled());
        let (gaps, states): (Vec<Gap>, Vec<GapState>) =
            can_be_filled.map(|planned| (planned.gap, planned.state)).unzip();
        if !gaps.is_empty() {
            let filled = self.fill(gaps).await?;
            self.judge(&filled, &states, outcome, &mut settled);
        }
        Ok(settled)
    }

    /// Decides what becomes of the records of gaps whose files were read.
    fn judge(&mut self, filled: &Filled, states: &[GapState], outcome: &mut Outcome, settled: &mut Settled) {
        let (names, now, mut more) = (self.names(), Utc::now(), 0_u64);
        for ((gap, found), state) in filled.finder.counts().zip(states) {
            let (id, damage) = (gap.record.id(), filled.damage_of(gap));
            if let Some((hour, why)) = damage
                && may_still_come(hour, self.args.patience, now)
            {
                tracing::warn!("{id} is not filled yet, and stays on record: {why}");
                outcome.damaged += 1;
                continue;
            }
            if found > 0 {
                if let Some((_, why)) = damage {
                    tracing::warn!("{id} is filled in part: {why}");
                }
                outcome.in_part += usize::from(damage.is_some() || matches!(state, GapState::InPart(_)));
                outcome.fill(gap, found);
                settled.done.insert(id);
                continue;
            }
            let after = gap.after_search(&names, &filled.read, now);
            if let Some((_, why)) = damage {
                tracing::warn!(
                    "{id} is not filled: {why}, and the files that could be read hold no event of it; the record stays"
                );
                outcome.damaged += 1;
            } else {
                outcome.lacked += 1;
                more += u64::from(!self.say_once(&id, &after.lacked(&names)));
            }
            settled.changed.insert(id, after.json());
        }
        if more > 0 {
            tracing::warn!(
                "GH Archive lacks {} more gaps, too: replay gaps --list names them",
                HumanCount(more)
            );
        }
    }

    fn say_what_stays(&mut self, planned: &[Planned], outcome: &mut Outcome) {
        let mut more = 0_u64;
        for Planned { gap, state } in planned {
            match state {
                GapState::Whole => continue,
                GapState::Waits(_) | GapState::Unknown => outcome.waiting += 1,
                // Counted when it is filled.
                GapState::InPart(_) => {}
                GapState::Impossible(_) => outcome.impossible += 1,
                GapState::Lacked | GapState::LackedSoFar(_) => outcome.lacked_before += 1,
            }
            let id = gap.record.id();
            if matches!(state, GapState::Waits(_)) {
                tracing::debug!("{id} {state}");
            } else {
                more += u64::from(!self.say_once(&id, state));
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
    fn say_once(&mut self, id: &str, state: &GapState) -> bool {
        let sentence = format!("{id} {state}{}", if state.is_lacked() { "; the record stays" } else { "" });
        if self.said.contains(&sentence) {
            return true;
        }
        if self.said.len() >= SAID_MAX {
            return false;
        }
        tracing::warn!("{sentence}");
        self.said.insert(sentence);
        true
    }
}

/// Takes out the gaps that GH Archive lacks and whose last search was long ago: their records go.
fn remove_given_up(planned: &mut Vec<Planned>, settled: &mut Settled) {
    let now = Utc::now();
    let gone: Vec<Planned> =
        planned.extract_if(.., |one| one.state.is_lacked() && one.gap.is_given_up(now)).collect();
    if !gone.is_empty() {
        tracing::warn!(
            "removing {} records of gaps: their last search, which found no event of them in GH Archive, was {KEPT_DAYS} days ago or earlier",
            HumanCount(gone.len() as u64)
        );
        settled.done.extend(gone.into_iter().map(|one| one.gap.record.id()));
    }
}
