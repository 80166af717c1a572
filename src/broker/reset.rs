//! Deletes the archive stream and declares it again.

use std::time::Duration;

use lapin::options::QueueDeleteOptions;

use super::archive::not_served;
use super::session::{Session, within_time};
use super::{ArchiveStart, Broker, BrokerError};

/// A stream of 20 GB is 200 files.
const DELETE_TIMEOUT: Duration = Duration::from_secs(60);
const PURPOSE: &str = "resetting the archive";

impl Broker {
    /// The number of messages in the archive some seconds ago. None if RabbitMQ does not know it or has no archive.
    ///
    /// # Errors
    /// [`BrokerError`] when RabbitMQ cannot be reached.
    pub async fn archive_size(&self) -> Result<Option<u32>, BrokerError> {
        let session = Session::open(self, PURPOSE, &[]).await?;
        match session.depth(&self.names.archive()).await {
            Ok(depth) => {
                session.close().await;
                Ok(Some(depth.ready))
            }
            Err(BrokerError::NoSuchQueue { .. } | BrokerError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the archive and its messages, declares it again, and checks whether it can be read.
    ///
    /// # Errors
    /// [`BrokerError::ArchiveDown`] when RabbitMQ refuses to delete the stream, as 3.10 does when it has lost it; others when
    /// RabbitMQ cannot be reached or refuses access.
    pub async fn reset_archive(&self) -> Result<(), BrokerError> {
        let session = Session::open(self, PURPOSE, &[]).await?;
        let queue = self.names.archive();
        // Deleting a queue that does not exist succeeds.
        let delete = session.channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
        within_time(DELETE_TIMEOUT, "delete the archive", delete).await.map_err(not_served)?;
        session.close().await;
        self.read_archive(ArchiveStart::First).await?.close().await;
        Ok(())
    }

    /// The command that makes RabbitMQ 3.10 forget the archive when it refuses to delete it.
    pub fn archive_removal(&self) -> String {
        let (vhost, queue) = (erlang_text(self.nodes.vhost()), erlang_text(&self.names.archive()));
        let eval = format!(
            "rabbit_amqqueue:internal_delete(rabbit_misc:r({vhost}, queue, {queue}), <<\"replay\">>)."
        );
        format!("rabbitmqctl eval '{}'", eval.replace('\'', r"'\''"))
    }
}

/// A binary string of Erlang.
fn erlang_text(text: &str) -> String {
    format!("<<\"{}\"/utf8>>", text.replace('\\', r"\\").replace('"', r#"\""#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_for_erlang_is_quoted() {
        assert_eq!(erlang_text("/"), r#"<<"/"/utf8>>"#);
        assert_eq!(erlang_text(r#"a"b\c"#), r#"<<"a\"b\\c"/utf8>>"#);
    }
}
