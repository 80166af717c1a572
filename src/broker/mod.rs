//! RabbitMQ: declares queues and exchanges, publishes with confirms, consumes and acks. The only module that names `lapin`.
//!
//! A session (connection and channel) is with one node of RabbitMQ, and is never repaired. On any error its owner drops it, which
//! ends the connection, waits, and opens a new one. lapin's own recovery stays off, because it can leave a dead consumer that looks alive.
//!
//! Consuming and publishing use separate connections: under memory pressure RabbitMQ blocks a publishing connection, and acks
//! on it would be blocked too.

mod archive;
mod as_json;
mod batch;
mod consumer;
mod copies;
mod deaths;
mod depth;
mod envelope;
mod error;
mod extra;
mod failure;
mod identify;
mod memory;
mod names;
mod nodes;
mod outgoing;
mod publisher;
mod reader;
mod reset;
mod rights;
mod session;
mod status;
mod topology;
mod traced;
mod window;
mod wire;

pub use archive::{ArchiveReader, ArchiveStart, Archived, OWN_ENTRIES_MAX};
pub use batch::TooLarge;
pub use consumer::{Consumer, Delivery};
pub use depth::{Depth, DepthSession};
pub use envelope::Envelope;
pub use error::BrokerError;
pub use extra::ExtraPublisher;
pub use failure::Failure;
pub use memory::MemoryQueue;
pub use names::Names;
pub use outgoing::{EventName, Outgoing, Route};
pub use publisher::{PublishError, Publisher};
pub use reader::{QueueReader, Taken};
pub use status::{StatusListener, StatusSender, Told};
pub use topology::{ARCHIVE_RETENTION, Part};

use crate::config::{AmqpUrl, Namespace, UsageError};

/// RabbitMQ for one program: its nodes and the names the program uses. Opens sessions.
#[derive(Clone)]
pub struct Broker {
    nodes: nodes::Nodes,
    address: String,
    names: Names,
    /// The program's name: the first word of the connection's name, and the `app_id` of messages.
    program: &'static str,
}

impl Broker {
    /// A broker that is not connected to yet.
    ///
    /// # Errors
    /// [`UsageError`] when the URL is not one that AMQP clients take.
    pub fn new(url: &AmqpUrl, names: Names, program: &'static str) -> Result<Self, UsageError> {
        let nodes = nodes::Nodes::new(url)?;
        Ok(Self { nodes, address: url.to_string(), names, program })
    }

    /// The same broker for another load queue of the namespace.
    #[must_use]
    pub fn of_queue(&self, queue: &str) -> Self {
        Self { names: self.names.of_queue(queue), ..self.clone() }
    }

    /// The same broker for another namespace.
    #[must_use]
    pub fn of_namespace(&self, namespace: &Namespace) -> Self {
        Self { names: self.names.of_namespace(namespace), ..self.clone() }
    }

    /// `host:port` of every node, without a password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The name of the cluster and virtual host, for files that belong to them: one address, whatever the order of the nodes.
    pub fn cluster(&self) -> String {
        self.nodes.cluster()
    }

    /// The names of everything this program uses in RabbitMQ.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The `app_id` of messages that this program publishes.
    pub fn program(&self) -> &'static str {
        self.program
    }
}
