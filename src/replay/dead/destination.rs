//! The destination of dead letters that are taken from their queue.

use super::saved::SavedFile;
use super::senders::Senders;
use crate::broker::Taken;

/// The destination of letters.
pub(super) enum Destination<'a> {
    /// Back to where they come from.
    Origin(Box<Senders<'a>>),
    /// To a file.
    File(Box<SavedFile>),
    /// Nowhere: they are deleted.
    Nowhere,
}

impl Destination<'_> {
    /// The most letters that it accepts together.
    pub(super) fn at_once(&self) -> usize {
        match self {
            Self::Origin(senders) => senders.at_once(),
            Self::File(_) | Self::Nowhere => usize::MAX,
        }
    }

    /// Takes `batch`, and returns the tags of the letters that are stored, or deleted, for good.
    pub(super) async fn accept(&mut self, batch: Vec<Taken>) -> anyhow::Result<Vec<u64>> {
        let tags = batch.iter().map(|letter| letter.tag).collect();
        match self {
            Self::Origin(senders) => senders.send(batch).await,
            Self::File(file) => file.append(&batch).map(|()| tags),
            Self::Nowhere => Ok(tags),
        }
    }
}
