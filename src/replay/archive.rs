//! `replay archive`: a stretch of the archive stream, message by message, to one load queue.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::archive_batch::choose;
use super::archive_last::LastReplay;
use super::archive_source::Source;
use super::feeder::{Feeder, Target};
use super::progress::Progress;
use super::state::StateFolder;
use super::stretch::{self, Stretch};
use super::tally::{Size, thousands};
use super::{Ended, archive_lack, archive_reset, say};
use crate::broker::{ArchiveReader, ArchiveStart, Archived, Broker, BrokerError};
use crate::config::ArchiveArgs;
use crate::duration::Rounded;
use crate::health::Health;
use crate::lack::Lack;
use crate::retry::{Backoff, Interrupted};

/// Messages published together.
const BATCH: usize = 512;
/// After so many seconds in which nothing comes, RabbitMQ is asked where the archive ends.
const QUIET_MAX: u32 = 10;

/// A replay under way.
struct Job<'a> {
    args: &'a ArchiveArgs,
    source: Source<'a>,
    shutdown: CancellationToken,
    feeder: Feeder,
    folder: StateFolder,
    last: LastReplay,
    position: Stretch,
    progress: Progress,
}

/// Publishes what `args` asks for to the load queue in the broker's names.
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
    stretch::check(args)?;
    let folder = open_folder(args, broker)?;
    let last = LastReplay::of(args, broker);
    let (pace, is_dry_run) = (&args.publish.pace, args.select.dry_run);
    let mut feeder = Feeder::new(broker, Target::LoadQueue, pace, is_dry_run, health, shutdown.clone());
    // First, and in a dry run too, because only the first session tells what waiting cannot mend.
    feeder.open().await?;
    let mut source = Source::new(broker, health, shutdown.clone());
    let position = match go_on(args, &folder, &mut source).await? {
        Some(position) => Some(position),
        None => stretch::find(args, &mut source, &last).await?,
    };
    let Some(position) = position else {
        say("the archive is empty\n");
        folder.forget();
        return Ok(());
    };
    let progress = Progress::start(&position.tally, 0.0);
    let mut job = Job { args, source, shutdown, feeder, folder, last, position, progress };
    let ended = job.work().await;
    job.feeder.close().await;
    job.end(ended)
}

fn open_folder(args: &ArchiveArgs, broker: &Broker) -> anyhow::Result<StateFolder> {
    let identity = (
        broker.names().load(),
        (args.since.map(|at| at.to_string()), args.until.map(|at| at.to_string())),
        (&args.select.types, args.select.limit, args.select.dry_run),
    );
    StateFolder::open(&args.state.state_dir, &archive_reset::name("archive", broker), &identity)
}

/// Where an earlier run of this command was, if there was one.
async fn go_on(
    args: &ArchiveArgs,
    folder: &StateFolder,
    source: &mut Source<'_>,
) -> anyhow::Result<Option<Stretch>> {
    let saved = folder.load::<Stretch>().filter(|_| !args.select.dry_run && !args.resume.anew);
    let Some(position) = saved else { return Ok(None) };
    let Stretch { next, end, ref tally, .. } = position;
    if !position.is_there(source).await? {
        bail!(
            "an earlier run of this command stopped at offset {next} of {end}, and the archive ends before that: it is another one now, or RabbitMQ has lost its end; --anew begins anew"
        )
    }
    tracing::info!(
        "going on at offset {next} up to {end}, where the archive ended when an earlier run of this command began; {} events are published (--anew begins anew)",
        thousands(tally.events)
    );
    Ok(Some(position))
}

impl Job<'_> {
    /// Reads and publishes to the end, over as many sessions as it takes.
    async fn work(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::for_server();
        while !self.is_done() {
            let start = ArchiveStart::Offset(self.position.next);
            let mut reader = self.source.ask(async |broker| broker.read_archive(start).await).await?;
            match self.read(&mut reader, &mut backoff).await? {
                Ok(()) => reader.close().await,
                Err(error) => {
                    self.source.away(&error);
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

    /// Publishes what one session brings.
    async fn read(
        &mut self,
        reader: &mut ArchiveReader,
        backoff: &mut Backoff,
    ) -> anyhow::Result<Result<(), BrokerError>> {
        let mut quiet = 0;
        while !self.is_done() {
            let batch = tokio::select! {
                batch = gather(reader, self.position.end) => batch,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            match batch {
                // Every second that nothing comes.
                Ok(batch) if batch.is_empty() => {
                    quiet += 1;
                    if quiet % QUIET_MAX == 0 {
                        self.note_lost_end().await?;
                    }
                }
                Ok(batch) => {
                    quiet = 0;
                    backoff.reset();
                    self.publish(batch).await?;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
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

    /// Counts and tells events that the fetcher could not write into the archive.
    fn note_lack(&mut self, lack: &Lack) {
        tracing::warn!("{}", archive_lack::sentence(lack, self.args.publish.load_queue()));
        let before = self.position.lack.take();
        self.position.lack = Some(before.map_or_else(|| lack.clone(), |before| before.with(lack)));
    }

    /// Retention goes on while we read: what it overtook is counted, and not waited for.
    fn note_removed(&mut self, batch: &[Archived]) {
        let first = batch.first().map_or(0, |message| message.offset).min(self.position.end);
        if first > self.position.next {
            let gone = first - self.position.next;
            tracing::warn!(
                "{} messages from offset {} on have been removed by retention",
                thousands(gone),
                self.position.next
            );
            self.position.removed += gone;
            self.position.next = first;
        }
    }

    /// Everything up to the end that was fixed was there once. Where RabbitMQ has lost it, nobody can wait for it.
    async fn note_lost_end(&mut self) -> anyhow::Result<()> {
        if self.position.is_there(&mut self.source).await? {
            return Ok(());
        }
        let Stretch { next, end, .. } = self.position;
        tracing::error!(
            "the archive ends before offset {end} now: RabbitMQ has lost what stood from {next} on"
        );
        self.position.removed += end - next;
        self.position.end = next;
        Ok(())
    }

    fn show(&mut self) {
        let Stretch { next, end, ref tally, .. } = self.position;
        #[allow(clippy::cast_precision_loss)]
        let fraction = next as f64 / end.max(1) as f64;
        self.progress.show(tally, Some(fraction), &format!("the archive, offset {next} of {end}"));
    }

    /// Says what was done, and remembers or forgets the position.
    fn end(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let took = Rounded(self.progress.finish());
        let Stretch { next, removed, ref lack, ref tally, .. } = self.position;
        let is_dry = self.args.select.dry_run;
        let verb = if is_dry { "would publish" } else { "published" };
        let rate = thousands(self.progress.rate(tally));
        let (events, size) = (thousands(tally.events), Size(tally.bytes));
        say(&format!(
            "{verb} {events} events ({size}) of the archive up to offset {next} in {took} ({rate}/s)\n{}",
            tally.table()
        ));
        if tally.unwanted > 0 {
            say(&format!("left out {} of other types\n", thousands(tally.unwanted)));
        }
        if let Some(lack) = lack {
            say(&archive_lack::summary(lack));
        }
        if !is_dry {
            self.folder.save(&self.position);
        }
        match Ended::of(&ended) {
            Ended::Failed => return ended,
            Ended::Stopped => {
                say(if is_dry { "stopped\n" } else { "stopped: the same command goes on from here\n" });
                return ended;
            }
            Ended::Whole if is_dry => {}
            Ended::Whole => {
                self.last.save(next);
                say(&format!("replay archive {} goes on behind this\n", self.last.flags()));
            }
        }
        let (rejected, is_whole) = (tally.rejected, removed == 0 && lack.is_none());
        self.folder.forget();
        if rejected > 0 {
            bail!("{rejected} messages are larger than RabbitMQ takes now: see the log");
        }
        if !is_whole && !self.args.keep_going {
            bail!(
                "not all that was asked for is in the archive, see the log (--keep-going takes this for success)"
            );
        }
        Ok(())
    }
}

/// The messages that are there, up to the one before `end`; none when nothing comes for a moment. They are let go at once: what
/// RabbitMQ sends ahead is bounded by the prefetch.
async fn gather(reader: &mut ArchiveReader, end: u64) -> Result<Vec<Archived>, BrokerError> {
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
