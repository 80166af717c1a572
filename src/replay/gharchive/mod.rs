//! `replay gharchive`: publishes the events of hours and files.
//!
//! - `merge` publishes an hour of several mirrors, each event once.
//! - `union` knows which mirrors have an event.
//! - `owed` knows the parts of mirrors that were away, `position` how far the replay is.

mod merge;
mod owed;
mod position;
mod union;

use std::path::Path;

use anyhow::bail;
use chrono::Utc;
use futures_util::StreamExt as _;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use self::owed::Owed;
use self::position::Position;
use self::union::Taken;
use super::feeder::{Feeder, Refused, Target};
use super::inputs::{Input, Ready, make_ready};
use super::progress::Progress;
use super::reading;
use super::rejects::Rejects;
use super::state::StateFolder;
use super::tally::{Size, Tally};
use super::{Ended, say};
use crate::broker::{Broker, Outgoing};
use crate::config::{GhArchiveArgs, Tls};
use crate::duration::Rounded;
use crate::gharchive::{Batch, Fetched, Mark, Mirrors, Reject};
use crate::health::Health;

/// A replay under way.
struct Job<'a> {
    args: &'a GhArchiveArgs,
    mirrors: Mirrors,
    inputs: Vec<Input>,
    feeder: Feeder,
    folder: StateFolder,
    /// True if the position is saved. It is not in a dry run, nor for standard input, which cannot be read again.
    remembers: bool,
    position: Position,
    /// The size of the current input on disk, in bytes.
    size: u64,
    rejects: Rejects,
    progress: Progress,
}

/// Why an input's reading ended.
enum InputEnd {
    /// The input has ended.
    Ended,
    /// The limit of `--limit` is reached.
    LimitReached,
}

/// Publishes everything that `args` names.
///
/// # Errors
/// For bad usage, a local disk that refuses, a RabbitMQ that refuses us for good at the start; and when something was
/// rejected, unless `--keep-going`.
pub(super) async fn run(
    args: &GhArchiveArgs,
    broker: &Broker,
    tls: &Tls,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let inputs = Input::expand(&args.what, Utc::now())?;
    let mirrors = Mirrors::new(&args.mirror, tls, health)?;
    let mut job = Job::begin(args, mirrors, inputs, broker, health, &shutdown)?;
    let ended = job.work(&shutdown).await;
    job.feeder.close().await;
    job.end(ended)
}

fn missing(place: &str) -> String {
    format!("missing: no {place}")
}

fn refused(reason: &str) -> String {
    format!("refused: {reason}")
}

/// Removes a file that was downloaded.
fn remove_ours(fetched: &Fetched) {
    let Fetched::File { path, is_ours: true } = fetched else { return };
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!("remove {}: {error}", path.display());
    }
}

impl<'a> Job<'a> {
    fn begin(
        args: &'a GhArchiveArgs,
        mirrors: Mirrors,
        inputs: Vec<Input>,
        broker: &Broker,
        health: &Health,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let target = if args.publish.queue.is_some() { Target::LoadQueue } else { Target::Everywhere };
        let bases: Vec<String> = args.mirror.base_urls()?.iter().map(ToString::to_string).collect();
        let identity = (
            (broker.cluster(), broker.names().load(), &args.publish.queue, args.copies.archive),
            (&args.select.types, args.select.limit, args.select.dry_run, bases.join(","), &inputs),
        );
        let folder = StateFolder::open(&args.state.state_dir, "gharchive", &identity)?;
        let remembers = !args.select.dry_run && !inputs.contains(&Input::Stdin);
        let saved = if args.resume.anew || !remembers { None } else { folder.load::<Position>() };
        let has_work =
            |position: &Position| position.input < inputs.len() || !position.merged.owed.is_empty();
        let position = saved
            .filter(has_work)
            .inspect(|position| position.tell(&inputs))
            .unwrap_or_else(|| Position::at_the_start(bases.len()));
        #[allow(clippy::cast_precision_loss)]
        let fraction = position.input as f64 / inputs.len() as f64;
        let (pace, is_dry) = (&args.publish.pace, args.select.dry_run);
        // A dry run does not connect, so that it does not wait for RabbitMQ to be ready.
        let health = if is_dry { &Health::default() } else { health };
        Ok(Self {
            feeder: Feeder::new(broker, target, pace, is_dry, health, shutdown.clone())
                .with_copies(args.copies.archive && !is_dry, health),
            rejects: Rejects::into(&args.state.state_dir, &position.rejects),
            progress: Progress::start(&position.tally, fraction),
            args,
            mirrors,
            inputs,
            folder,
            remembers,
            position,
            size: 0,
        })
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if !self.args.select.dry_run {
            self.feeder.open().await?;
        }
        let left = self.inputs[self.position.input..].to_vec();
        let mut coming = std::pin::pin!(make_ready(left, &self.mirrors, self.folder.path(), shutdown));
        while let Some(ready) = coming.next().await {
            let end = self.take(ready?, shutdown).await?;
            self.position.input += 1;
            self.next()?;
            if matches!(end, InputEnd::LimitReached) {
                // Nobody wants more events.
                self.position.merged.owed = Owed::default();
                return Ok(());
            }
        }
        self.pay_owed(shutdown).await
    }

    /// Publishes one input.
    async fn take(&mut self, ready: Ready, shutdown: &CancellationToken) -> anyhow::Result<InputEnd> {
        self.rejects.begin();
        if matches!(ready.input, Input::Hour(_)) && self.mirrors.are_several() {
            return self.merge(self.position.input, &ready, shutdown).await;
        }
        let mut end = InputEnd::Ended;
        for fetched in &ready.fetched {
            match fetched {
                Fetched::File { path, .. } => end = self.file(&ready.input, path, shutdown).await?,
                Fetched::Missing { place } => self.lack(&ready.input.to_string(), &missing(place))?,
                Fetched::Refused { reason } => self.lack(&ready.input.to_string(), &refused(reason))?,
                // A mirror alone is asked until it answers.
                Fetched::Away => {}
            }
            remove_ours(fetched);
        }
        Ok(end)
    }

    /// Saves that everything up to the position is done.
    fn next(&mut self) -> anyhow::Result<()> {
        self.position.done = Mark::default();
        self.position.merged.taken = Taken::default();
        self.position.tally_before = self.position.tally.clone();
        self.save(true)
    }

    fn lack(&mut self, input: &str, reason: &str) -> anyhow::Result<()> {
        self.position.tally.rejected += 1;
        self.rejects.keep(input, &Reject::of_file(reason.into()))
    }

    async fn file(
        &mut self,
        input: &Input,
        path: &Path,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<InputEnd> {
        self.size = path.metadata().map_or(0, |metadata| metadata.len());
        let select = self.args.select.clone();
        let mut batches =
            reading::start(input, path, self.position.done, move |event| select.wants(&event.kind));
        loop {
            let batch = tokio::select! {
                batch = batches.recv() => batch,
                () = shutdown.cancelled() => return Err(crate::retry::Interrupted.into()),
            };
            let Some(batch) = batch else { return Ok(InputEnd::Ended) };
            if batch.is_another_file {
                self.begin_input_anew(input);
                continue;
            }
            let (through, bytes_read) = (batch.through, batch.bytes_read);
            self.publish(&input.to_string(), batch).await?;
            // A file that cannot be opened has no lines.
            if through.line > self.position.done.line {
                self.position.done = through;
            }
            self.save(false)?;
            self.show(input, Some(bytes_read));
            if self.is_limit_reached() {
                return Ok(InputEnd::LimitReached);
            }
        }
    }

    fn is_limit_reached(&self) -> bool {
        self.args.select.limit.is_some_and(|limit| self.position.tally.events >= limit)
    }

    /// Begins at the first line again. Events of the other file stay published, and do not count.
    fn begin_input_anew(&mut self, input: &Input) {
        tracing::warn!(
            "{input} does not begin as the file whose first {} lines an earlier run of this command published: it is another file now, read from its beginning",
            HumanCount(self.position.done.line)
        );
        self.position.done = Mark::default();
        self.position.tally = self.position.tally_before.clone();
    }

    /// Publishes a batch and keeps its rejects; only then may the position move.
    async fn publish(&mut self, input: &str, mut batch: Batch) -> anyhow::Result<()> {
        let room =
            self.args.select.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.position.tally.events));
        batch.events.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let mut rejects = batch.rejects;
        let messages: Vec<Outgoing> =
            batch.events.into_iter().map(|event| self.feeder.message(event)).collect();
        let refused = self.feeder.publish_and_count(&messages, &mut self.position.tally).await?;
        self.position.tally.unwanted += batch.unwanted;
        self.position.tally.rejected += rejects.len() as u64;
        rejects.extend(refused.into_iter().map(|Refused { place, reason }| {
            let scrap = messages[place].body.clone();
            Reject { line: batch.through.line, reason, bytes: scrap.len() as u64, scrap }
        }));
        for reject in &rejects {
            self.rejects.keep(input, reject)?;
        }
        Ok(())
    }

    /// Shows the progress; `bytes_read` of the input under way, if how much is left can be known.
    fn show(&mut self, input: &Input, bytes_read: Option<u64>) {
        let (Position { input: index, tally, .. }, size) = (&self.position, self.size);
        let bytes_read = bytes_read.filter(|_| size > 0 && *input != Input::Stdin);
        #[allow(clippy::cast_precision_loss)]
        let fraction = bytes_read
            .map(|bytes_read| (*index as f64 + bytes_read as f64 / size as f64) / self.inputs.len() as f64);
        let place = match self.inputs.len() {
            1 => input.to_string(),
            count => format!("{input} ({} of {count})", index + 1),
        };
        self.progress.show(tally, fraction, &place);
    }

    fn save(&mut self, now: bool) -> anyhow::Result<()> {
        self.rejects.flush()?;
        if !self.remembers {
            return Ok(());
        }
        if now {
            self.folder.save(&self.position)
        } else {
            self.folder.save_if_due(&self.position)
        }
        Ok(())
    }

    /// Prints the summary, and saves or forgets the position.
    fn end(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let took = self.progress.finish();
        // The position is valid, however the work ended.
        let ended = ended.and(self.save(true));
        let is_whole = Ended::of(&ended);
        let Tally { events, bytes, unwanted, rejected, .. } = self.position.tally;
        let verb = if self.args.select.dry_run { "would publish" } else { "published" };
        let rate = HumanCount(self.progress.rate(&self.position.tally));
        say(&format!(
            "{verb} {} events ({}) in {} ({rate}/s), inputs done: {} of {}\n{}",
            HumanCount(events),
            Size(bytes),
            Rounded(took),
            self.position.input,
            self.inputs.len(),
            self.position.tally.table()
        ));
        if unwanted > 0 {
            say(&format!("left out {} of other types\n", HumanCount(unwanted)));
        }
        if rejected > 0 {
            say(&format!("rejected {}: see {}\n", HumanCount(rejected), self.rejects.path().display()));
        }
        self.tell_mirrors();
        let owed = self.position.merged.owed.inputs().count();
        match is_whole {
            Ended::Whole if owed == 0 || !self.remembers => self.folder.forget(),
            Ended::Whole => {}
            Ended::Stopped => {
                say(if self.remembers {
                    "stopped: the same command continues from here\n"
                } else {
                    "stopped\n"
                });
                return ended;
            }
            Ended::Failed => return ended,
        }
        if owed > 0 && !self.args.keep_going {
            let rest =
                if self.remembers { "the same command fetches only these parts" } else { "name them again" };
            bail!(
                "{owed} hours lack the part of a mirror that was away; {rest} (--keep-going takes this for success)"
            );
        }
        if rejected > 0 && !self.args.keep_going {
            bail!(
                "{} were rejected, see {} (--keep-going takes this for success)",
                HumanCount(rejected),
                self.rejects.path().display()
            );
        }
        Ok(())
    }
}
