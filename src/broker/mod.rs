//! RabbitMQ: what we declare there, how we publish with confirms, how we consume and ack. The only module that names
//! `lapin`.
//!
//! A session (connection and channel) is never repaired: on any error its owner drops it whole, waits, and builds a
//! new one. lapin's own recovery stays off, because it can leave a dead consumer behind that looks alive. Consuming and
//! publishing use connections of their own, because RabbitMQ blocks a publishing connection under memory pressure, and acks
//! on it would be stuck too.

mod archive;
mod as_json;
mod batch;
mod consumer;
mod copies;
mod deaths;
mod envelope;
mod error;
mod extra;
mod failure;
mod identify;
mod memory;
mod names;
mod outgoing;
mod publisher;
mod reader;
mod reset;
mod session;
mod status;
mod taker;
mod topology;
mod traced;
mod window;
mod wire;

pub use archive::{ArchiveReader, ArchiveStart, Archived};
pub use batch::TooLarge;
pub use consumer::{Consumer, Delivery};
pub use envelope::Envelope;
pub use error::BrokerError;
pub use extra::ExtraPublisher;
pub use failure::Failure;
pub use memory::MemoryQueue;
pub use names::Names;
pub use outgoing::{EventName, Outgoing, Route};
pub use publisher::{PublishError, Publisher};
pub use reader::{QueueReader, Taken};
pub use status::{StatusListener, StatusSender};
pub use taker::{Depth, Taker};
pub use topology::{ARCHIVE_RETENTION, Part};

use crate::config::{AmqpUrl, UsageError};

/// RabbitMQ as one program sees it: where it is, and the names this program uses. Opens sessions.
#[derive(Clone)]
pub struct Broker {
    uri: session::Uri,
    address: String,
    names: Names,
    /// What RabbitMQ's management shows as the connection's name, and messages carry as `app_id`.
    program: &'static str,
}

impl Broker {
    /// A broker that is not connected to yet.
    ///
    /// # Errors
    /// [`UsageError`] when the URL is not one that AMQP clients take.
    pub fn new(url: &AmqpUrl, names: Names, program: &'static str) -> Result<Self, UsageError> {
        let uri = session::Uri::parse(url)?;
        Ok(Self { uri, address: url.to_string(), names, program })
    }

    /// The same broker for another load queue of the namespace.
    #[must_use]
    pub fn of_queue(&self, queue: &str) -> Self {
        Self { names: self.names.of_queue(queue), ..self.clone() }
    }

    /// `host:port`, without a password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The names of everything this program uses in RabbitMQ.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What messages published by this program carry as `app_id`.
    pub fn program(&self) -> &'static str {
        self.program
    }
}
