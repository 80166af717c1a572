//! What becomes of letters that are taken.

use super::saved::SavedFile;
use super::senders::Senders;
use crate::broker::Taken;

/// Where letters go.
pub(super) enum Destination<'a> {
    /// Back to where they belong.
    Home(Box<Senders<'a>>),
    /// To a file.
    File(Box<SavedFile>),
    /// Nowhere: they are deleted.
    Nowhere,
}

impl Destination<'_> {
    /// How many leave together at most.
    pub(super) fn at_once(&self) -> usize {
        match self {
            Self::Home(senders) => senders.at_once(),
            Self::File(_) | Self::Nowhere => usize::MAX,
        }
    }

    /// Takes `batch`, and gives the tags of the letters that it has for good.
    pub(super) async fn accept(&mut self, batch: Vec<Taken>) -> anyhow::Result<Vec<u64>> {
        let tags = batch.iter().map(|letter| letter.tag).collect();
        match self {
            Self::Home(senders) => senders.send(batch).await,
            Self::File(file) => file.append(&batch).map(|()| tags),
            Self::Nowhere => Ok(tags),
        }
    }
}
