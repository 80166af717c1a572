//! `replay gharchive`: publishes the events of hours and files.

use std::path::Path;

use anyhow::bail;
use chrono::Utc;
use futures_util::StreamExt as _;
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

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
use crate::gharchive::{Batch, Fetched, Mark, Mirror, Reject};
use crate::health::Health;

/// A position: every event before it is published and confirmed, rejected, or not wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Position {
    /// The input, by its place in the command.
    input: usize,
    /// The lines of this input that are done. A file that begins with other lines is another file, and read from its beginning.
    done: Mark,
    tally: Tally,
    /// The tally before this input.
    tally_before: Tally,
    /// The name of the file of rejects.
    rejects: String,
}

/// A replay under way.
struct Job<'a> {
    args: &'a GhArchiveArgs,
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
    let mirror = Mirror::new(&args.mirror.base_url()?, tls, health)?;
    let mut job = Job::begin(args, inputs, broker, health, &shutdown)?;
    let ended = job.work(&mirror, &shutdown).await;
    job.feeder.close().await;
    job.end(ended)
}

impl<'a> Job<'a> {
    fn begin(
        args: &'a GhArchiveArgs,
        inputs: Vec<Input>,
        broker: &Broker,
        health: &Health,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let target = if args.publish.queue.is_some() { Target::LoadQueue } else { Target::Everywhere };
        let identity = (
            (broker.cluster(), broker.names().load(), &args.publish.queue, args.copies.archive),
            (
                &args.select.types,
                args.select.limit,
                args.select.dry_run,
                args.mirror.base_url()?.to_string(),
                &inputs,
            ),
        );
        let folder = StateFolder::open(&args.state.state_dir, "gharchive", &identity)?;
        let anew = Position {
            input: 0,
            done: Mark::default(),
            tally: Tally::default(),
            tally_before: Tally::default(),
            rejects: Rejects::new_name(),
        };
        let remembers = !args.select.dry_run && !inputs.contains(&Input::Stdin);
        let saved = if args.resume.anew || !remembers { None } else { folder.load::<Position>() };
        let position = match saved.filter(|position| position.input < inputs.len()) {
            Some(position) => {
                let (events, input) = (HumanCount(position.tally.events), &inputs[position.input]);
                tracing::info!(
                    "continuing after line {} of {input}, where an earlier run of this command stopped; {events} events are published (--anew begins at the start)",
                    position.done.line
                );
                position
            }
            None => anew,
        };
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
            inputs,
            folder,
            remembers,
            position,
            size: 0,
        })
    }

    async fn work(&mut self, mirror: &Mirror, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if !self.args.select.dry_run {
            self.feeder.open().await?;
        }
        let left = self.inputs[self.position.input..].to_vec();
        let mut coming = std::pin::pin!(make_ready(left, mirror, self.folder.path(), shutdown));
        while let Some(ready) = coming.next().await {
            if matches!(self.take(ready?, shutdown).await?, InputEnd::LimitReached) {
                break;
            }
        }
        Ok(())
    }

    /// Publishes one input.
    async fn take(&mut self, ready: Ready, shutdown: &CancellationToken) -> anyhow::Result<InputEnd> {
        self.rejects.begin();
        let mut end = InputEnd::Ended;
        match ready.fetched {
            Fetched::File { path, is_ours } => {
                end = self.file(&ready.input, &path, shutdown).await?;
                if is_ours && let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!("remove {}: {error}", path.display());
                }
            }
            Fetched::Missing { place } => self.lack(&ready.input, &format!("missing: no {place}"))?,
            Fetched::Refused { reason } => self.lack(&ready.input, &format!("refused: {reason}"))?,
        }
        self.position.input += 1;
        self.position.done = Mark::default();
        self.position.tally_before = self.position.tally.clone();
        self.save(true)?;
        Ok(end)
    }

    fn lack(&mut self, input: &Input, reason: &str) -> anyhow::Result<()> {
        self.position.tally.rejected += 1;
        self.rejects.keep(&input.to_string(), &Reject::of_file(reason.into()))
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
            self.batch(input, batch).await?;
            if self.args.select.limit.is_some_and(|limit| self.position.tally.events >= limit) {
                return Ok(InputEnd::LimitReached);
            }
        }
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

    /// Publishes a batch and keeps its rejects; only then does the position move.
    async fn batch(&mut self, input: &Input, mut batch: Batch) -> anyhow::Result<()> {
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
            self.rejects.keep(&input.to_string(), reject)?;
        }
        // A file that cannot be opened has no lines.
        if batch.through.line > self.position.done.line {
            self.position.done = batch.through;
        }
        self.save(false)?;
        self.show(input, batch.bytes_read);
        Ok(())
    }

    fn show(&mut self, input: &Input, bytes_read: u64) {
        let (Position { input: index, tally, .. }, size) = (&self.position, self.size);
        #[allow(clippy::cast_precision_loss)]
        let fraction = (size > 0 && *input != Input::Stdin)
            .then(|| (*index as f64 + bytes_read as f64 / size as f64) / self.inputs.len() as f64);
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
        match is_whole {
            Ended::Whole => self.folder.forget(),
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
