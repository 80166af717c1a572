//! Errors of RabbitMQ, in the classes that callers distinguish.

use std::time::Duration;

use lapin::ErrorKind;

use super::rights;
use crate::handshake;

/// The operation that declares queues and exchanges.
pub(super) const DECLARE: &str = "declare queues and exchanges";

/// A broker session that could not be opened or has ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Not reachable, or the session broke: wait and open a new one.
    #[error("{operation}: {reason}")]
    Lost { operation: &'static str, reason: String },
    /// No answer in time: the session is thrown away.
    #[error("{operation}: no answer within {} s", after.as_secs())]
    Timeout { operation: &'static str, after: Duration },
    /// A session could be opened with none of several nodes: wait and try them again.
    #[error("no node of RabbitMQ can be used: {reasons}")]
    NoNode { reasons: String },
    /// RabbitMQ ended our consumer, because its queue was deleted or moved: subscribe again.
    #[error("consume from {queue}: cancelled by RabbitMQ (was the queue deleted?)")]
    Cancelled { queue: String },
    /// RabbitMQ does not have the object, or cannot reach its node. It closes the channel with this answer.
    #[error("{operation}: {reason}")]
    NotFound { operation: &'static str, reason: String },
    /// RabbitMQ answers, but the archive stream is lost or not up yet. After a start of RabbitMQ that takes some seconds.
    #[error(
        "RabbitMQ does not serve the archive: {reason}; if this lasts, the stream is lost: replay archive --reset declares it again"
    )]
    ArchiveDown { reason: String },
    /// RabbitMQ refuses these credentials, or this virtual host.
    #[error(
        "{operation}: RabbitMQ refuses access: {reason}; check user, password and virtual host in --amqp-url (AMQP_URL)"
    )]
    Denied { operation: &'static str, reason: String },
    /// RabbitMQ refuses the user a right.
    #[error(
        "{operation}: the user lacks the right {right}: grant it with rabbitmqctl set_permissions (docs/SECURITY.md): {reason}"
    )]
    NoRight { operation: &'static str, right: String, reason: String },
    /// Another server answers there.
    #[error(
        "connect: the server there is not RabbitMQ: it says '{says}'; check host and port in --amqp-url (AMQP_URL)"
    )]
    NotRabbitMq { says: String },
    /// A RabbitMQ that lacks features that our queues need.
    #[error("it is RabbitMQ {version}, and 3.10 or newer is needed: upgrade it, or use another server")]
    TooOld { version: String },
    /// Something of ours exists with other settings.
    #[error(
        "declare {object}: it exists with other settings: {reason}; drain and delete it (rabbitmqctl delete_queue), or use another --namespace"
    )]
    Mismatch { object: String, reason: String },
    /// A queue does not exist.
    #[error("{operation}: {reason}")]
    NoSuchQueue { operation: &'static str, reason: String },
    /// Another connection takes messages from the same queue (see `reader`).
    #[error("{operation}: another program holds them unacked, a dashboard or another replay: {reason}")]
    InUse { operation: &'static str, reason: String },
    /// A message is larger than RabbitMQ takes. RabbitMQ closes the channel and confirms nothing on it.
    #[error("publish: a message is too large: {reason}")]
    TooLarge { reason: String },
}

impl BrokerError {
    /// True for faults that waiting does not remove. At the start they end the program. Later they are retried like the others.
    pub fn waiting_cannot_help(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::NoRight { .. }
                | Self::Mismatch { .. }
                | Self::NotRabbitMq { .. }
                | Self::TooOld { .. }
        )
    }

    /// True for a fault that another node of the cluster may not have.
    pub(super) fn is_of_node(&self) -> bool {
        let is_stranger = matches!(self, Self::NotRabbitMq { .. } | Self::TooOld { .. });
        is_stranger || self.is_not_found() || matches!(self, Self::Lost { .. } | Self::Timeout { .. })
    }

    /// True if RabbitMQ answers that it has no such queue, or cannot reach the queue's node.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NoSuchQueue { .. })
    }

    pub(super) fn from_lapin(operation: &'static str, error: &lapin::Error) -> Self {
        Self::about(operation, "", error)
    }

    /// The same, while `object` was being declared.
    fn about(operation: &'static str, object: &str, error: &lapin::Error) -> Self {
        let reason = reason(error);
        match code(error) {
            // 403 is access-refused, 530 not-allowed (an unknown virtual host, but also a limit of connections, which may pass).
            Some(403 | 530) if !reason.contains("limit") => {
                match rights::lacking(operation, object, &reason) {
                    Some(right) => Self::NoRight { operation, right, reason },
                    None => Self::Denied { operation, reason },
                }
            }
            // 404 is not-found: also a queue whose node is down, and for some seconds after a start the archive.
            Some(404) if reason.contains("no queue") => Self::NoSuchQueue { operation, reason },
            Some(404) => Self::NotFound { operation, reason },
            // 405 is resource-locked.
            Some(405) => Self::InUse { operation, reason },
            _ => Self::Lost { operation, reason },
        }
    }

    pub(super) fn publishing(error: &lapin::Error) -> Self {
        match code(error) {
            // "PRECONDITION_FAILED - message size 1500123 is larger than configured max size 1000000"
            Some(406) if reason(error).contains("message size") => Self::TooLarge { reason: reason(error) },
            _ => Self::from_lapin("publish", error),
        }
    }

    pub(super) fn declaring(object: &str, error: &lapin::Error) -> Self {
        match code(error) {
            // 406 is precondition-failed: RabbitMQ's text has the argument, our value and the existing value.
            Some(406) if reason(error).contains("inequivalent arg") => {
                Self::Mismatch { object: object.to_owned(), reason: reason(error) }
            }
            _ => Self::about(DECLARE, object, error),
        }
    }
}

fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// The error's text without lapin's wrapping.
fn reason(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(error) => {
            handshake::reason(&**error, "amqp://").unwrap_or_else(|| error.to_string())
        }
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    }
}
