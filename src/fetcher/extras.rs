//! The extras of the fetcher: copies of events for the archive, and records of gaps. Each has its own background publisher, so
//! that an error of one stops nothing else.

use std::time::Duration;

use chrono::Utc;

use super::background::{BackgroundPublisher, ExtraDestination};
use super::remembered::Remembered;
use crate::broker::{Broker, Envelope, Outgoing, Part, Route};
use crate::gap::GapRecord;
use crate::health::Health;
use crate::lack::{self, Lack};

/// Copies and records that may wait.
const COPIES_MAX: usize = 10_000;
const RECORDS_MAX: usize = 1000;
/// How long a poll waits for the confirms of its copies and records. After that the poll continues, and the fetcher's memory has the
/// missing ones.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(2);

/// The background publishers of one fetcher.
pub(super) struct Extras {
    broker: Broker,
    archive: BackgroundPublisher,
    gaps: BackgroundPublisher,
}

impl Extras {
    /// Starts with the messages that an earlier fetcher could not publish.
    pub(super) fn start(broker: &Broker, health: &Health, before: &mut Remembered) -> Self {
        let start = |destination, lack, confirmed| {
            BackgroundPublisher::start(destination, broker, health, lack, confirmed)
        };
        let archive = start(archive(broker), before.archive_lack.take(), before.archived.take());
        let extras = Self { broker: broker.clone(), archive, gaps: start(gaps(broker), None, None) };
        extras.record(std::mem::take(&mut before.gaps));
        extras
    }

    /// Takes over what another fetcher could not publish.
    pub(super) fn take_over(&self, before: &mut Remembered) {
        self.archive.note(before.archive_lack.take());
        self.record(std::mem::take(&mut before.gaps));
    }

    /// Gives copies of events to the archive.
    pub(super) fn copy<'a>(&self, events: impl Iterator<Item = &'a Outgoing>) {
        let names = self.broker.names();
        self.archive.give(events.map(|event| event.for_archive(names)), Utc::now());
    }

    /// Gives records of gaps to their queue.
    pub(super) fn record(&self, gaps: impl IntoIterator<Item = GapRecord>) {
        let message = |gap: GapRecord| Outgoing {
            route: Route::Queue(self.broker.names().gaps()),
            body: gap.json(),
            envelope: Envelope::json(self.broker.program()).with_message_id(&gap.id()),
        };
        self.gaps.give(gaps.into_iter().map(message), Utc::now());
    }

    /// Waits until all is confirmed by what answers, no longer than `limit`.
    pub(super) async fn settle(&self, limit: Duration) {
        tokio::join!(self.archive.settle(limit), self.gaps.settle(limit));
    }

    /// Writes unconfirmed messages into `memory`.
    pub(super) fn remember(&self, memory: &mut Remembered) {
        memory.archive_lack = self.archive.lack();
        memory.archived = self.archive.confirmed();
        let records = self.gaps.unpublished();
        memory.gaps = records.iter().filter_map(|body| GapRecord::parse(body).ok()).collect();
    }

    /// Ends both. Messages that are not confirmed must be remembered before.
    pub(super) fn stop(self) {
        self.archive.stop();
        self.gaps.stop();
    }
}

fn archive(broker: &Broker) -> ExtraDestination {
    ExtraDestination {
        parts: &[Part::Archive],
        name: format!("the archive {} in RabbitMQ at {}", broker.names().archive(), broker.address()),
        label: "archive",
        remedy: "if RabbitMQ is up and this lasts, `replay archive --reset` declares the stream again",
        record: Some(record_of_lack),
        messages_max: COPIES_MAX,
    }
}

fn record_of_lack(lack: &Lack, broker: &Broker) -> Outgoing {
    let route = Route::Queue(broker.names().archive());
    let envelope = Envelope::json(broker.program()).with_kind(lack::KIND);
    Outgoing { route, body: lack.json(), envelope }
}

fn gaps(broker: &Broker) -> ExtraDestination {
    ExtraDestination {
        parts: &[Part::Gaps],
        name: format!("the queue {} in RabbitMQ at {}", broker.names().gaps(), broker.address()),
        label: "gaps",
        remedy: "records of gaps wait in the fetcher's memory",
        record: None,
        messages_max: RECORDS_MAX,
    }
}
