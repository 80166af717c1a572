//! The positions at which replays of the archive ended, for `--since last`.
//!
//! A replay with `--types` does not publish the other types, so it has a position of its own. A replay without `--types` has published
//! all types, so its position counts for every other replay too.

use std::path::{Path, PathBuf};

use super::{archive_reset, state};
use crate::broker::Broker;
use crate::config::ArchiveArgs;

/// Where the positions of replays to one queue are kept.
pub(super) struct LastReplay {
    /// Of replays with the same types.
    own: PathBuf,
    /// Of replays of all types.
    of_all: PathBuf,
    /// The flag with the types, as a user writes it. Empty for all types.
    flag: String,
}

impl LastReplay {
    /// The position of replays of the archive at `source` to the load queue of `broker`.
    pub(super) fn of(args: &ArchiveArgs, source: &Broker, broker: &Broker) -> Self {
        let mut queue =
            format!("{}-{}", archive_reset::name("archive-last", source), args.publish.load_queue());
        if args.from.is_some() {
            queue = state::name(&queue, &broker.names().load());
        }
        let mut types = args.select.types.clone();
        types.sort();
        types.dedup();
        let path = |name: &str| args.state.state_dir.join(format!("{name}.json"));
        let of_all = path(&queue);
        if types.is_empty() {
            return Self { own: of_all.clone(), of_all, flag: String::new() };
        }
        let own = path(&state::name(&format!("{queue}-types"), &types));
        Self { own, of_all, flag: format!(" --types {}", types.join(",")) }
    }

    /// The offset after the last replay that published all types asked for.
    ///
    /// # Errors
    /// When there was none.
    pub(super) fn next(&self) -> anyhow::Result<u64> {
        let read = |path: &Path| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
        let next: Option<u64> = read(&self.own).max(read(&self.of_all));
        next.ok_or_else(|| self.nothing())
    }

    /// The flags that continue after this replay.
    pub(super) fn flags(&self) -> String {
        format!("--since last{}", self.flag)
    }

    /// Saves that everything before `next` is done. A disk error is only logged.
    pub(super) fn save(&self, next: u64) {
        if let Err(error) = state::write_whole(&self.own, &next) {
            tracing::warn!("remember offset {next} in {}: {error:#}", self.own.display());
        }
    }

    fn nothing(&self) -> anyhow::Error {
        let own = self.own.display();
        if self.flag.is_empty() {
            anyhow::anyhow!(
                "--since last: no replay of this archive to this queue has ended yet ({own} is not there; replays with --types do not count, because they leave out the other types)"
            )
        } else {
            anyhow::anyhow!(
                "--since last: no replay of this archive to this queue has ended yet, neither with{} nor without --types ({own} is not there)",
                self.flag
            )
        }
    }
}
