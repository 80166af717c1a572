//! Reads the archive stream, hands its messages to the writer, and says when hours are due.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::Utc;
use indicatif::HumanCount;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::super::archive::gather;
use super::super::archive_access::ArchiveAccess;
use super::super::progress::Progress;
use super::super::queue_access::SessionError;
use super::super::tally::{Size, Tally};
use super::super::{Ended, archive_lack, archive_reset, say, stream_range};
use super::cursor::Cursor;
use super::folder::Folder;
use super::writer::{Stream, Writer};
use crate::broker::{ArchiveReader, ArchiveStart, Broker};
use crate::config::ExportArgs;
use crate::duration::Rounded;
use crate::health::Health;
use crate::retry::{Backoff, Interrupted};

/// Seconds without a message after which RabbitMQ is asked where the archive ends.
const QUIET_MAX: u32 = 10;
/// The same with `--follow`, where silence is usual.
const QUIET_MAX_FOLLOWING: u32 = 60;
/// How often RabbitMQ must say that the archive ends too early.
const LOOKS: u32 = 3;

/// An export under way.
struct Job<'a> {
    args: &'a ExportArgs,
    archive: ArchiveAccess<'a>,
    shutdown: CancellationToken,
    writer: Arc<Mutex<Writer>>,
    /// The offset behind the last message that is wanted. None with `--follow`, and before the archive's end is known.
    end: Option<u64>,
    /// The offset behind the last message that was there when the session began. Hours are due by the clock only after it: before,
    /// the export is behind the clock.
    there: u64,
    progress: Progress,
}

/// Writes the range that `args` gives into files; with `--follow`, until `shutdown`.
///
/// # Errors
/// For bad usage, a folder that cannot be written or is in use, a RabbitMQ that refuses us for good at the start, an archive that it has
/// lost; and when the archive does not have all that was asked for, unless `--keep-going`.
pub(in super::super) async fn run(
    args: &ExportArgs,
    broker: &Broker,
    health: &Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    args.check()?;
    stream_range::check(args.since, args.until)?;
    let folder = Folder::open(&args.to, &(archive_reset::name("export", broker), &args.types))?;
    let mut job = Job::begin(args, broker, folder, health, shutdown).await?;
    let ended = job.work().await;
    job.end(ended)
}

impl<'a> Job<'a> {
    /// Connects, and resolves where to begin and to end.
    async fn begin(
        args: &'a ExportArgs,
        broker: &'a Broker,
        folder: Folder,
        health: &Health,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut archive = ArchiveAccess::new(broker, health, shutdown.clone());
        let saved = if args.anew { None } else { folder.load() };
        let (begin, end, removed) = match (args.since, args.until) {
            (None, None) => (saved, None, 0),
            range => {
                // `check` has refused `last`.
                match stream_range::find(range, &mut archive, || Ok(0)).await? {
                    Some(range) => (Some(Cursor::at(range.next)), Some(range.end), range.removed),
                    None => (None, Some(0), 0),
                }
            }
        };
        if let Some(begin) = begin.filter(|_| saved.is_some() && args.since.is_none()) {
            tracing::info!(
                "continuing at offset {}: the events before it are in {} (--anew begins at the archive's first message)",
                begin.next,
                args.to.display()
            );
        }
        let mut writer = Writer::new(args, folder, begin, args.load_queue(), shutdown.clone());
        writer.totals.removed = removed;
        let (writer, progress) = (Arc::new(Mutex::new(writer)), Progress::start(&Tally::default(), 0.0));
        Ok(Self { args, archive, shutdown, writer, end, there: 0, progress })
    }
}

impl Job<'_> {
    /// Reads to the end, over as many sessions as it takes.
    async fn work(&mut self) -> anyhow::Result<()> {
        let mut backoff = Backoff::for_server();
        self.look_at_the_end(&mut backoff).await?;
        while !self.is_done() {
            let start = ArchiveStart::Offset(self.cursor().begin());
            let mut reader = self.archive.ask(async |broker| broker.read_archive(start).await).await?;
            match self.read(&mut reader, &mut backoff).await {
                Ok(()) if self.is_done() => reader.close().await,
                Ok(()) => {
                    reader.close().await;
                    self.look_at_the_end(&mut backoff).await?;
                }
                Err(SessionError::Final(error)) => return Err(error),
                Err(SessionError::Lost(error)) => {
                    self.archive.away(&error);
                    backoff.pause(&self.shutdown).await?;
                    self.look_at_the_end(&mut backoff).await?;
                }
            }
        }
        self.write(Writer::commit_all).await
    }

    /// Asks where the archive ends. If that is before the cursor, it is another stream, and the cursor goes to its first message.
    async fn look_at_the_end(&mut self, backoff: &mut Backoff) -> anyhow::Result<()> {
        for _ in 0..LOOKS {
            self.there = self.ask_end().await?;
            if self.there >= self.cursor().next {
                break;
            }
            // A RabbitMQ that has just started may not know yet.
            backoff.pause(&self.shutdown).await?;
        }
        if self.there < self.cursor().next {
            self.write(Writer::begin_anew).await?;
        }
        if !self.args.follow {
            self.end.get_or_insert(self.there);
        }
        Ok(())
    }

    /// The offset behind the archive's last message.
    async fn ask_end(&mut self) -> anyhow::Result<u64> {
        Ok(self.archive.end().await?.map_or(0, |last| last + 1))
    }

    fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.cursor().next >= end)
    }

    fn cursor(&self) -> Cursor {
        self.writer.lock().cursor
    }

    /// Takes the messages of one session. Ends early if the stream is another one than before.
    async fn read(&mut self, reader: &mut ArchiveReader, backoff: &mut Backoff) -> Result<(), SessionError> {
        let (mut quiet, end) = (0, self.end.unwrap_or(u64::MAX));
        while !self.is_done() {
            let batch = tokio::select! {
                batch = gather(reader, end) => batch?,
                () = self.shutdown.cancelled() => return Err(Interrupted.into()),
            };
            if batch.is_empty() {
                // A second has passed in which nothing came.
                quiet += 1;
                if self.is_silent_too_long(quiet).await? {
                    return Ok(());
                }
            } else {
                quiet = 0;
                backoff.reset();
                if self.write(move |writer| writer.take(&batch, end)).await? == Stream::Another {
                    self.write(Writer::begin_anew).await?;
                    return Ok(());
                }
            }
            self.look_at_the_clock().await?;
        }
        Ok(())
    }

    /// True if the session is of no use, because the archive ends before the cursor or before the range does.
    async fn is_silent_too_long(&mut self, quiet: u32) -> anyhow::Result<bool> {
        let most = if self.end.is_none() { QUIET_MAX_FOLLOWING } else { QUIET_MAX };
        if !quiet.is_multiple_of(most) {
            return Ok(false);
        }
        let there = self.ask_end().await?;
        let next = self.cursor().next;
        let Some(end) = self.end else { return Ok(there < next) };
        if there < end {
            tracing::error!(
                "the archive ends before offset {end} now: RabbitMQ has lost the messages from {next} on"
            );
            self.writer.lock().totals.removed += end.saturating_sub(next);
            self.end = Some(next);
        }
        Ok(false)
    }

    /// Writes the hours that are due, saves the position, and shows the progress.
    async fn look_at_the_clock(&mut self) -> anyhow::Result<()> {
        let is_behind = self.cursor().next < self.there;
        if self.args.follow && !is_behind {
            self.write(|writer| writer.commit_due(Utc::now())).await?;
        }
        if self.remembers() {
            self.write(Writer::save_if_due).await?;
        }
        if is_behind {
            let (writer, there) = (self.writer.lock(), self.there);
            #[allow(clippy::cast_precision_loss)]
            let fraction = writer.cursor.next as f64 / there.max(1) as f64;
            let place = format!("the archive, offset {} of {there}", writer.cursor.next);
            self.progress.show(&writer.tally, Some(fraction), &place);
        }
        Ok(())
    }

    /// True if the position is saved. A range that was asked for says nothing about the messages before it.
    fn remembers(&self) -> bool {
        self.args.since.is_none() && self.args.until.is_none()
    }

    /// Lets the writer work, in a thread of its own: compressing and syncing take seconds.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let writer = Arc::clone(&self.writer);
        tokio::task::spawn_blocking(move || work(&mut writer.lock())).await?.with_context(|| {
            format!(
                "export into {} (its files are whole; the same command continues once this is repaired)",
                self.args.to.display()
            )
        })
    }

    /// Saves the position and prints the summary.
    fn end(self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        let (took, remembers) = (Rounded(self.progress.finish()), self.remembers());
        let mut writer = self.writer.lock();
        let ended = ended.and(if remembers { writer.save() } else { Ok(()) });
        let (events, size) = (HumanCount(writer.tally.events), Size(writer.tally.bytes));
        let (rate, next) = (HumanCount(self.progress.rate(&writer.tally)), writer.cursor.next);
        say(&format!(
            "read {events} events ({size}) of the archive up to offset {next} in {took} ({rate}/s)\n{}",
            writer.totals.summary(Utc::now())
        ));
        if let Some(lack) = &writer.totals.lack {
            say(&archive_lack::summary(lack));
        }
        match Ended::of(&ended) {
            Ended::Failed => return ended,
            Ended::Stopped => {
                say(if remembers { "stopped: the same command continues from here\n" } else { "stopped\n" });
                return ended;
            }
            Ended::Whole => {}
        }
        if !writer.totals.is_whole() && !self.args.keep_going {
            bail!(
                "not all that was asked for is in the archive, see the log (--keep-going takes this for success)"
            );
        }
        Ok(())
    }
}
