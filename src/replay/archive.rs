//! `replay archive`: publishes a range of the archive stream, message by message, to one load queue.

use anyhow::bail;
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::archive_access::ArchiveAccess;
use super::archive_batch::choose;
use super::archive_last::LastReplay;
use super::feeder::{Feeder, Target};
use super::progress::Progress;
use super::queue_access::SessionError;
use super::state::StateFolder;
use super::stream_range::{self, StreamRange};
use super::tally::Size;
use super::{Ended, archive_lack, archive_reset, say};
use crate::broker::{ArchiveReader, ArchiveStart, Archived, Broker, BrokerError, OWN_ENTRIES_MAX};
use crate::config::ArchiveArgs;
use crate::duration::Rounded;
use crate::health::Health;
use crate::lack::Lack;
use crate::retry::{Backoff, Interrupted};

/// Messages published together.
const BATCH: usize = 512;
/// Seconds without a message after which RabbitMQ is asked where the archive ends.
const QUIET_MAX: u32 = 10;

/// A replay under way.
struct Job<'a> {
    args: &'a ArchiveArgs,
    archive: ArchiveAccess<'a>,
    shutdown: CancellationToken,
    feeder: Feeder,
    folder: StateFolder,
    last_replay: LastReplay,
    position: StreamRange,
    progress: Progress,
}

/// Publishes the range that `args` gives to the broker's load queue, or resets the archive.
///
/// # Errors
/// For bad usage, an offset behind the end, a RabbitMQ that refuses us for good at the start, an archive that it has lost; and
/// when the archive does not have all that was asked for, unless `--keep-going`.
pub(super) async fn run(
    args: &ArchiveArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    if args.reset {
        return archive_reset::run(args, broker, health, shutdown).await;
    }
    stream_range::check(args.since, args.until)?;
    let source =
        args.from.as_ref().map_or_else(|| broker.clone(), |namespace| broker.of_namespace(namespace));
    let Some(mut job) = Job::begin(args, broker, &source, health, shutdown).await? else {
        say("the archive is empty\n");
        return Ok(());
    };
    let ended = job.work().await;
    job.feeder.close().await;
    job.end(ended)
}

fn open_folder(args: &ArchiveArgs, broker: &Broker, source: &Broker) -> anyhow::Result<StateFolder> {
    let identity = (
        broker.names().load(),
        (args.since.map(|at| at.to_string()), args.until.map(|at| at.to_string())),
        (&args.select.types, args.select.limit, args.select.dry_run),
    );
    StateFolder::open(&args.state.state_dir, &archive_reset::name("archive", source), &identity)
}

/// Looks for the archive of another namespace. Reading it would declare it.
///
/// # Errors
/// When there is none.
async fn check_source(archive: &mut ArchiveAccess<'_>, source: &Broker) -> anyhow::Result<()> {
    if archive.ask(async |source| source.archive_size().await).await?.is_none() {
        bail!("--from: there is no stream {} at {}", source.names().archive(), source.address());
    }
    Ok(())
}

/// The position of an earlier run of this command, if there was one.
async fn resume(
    args: &ArchiveArgs,
    folder: &StateFolder,
    archive: &mut ArchiveAccess<'_>,
) -> anyhow::Result<Option<StreamRange>> {
    let saved = folder.load::<StreamRange>().filter(|_| !args.select.dry_run && !args.resume.anew);
    let Some(position) = saved else { return Ok(None) };
    let StreamRange { next, end, ref tally, .. } = position;
    if !position.is_there(archive).await? {
        bail!(
            "an earlier run of this command stopped at offset {next} of {end}, and the archive ends before that: the archive was declared again, or RabbitMQ has lost its end; --anew begins at the start"
        )
    }
    tracing::info!(
        "continuing at offset {next} up to {end}, where the archive ended when an earlier run of this command began; {} events are published (--anew begins at the start)",
        HumanCount(tally.events)
    );
    Ok(Some(position))
}

impl<'a> Job<'a> {
    /// Connects and resolves the range to publish. None if the archive is empty.
    async fn begin(
        args: &'a ArchiveArgs,
        broker: &'a Broker,
        source: &'a Broker,
        health: &Health,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let folder = open_folder(args, broker, source)?;
        let last_replay = LastReplay::of(args, source, broker);
        let (pace, is_dry_run) = (&args.publish.pace, args.select.dry_run);
        let mut feeder = Feeder::new(broker, Target::LoadQueue, pace, is_dry_run, health, shutdown.clone());
        // First, also in a dry run: only the first session reports faults that waiting cannot help.
        feeder.open().await?;
        let mut archive = ArchiveAccess::new(source, health, shutdown.clone());
        if args.from.is_some() {
            check_source(&mut archive, source).await?;
        }
        let position = match resume(args, &folder, &mut archive).await? {
            Some(position) => Some(position),
            None => stream_range::find((args.since, args.until), &mut archive, || last_replay.next()).await?,
        };
        let Some(position) = position else {
            folder.forget();
            return Ok(None);
        };
        let progress = Progress::start(&position.tally, 0.0);
        Ok(Some(Self { args, archive, shutdown, feeder, folder, last_replay, position, progress }))
    }
}

impl Job<'_> {
    /// Reads and publishes to the end, over as many sessions as it takes.
    async fn work(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::for_server();
        while !self.is_done() {
            let start = ArchiveStart::Offset(self.position.next);
            let mut reader = self.archive.ask(async |broker| broker.read_archive(start).await).await?;
            match self.read(&mut reader, &mut backoff).await {
                Ok(()) => reader.close().await,
                Err(SessionError::Final(error)) => return Err(error),
                Err(SessionError::Lost(error)) => {
                    self.archive.away(&error);
                    backoff.pause(&self.shutdown).await?;
                }
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let is_enough = self.args.select.limit.is_some_and(|limit| self.position.tally.events >= limit);
        self.position.next >= self.position.end || is_enough
    }

    /// Publishes the messages that one session delivers.
    async fn read(&mut self, reader: &mut ArchiveReader, backoff: &mut Backoff) -> Result<(), SessionError> {
        let mut quiet = 0;
        while !self.is_done() {
            let batch = tokio::select! {
                batch = gather(reader, self.position.end) => batch?,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            if batch.is_empty() {
                // A second has passed in which nothing came.
                quiet += 1;
                if quiet % QUIET_MAX == 0 {
                    self.note_lost_end().await?;
                }
            } else {
                quiet = 0;
                backoff.reset();
                self.publish(batch).await?;
            }
        }
        Ok(())
    }

    async fn publish(&mut self, batch: Vec<Archived>) -> anyhow::Result<()> {
        self.note_removed(&batch);
        let chosen = choose(batch, &self.position, &self.args.select);
        for refused in self.feeder.publish_and_count(&chosen.messages, &mut self.position.tally).await? {
            // RabbitMQ took it once, so its limit was lowered since. The message stays in the archive.
            tracing::error!("not published: {}", refused.reason);
        }
        self.position.tally.unwanted += chosen.unwanted;
        chosen.lacks.iter().for_each(|lack| self.note_lack(lack));
        self.position.next = chosen.next;
        if !self.args.select.dry_run {
            self.folder.save_if_due(&self.position);
        }
        self.show();
        Ok(())
    }

    /// Counts and logs events that the fetcher could not write into the archive.
    fn note_lack(&mut self, lack: &Lack) {
        tracing::warn!("{}", archive_lack::sentence(lack, self.args.publish.load_queue()));
        let before = self.position.lack.take();
        self.position.lack = Some(before.map_or_else(|| lack.clone(), |before| before.with(lack)));
    }

    /// Counts messages that retention removed before they were read.
    fn note_removed(&mut self, batch: &[Archived]) {
        let first = batch.first().map_or(0, |message| message.offset).min(self.position.end);
        let gone = first.saturating_sub(self.position.next);
        if gone > OWN_ENTRIES_MAX {
            tracing::warn!(
                "{} messages from offset {} on have been removed by retention",
                HumanCount(gone),
                self.position.next
            );
            self.position.removed += gone;
            self.position.next = first;
        }
    }

    /// Ends the range early if RabbitMQ has lost the end of the stream: those messages will not come.
    async fn note_lost_end(&mut self) -> anyhow::Result<()> {
        if self.position.is_there(&mut self.archive).await? {
            return Ok(());
        }
        let StreamRange { next, end, .. } = self.position;
        tracing::error!(
            "the archive ends before offset {end} now: RabbitMQ has lost the messages from {next} on"
        );
        self.position.removed += end - next;
        self.position.end = next;
        Ok(())
    }

    fn show(&mut self) {
        let StreamRange { next, end, ref tally, .. } = self.position;
        #[allow(clippy::cast_precision_loss)]
        let fraction = next as f64 / end.max(1) as f64;
        self.progress.show(tally, Some(fraction), &format!("the archive, offset {next} of {end}"));
    }

    /// Prints the summary, and saves or forgets the position.
    fn end(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        self.print_summary();
        let is_dry = self.args.select.dry_run;
        if !is_dry {
            self.folder.save(&self.position);
        }
        match Ended::of(&ended) {
            Ended::Failed => return ended,
            Ended::Stopped => {
                say(if is_dry { "stopped\n" } else { "stopped: the same command continues from here\n" });
                return ended;
            }
            Ended::Whole if is_dry => {}
            Ended::Whole => {
                self.last_replay.save(self.position.next);
                say(&format!("replay archive {} continues after this\n", self.last_replay.flags()));
            }
        }
        self.folder.forget();
        check_whole(&self.position, self.args.keep_going)
    }

    fn print_summary(&self) {
        let took = Rounded(self.progress.finish());
        let StreamRange { next, ref lack, ref tally, .. } = self.position;
        let verb = if self.args.select.dry_run { "would publish" } else { "published" };
        let (events, size) = (HumanCount(tally.events), Size(tally.bytes));
        let (rate, table) = (HumanCount(self.progress.rate(tally)), tally.table());
        say(&format!(
            "{verb} {events} events ({size}) of the archive up to offset {next} in {took} ({rate}/s)\n{table}"
        ));
        if tally.unwanted > 0 {
            say(&format!("left out {} of other types\n", HumanCount(tally.unwanted)));
        }
        if let Some(lack) = lack {
            say(&archive_lack::summary(lack));
        }
    }
}

/// An error if messages were refused, or if the archive did not have all that was asked for, unless `--keep-going`.
fn check_whole(position: &StreamRange, keep_going: bool) -> anyhow::Result<()> {
    let rejected = position.tally.rejected;
    if rejected > 0 {
        bail!("{rejected} messages are larger than RabbitMQ takes now: see the log");
    }
    let is_whole = position.removed == 0 && position.lack.is_none();
    if !is_whole && !keep_going {
        bail!(
            "not all that was asked for is in the archive, see the log (--keep-going takes this for success)"
        );
    }
    Ok(())
}

/// The messages that have arrived, up to the one before `end`; none when nothing comes for a second. They are acked at once, so that
/// RabbitMQ sends more; the prefetch bounds their number.
pub(super) async fn gather(reader: &mut ArchiveReader, end: u64) -> Result<Vec<Archived>, BrokerError> {
    let mut batch = Vec::new();
    let Some(mut message) = reader.next_soon().await? else { return Ok(batch) };
    loop {
        let (tag, is_last) = (message.tag, message.offset + 1 >= end);
        batch.push(message);
        let next = if is_last || batch.len() == BATCH { None } else { reader.next_arrived() };
        message = match next {
            Some(next) => next?,
            None => {
                reader.ack_through(tag).await?;
                return Ok(batch);
            }
        };
    }
}
