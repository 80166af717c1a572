//! The source of the files: a web server or a folder.

use std::path::{Path, PathBuf};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::download::{Downloader, FetchError};
use crate::config::{BaseUrl, Tls};
use crate::event::{Hour, HourName};
use crate::health::Health;

/// GH Archive itself, a mirror of it, or a folder with its files.
pub(super) struct Mirror {
    name: String,
    kind: Kind,
}

enum Kind {
    Web(Box<Downloader>),
    Folder(PathBuf),
}

/// The outcome of fetching an hour.
#[derive(Debug)]
pub enum Fetched {
    /// The file. `is_ours` if it was downloaded, so that the caller should delete it after use.
    File { path: PathBuf, is_ours: bool },
    /// There is no file, or not yet; `place` is where it was looked for.
    Missing { place: String },
    /// The server refuses to give the file.
    Refused { reason: String },
    /// The mirror does not answer, and others did; or it was not asked. Never of a mirror alone.
    Away,
}

impl Mirror {
    /// A mirror that has not been asked anything yet. `is_alone` if the replay has no other.
    ///
    /// # Errors
    /// [`UsageError`](crate::config::UsageError) when there is no CA to trust.
    pub(super) fn new(base: &BaseUrl, is_alone: bool, tls: &Tls, health: &Health) -> anyhow::Result<Self> {
        let kind = match base {
            BaseUrl::Web(url) => Kind::Web(Box::new(Downloader::new(url.clone(), is_alone, tls, health)?)),
            BaseUrl::Folder(path) => Kind::Folder(path.clone()),
        };
        Ok(Self { name: base.shown(), kind })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the hour's file available on this machine; a download goes into `folder`. A request to a web server that does
    /// not answer is repeated without end. A download that breaks off continues where it stopped.
    ///
    /// # Errors
    /// [`FetchError`] when the program is to stop, or the file cannot be written.
    pub(super) async fn fetch(
        &self,
        hour: Hour,
        folder: &Path,
        shutdown: &CancellationToken,
    ) -> Result<Fetched, FetchError> {
        match &self.kind {
            Kind::Web(web) => web.fetch(hour, folder, shutdown).await,
            Kind::Folder(path) => Ok(find_in(path, hour)),
        }
    }

    /// Whether the hour's file exists. A web server that does not answer is asked again without end.
    ///
    /// # Errors
    /// [`FetchError::Interrupted`] when the program is to stop.
    pub(super) async fn has(&self, hour: Hour, shutdown: &CancellationToken) -> Result<bool, FetchError> {
        match &self.kind {
            Kind::Web(web) => web.has(hour, shutdown).await,
            Kind::Folder(path) => Ok(matches!(find_in(path, hour), Fetched::File { .. })),
        }
    }

    /// When a web server last sent something useful. None if it never did.
    pub(super) fn heard(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Web(web) => web.heard.last(),
            Kind::Folder(_) => None,
        }
    }

    /// It is not waited for any more, until it sends something.
    pub(super) fn give_up(&self) {
        if let Kind::Web(web) = &self.kind {
            web.heard.give_up();
        }
    }

    pub(super) fn hope_again(&self) {
        if let Kind::Web(web) = &self.kind {
            web.heard.hope_again();
        }
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(&self.kind, Kind::Web(web) if web.heard.is_given_up())
    }
}

/// Looks for the hour's file in a folder. People store files with a leading zero in the name, or decompressed.
fn find_in(folder: &Path, hour: Hour) -> Fetched {
    let name = HourName(hour).to_string();
    let names = [name.clone(), hour.to_string()];
    let candidates =
        names.iter().flat_map(|name| [".json.gz", ".json"].map(|end| folder.join(format!("{name}{end}"))));
    candidates.clone().find(|path| path.is_file()).map_or_else(
        || Fetched::Missing { place: folder.join(format!("{name}.json.gz")).display().to_string() },
        |path| Fetched::File { path, is_ours: false },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_searched_for_the_names_that_people_give() {
        let folder = tempfile::tempdir().unwrap();
        let hour: Hour = "2015-01-01-03".parse().unwrap();
        assert!(
            matches!(find_in(folder.path(), hour), Fetched::Missing { place } if place.ends_with("2015-01-01-3.json.gz"))
        );
        for name in ["2015-01-01-03.json", "2015-01-01-3.json.gz"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            assert!(
                matches!(find_in(folder.path(), hour), Fetched::File { path, is_ours: false } if path.ends_with(name))
            );
        }
    }
}
