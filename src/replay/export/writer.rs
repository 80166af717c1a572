//! Takes messages of the archive and writes their events into hourly files. Blocking.
//!
//! The files are the only record of what is done: an event goes into a file unless the file has it. So a message may be read again at
//! any time. The position on disk must not be later than the first message whose event is in no file yet.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use indicatif::HumanCount;
use tokio_util::sync::CancellationToken;

use super::super::archive_lack;
use super::super::tally::{Size, Tally};
use super::cursor::{Cursor, Sight};
use super::folder::Folder;
use super::hour_file::{self, Added};
use super::line;
use super::spool::{Spool, Taken};
use super::spools::{Limits, Spools};
use super::totals::Totals;
use crate::broker::{Archived, OWN_ENTRIES_MAX};
use crate::config::ExportArgs;
use crate::event::{Event, Hour, HourName};
use crate::lack::{self, Lack};
use crate::terminal::Escaped;

/// How long late events are gathered before they are added to a file that exists: the file is read and copied each time.
const LATE_EVERY: Duration = Duration::from_secs(3600);

/// The state of an export.
pub(super) struct Writer {
    folder: Folder,
    spools: Spools,
    types: Vec<String>,
    grace: Duration,
    /// Where the export is in the stream.
    pub(super) cursor: Cursor,
    /// The cursor is before the first message there is: none is missing before that.
    begins_at_first: bool,
    /// The load queue that messages about missing events name.
    queue: String,
    stop: CancellationToken,
    pub(super) totals: Totals,
    /// Events read.
    pub(super) tally: Tally,
}

/// Whether a batch was of the stream that was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Same,
    Another,
}

impl Writer {
    /// A writer that begins at `begin`, or at the first message there is.
    pub(super) fn new(
        args: &ExportArgs,
        folder: Folder,
        begin: Option<Cursor>,
        queue: &str,
        stop: CancellationToken,
    ) -> Self {
        Self {
            folder,
            spools: Spools::new(Limits::USUAL),
            types: args.types.clone(),
            grace: args.grace,
            cursor: begin.unwrap_or_default(),
            begins_at_first: begin.is_none(),
            queue: queue.to_owned(),
            stop,
            totals: Totals::default(),
            tally: Tally::default(),
        }
    }

    /// Takes the messages of `batch` before offset `end`.
    ///
    /// # Errors
    /// As [`hour_file::add`]. Messages from the cursor on are not taken then.
    pub(super) fn take(&mut self, batch: &[Archived], end: u64) -> anyhow::Result<Stream> {
        for message in batch.iter().take_while(|message| message.offset < end) {
            match self.cursor.look_at(message.offset, &message.body) {
                Sight::Done => continue,
                Sight::AnotherStream => return Ok(Stream::Another),
                Sight::Ahead { missing } => self.note_missing(missing, message.offset),
            }
            self.message(message)?;
            self.cursor = Cursor::behind(message.offset, &message.body);
            self.begins_at_first = false;
        }
        self.spools.bound_lines().with_context(|| format!("write into {}", self.folder.root().display()))?;
        while let Some(hour) = self.spools.overdue(self.cursor.next) {
            self.commit(hour)?;
        }
        Ok(Stream::Same)
    }

    /// Tells of the messages between the cursor and `offset`, and goes there.
    fn note_missing(&mut self, missing: u64, offset: u64) {
        if missing == 0 {
            return;
        }
        if !self.begins_at_first && missing > OWN_ENTRIES_MAX {
            tracing::warn!(
                "{} messages from offset {} on have been removed by retention",
                HumanCount(missing),
                self.cursor.next
            );
            self.totals.removed += missing;
        }
        self.cursor = Cursor::at(offset);
    }

    fn message(&mut self, message: &Archived) -> anyhow::Result<()> {
        if message.envelope.kind().as_deref() == Some(lack::KIND) {
            return self.lack(message);
        }
        match Event::parse(&message.body) {
            Ok(event) if self.types.is_empty() || self.types.iter().any(|kind| *kind == event.kind) => {
                self.event(&event, &message.body)
            }
            Ok(_) => {
                self.totals.unwanted += 1;
                Ok(())
            }
            Err(reason) => {
                // One line for all of them: a stream full of such messages must not fill the log.
                if self.totals.invalid == 0 {
                    let (offset, reason) = (message.offset, reason.to_string());
                    tracing::warn!(
                        "offset {offset} of the archive is no event and in no file ({}); others like it are only counted",
                        Escaped(&reason)
                    );
                }
                self.totals.invalid += 1;
                Ok(())
            }
        }
    }

    fn event(&mut self, event: &Event<'_>, body: &[u8]) -> anyhow::Result<()> {
        let hour = event.hour();
        self.tally.event(&event.kind, body.len());
        let Self { spools, folder, cursor, grace, .. } = self;
        let spool = spools
            .of(hour, || Spool::new(folder.spool(hour), *cursor, due(folder, hour, *grace, Utc::now())));
        match spool.take(line::mark(event), body) {
            Taken::Line => {}
            Taken::Joined => self.totals.joined += 1,
            Taken::Duplicate => self.totals.duplicates += 1,
        }
        let written = self.spools.write_if_full(hour);
        written.with_context(|| format!("write {}", self.folder.spool(hour).display()))
    }

    fn lack(&mut self, message: &Archived) -> anyhow::Result<()> {
        match Lack::parse(&message.body) {
            Ok(lack) => {
                tracing::warn!("{}", archive_lack::sentence(&lack, &self.queue));
                self.totals.lack(&lack);
                self.folder.note_lack(&lack)
            }
            Err(why) => {
                let (offset, why) = (message.offset, Escaped(&why));
                tracing::warn!("offset {offset} of the archive is no valid record of missing events: {why}");
                Ok(())
            }
        }
    }

    /// Writes the files of hours that are due by the clock.
    ///
    /// # Errors
    /// As [`hour_file::add`].
    pub(super) fn commit_due(&mut self, now: DateTime<Utc>) -> anyhow::Result<()> {
        let due = self.spools.hours_where(|spool| spool.due <= now);
        due.into_iter().try_for_each(|hour| self.commit(hour))
    }

    /// Writes the files of all hours.
    ///
    /// # Errors
    /// As [`hour_file::add`].
    pub(super) fn commit_all(&mut self) -> anyhow::Result<()> {
        self.spools.hours().into_iter().try_for_each(|hour| self.commit(hour))
    }

    fn commit(&mut self, hour: Hour) -> anyhow::Result<()> {
        let (file, whole) = (self.folder.file(hour), self.folder.whole());
        let Some(spool) = self.spools.get_mut(hour) else { return Ok(()) };
        let added = hour_file::add(spool, &file, &whole, &self.stop)?;
        self.spools.remove(hour);
        self.totals.add(hour, added);
        tell(hour, added);
        Ok(())
    }

    /// Goes on at the first message of another stream that has taken the name of the archive. The events that are in no file yet are
    /// in no stream any more, so their files are written now.
    ///
    /// # Errors
    /// As [`hour_file::add`], and the disk's.
    pub(super) fn begin_anew(&mut self) -> anyhow::Result<()> {
        tracing::warn!(
            "the archive ended before offset {} or has another message there: it was declared again, or RabbitMQ has lost its end; beginning at its first message, and events that files have are not written again",
            self.cursor.next
        );
        self.commit_all()?;
        (self.cursor, self.begins_at_first) = (Cursor::default(), true);
        self.folder.save(self.cursor)
    }

    /// Saves the position, unless it was saved a moment ago.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn save_if_due(&mut self) -> anyhow::Result<()> {
        let safe = self.safe();
        self.folder.save_if_due(safe)
    }

    /// Saves the position.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        let safe = self.safe();
        self.folder.save(safe)
    }

    /// The place up to which all events are in files.
    fn safe(&self) -> Cursor {
        self.spools.begin().unwrap_or(self.cursor)
    }
}

/// When an hour whose first event comes `now` is written: when it is over, and if its file exists, when late events are gathered.
fn due(folder: &Folder, hour: Hour, grace: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    let is_late = folder.file(hour).exists();
    let wait = if is_late { LATE_EVERY.max(grace) } else { grace };
    hour.end().max(now) + wait
}

fn tell(hour: Hour, added: Added) {
    let (name, events, size) = (HourName(hour), HumanCount(added.events), Size(added.size));
    match added {
        Added { events: 0, .. } => tracing::debug!("{name}.json.gz has all {} events", added.duplicates),
        Added { is_new: true, .. } => tracing::info!("{name}.json.gz is written: {events} events, {size}"),
        Added { is_new: false, .. } => {
            tracing::info!("{name}.json.gz has {events} late events more: {size} now");
        }
    }
}

#[cfg(test)]
mod tests;
