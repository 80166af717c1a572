//! Publishes an hour of several mirrors: every event that one of them has, each once. The files are read one after the other.
//!
//! The position in such an hour is a number of events. A rerun reads the files from their beginning, which fills the memory of the hour
//! again, and leaves out so many events. If they are not the same events, the hour is published again.
//!
//! If a mirror is away, the hour is published without its part, and the part is fetched when all hours are done. Then the other files
//! are read again, so that only the events that they lack are published.

use std::path::PathBuf;

use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::owed::Owed;
use super::union::{Taken, Union, bit};
use super::{Input, InputEnd, Job, missing, refused, remove_ours};
use crate::gharchive::{Batch, Fetched, Mark};
use crate::replay::inputs::Ready;
use crate::replay::{reading, say};
use crate::retry::Interrupted;

/// The most hours that a line names.
const NAMED_MAX: usize = 10;

/// A file of one mirror.
struct Part {
    mirror: usize,
    path: PathBuf,
    /// Its events were published before: it is only read to know them.
    is_known: bool,
}

/// Why reading the files of an hour ended.
enum Reading {
    Ended,
    LimitReached,
    /// The files do not begin with the events that an earlier run took.
    OtherEvents,
}

impl Job<'_> {
    /// Publishes an hour, the input at `index`. If something of it is owed, publishes only that.
    pub(super) async fn merge(
        &mut self,
        index: usize,
        ready: &Ready,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<InputEnd> {
        let owed = self.position.merged.owed.of(index);
        let parts = parts_of(&ready.fetched, owed);
        self.size = parts.iter().filter_map(|part| part.path.metadata().ok()).map(|file| file.len()).sum();
        let mut skip = self.position.merged.taken;
        if self.position.merged.hour != index {
            skip = Taken::default();
        }
        self.position.merged.hour = index;
        let events_before = self.position.tally_before.events;
        let (end, union) = loop {
            // Of an hour that was begun, the events taken before count again while they are read again.
            self.position.tally = self.position.tally_before.clone();
            let mut union = Union::default();
            match self.read(&ready.input, &parts, &mut union, skip, shutdown).await? {
                Reading::Ended => break (InputEnd::Ended, union),
                Reading::LimitReached => break (InputEnd::LimitReached, union),
                Reading::OtherEvents => skip = self.begin_hour_anew(&ready.input, skip),
            }
        };
        ready.fetched.iter().for_each(remove_ours);
        self.lack_parts(index, ready, owed)?;
        let fresh = self.position.tally.events.saturating_sub(events_before);
        // Up to a limit, not every file is read.
        if matches!(end, InputEnd::Ended) {
            self.tell_hour(ready, &union, (owed != 0).then_some(fresh));
        }
        Ok(end)
    }

    /// Reads the files of an hour one after the other. The first events, as many as `skip` says, were published by an earlier run.
    async fn read(
        &mut self,
        input: &Input,
        parts: &[Part],
        union: &mut Union,
        skip: Taken,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Reading> {
        let (mut bytes_before, mut is_skipping) = (0, skip.count > 0);
        for part in parts {
            let select = self.args.select.clone();
            let mut batches =
                reading::start(input, &part.path, Mark::default(), move |event| select.wants(&event.kind));
            loop {
                let batch = tokio::select! {
                    batch = batches.recv() => batch,
                    () = shutdown.cancelled() => return Err(Interrupted.into()),
                };
                let Some(mut batch) = batch else { break };
                let bytes_read = bytes_before + batch.bytes_read;
                batch.events.retain(|event| union.enter(event.identity(), part.mirror));
                if part.is_known {
                    continue;
                }
                batch.events.iter().for_each(|event| union.take(event.identity()));
                if is_skipping {
                    if !self.skip(&batch, union.taken(), skip) {
                        return Ok(Reading::OtherEvents);
                    }
                    is_skipping = union.taken().count < skip.count;
                    continue;
                }
                self.publish(&self.name_of(input, part.mirror), batch).await?;
                self.position.merged.taken = union.taken();
                self.save(false)?;
                self.show(input, (self.position.input < self.inputs.len()).then_some(bytes_read));
                if self.is_limit_reached() {
                    return Ok(Reading::LimitReached);
                }
            }
            bytes_before += part.path.metadata().map_or(0, |file| file.len());
        }
        Ok(if is_skipping { Reading::OtherEvents } else { Reading::Ended })
    }

    /// Counts a batch that an earlier run published. False if it published other events.
    fn skip(&mut self, batch: &Batch, taken: Taken, skip: Taken) -> bool {
        let tally = &mut self.position.tally;
        batch.events.iter().for_each(|event| tally.event(&event.kind, event.body.len()));
        tally.unwanted += batch.unwanted;
        // They are in the file of rejects.
        tally.rejected += batch.rejects.len() as u64;
        taken.count < skip.count || taken == skip
    }

    fn begin_hour_anew(&mut self, input: &Input, skip: Taken) -> Taken {
        tracing::warn!(
            "the mirrors do not have the {} events of {input} first that an earlier run of this command published: the hour is published again",
            HumanCount(skip.count)
        );
        self.position.merged.taken = Taken::default();
        Taken::default()
    }

    /// Notes which parts are still owed, and rejects those that cannot be had.
    fn lack_parts(&mut self, index: usize, ready: &Ready, owed: u8) -> anyhow::Result<()> {
        let (mut away, mut lacks, mut any) = (0_u8, 0_usize, false);
        for (mirror, fetched) in ready.fetched.iter().enumerate() {
            let is_asked = owed == 0 || owed & bit(mirror) != 0;
            match fetched {
                Fetched::File { .. } => any = true,
                Fetched::Away if is_asked => away |= bit(mirror),
                Fetched::Refused { reason } if is_asked => {
                    any = true;
                    self.lack(&self.name_of(&ready.input, mirror), &refused(reason))?;
                }
                Fetched::Missing { .. } => lacks += 1,
                Fetched::Away | Fetched::Refused { .. } => {}
            }
        }
        // That one mirror lacks a file is only told: it may never have had it.
        if away == 0 && !any && lacks > 0 {
            let places: Vec<&str> = ready.fetched.iter().filter_map(place_of).collect();
            self.lack(&ready.input.to_string(), &missing(&places.join(", no ")))?;
        }
        self.position.merged.owed.set(index, away);
        Ok(())
    }

    /// Prints how many events the hour has, and which mirrors alone have how many. `fresh` events were published for a mirror that was
    /// away before.
    fn tell_hour(&mut self, ready: &Ready, union: &Union, fresh: Option<u64>) {
        let names: Vec<String> = self.mirrors.names().map(str::to_owned).collect();
        let has = |fetched: &Fetched| matches!(fetched, Fetched::File { .. });
        let files = ready.fetched.iter().filter(|fetched| has(fetched)).count();
        let is_away = ready.fetched.iter().any(|fetched| matches!(fetched, Fetched::Away));
        let mut line = format!("{}: {} events", ready.input, HumanCount(union.events()));
        if let Some(fresh) = fresh {
            line += &format!(", {} more than before", HumanCount(fresh));
        }
        for (mirror, (fetched, name)) in ready.fetched.iter().zip(&names).enumerate() {
            line += &match fetched {
                Fetched::File { .. } if files == 1 => format!("; all from {name}"),
                Fetched::File { .. } => {
                    let alone = union.alone(mirror);
                    if !is_away && let Some(sum) = self.position.merged.alone.get_mut(mirror) {
                        *sum += alone;
                    }
                    format!("; {name} alone had {}", HumanCount(alone))
                }
                Fetched::Missing { .. } => format!("; {name} has no file"),
                Fetched::Refused { .. } => format!("; {name} refuses"),
                Fetched::Away => format!("; {name} is away"),
            };
        }
        if union.beyond() > 0 {
            line += &format!(
                "; more than one hour's memory: {} may be published twice",
                HumanCount(union.beyond())
            );
        }
        self.progress.above(|| say(&format!("{line}\n")));
    }

    /// Fetches the parts of mirrors that were away, hour by hour. A mirror that is still away goes on owing its parts.
    pub(super) async fn pay_owed(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let indices: Vec<usize> = self.position.merged.owed.inputs().collect();
        if !indices.is_empty() {
            tracing::info!("fetching the parts of mirrors that were away: {} hours", indices.len());
            self.mirrors.hope_again();
        }
        let mut still_away = 0_u8;
        for index in indices {
            let owed = self.position.merged.owed.of(index);
            let Some(ready) = self.fetch_owed(index, owed & !still_away, shutdown).await? else {
                still_away |= owed;
                continue;
            };
            self.rejects.begin();
            let end = self.merge(index, &ready, shutdown).await?;
            still_away |= self.position.merged.owed.of(index);
            self.next()?;
            if matches!(end, InputEnd::LimitReached) {
                self.position.merged.owed = Owed::default();
                break;
            }
        }
        Ok(())
    }

    /// Fetches the files that mirrors `owed`, and then those of the others, whose events are known already. None if no mirror answers
    /// that owes one.
    async fn fetch_owed(
        &self,
        index: usize,
        owed: u8,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Option<Ready>> {
        let input = self.inputs[index].clone();
        let Input::Hour(hour) = input else { return Ok(None) };
        let (mirrors, folder) = (&self.mirrors, self.folder.path());
        let is_owed = |mirror| owed & bit(mirror) != 0;
        let mut fetched = mirrors.fetch_some(is_owed, hour, folder, shutdown).await?;
        if fetched.iter().all(|one| matches!(one, Fetched::Away)) {
            return Ok(None);
        }
        let others = mirrors.fetch_some(|mirror| !is_owed(mirror), hour, folder, shutdown).await?;
        for (mirror, other) in others.into_iter().enumerate().filter(|(mirror, _)| !is_owed(*mirror)) {
            fetched[mirror] = other;
        }
        Ok(Some(Ready { input, fetched }))
    }

    /// Prints what each mirror alone had in all hours, and the hours that lack a part.
    pub(super) fn tell_mirrors(&self) {
        if !self.mirrors.are_several() {
            return;
        }
        for (name, alone) in self.mirrors.names().zip(&self.position.merged.alone) {
            say(&format!("{:>12}  {name} alone\n", HumanCount(*alone).to_string()));
        }
        let owed = &self.position.merged.owed;
        for (mirror, name) in self.mirrors.names().enumerate() {
            let mut hours: Vec<String> = owed
                .inputs()
                .filter(|index| owed.of(*index) & bit(mirror) != 0)
                .map(|index| self.inputs[index].to_string())
                .collect();
            let more = hours.len().saturating_sub(NAMED_MAX);
            hours.truncate(NAMED_MAX);
            if !hours.is_empty() {
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                say(&format!("without {name}, which was away: {}{more}\n", hours.join(", ")));
            }
        }
    }

    /// An input and the mirror that its file is from.
    fn name_of(&self, input: &Input, mirror: usize) -> String {
        format!("{input} of {}", self.mirrors.names().nth(mirror).unwrap_or_default())
    }
}

/// The files to read, known ones first.
fn parts_of(fetched: &[Fetched], owed: u8) -> Vec<Part> {
    let part = |(mirror, fetched): (usize, &Fetched)| {
        let Fetched::File { path, .. } = fetched else { return None };
        Some(Part { mirror, path: path.clone(), is_known: owed != 0 && owed & bit(mirror) == 0 })
    };
    let mut parts: Vec<Part> = fetched.iter().enumerate().filter_map(part).collect();
    parts.sort_by_key(|part| !part.is_known);
    parts
}

fn place_of(fetched: &Fetched) -> Option<&str> {
    match fetched {
        Fetched::Missing { place } => Some(place),
        _ => None,
    }
}
