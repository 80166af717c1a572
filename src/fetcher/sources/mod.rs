//! The sources that are to be polled: those of `--source` and those of the sources file, which may change at any time.

mod file;
mod list;

use std::collections::HashMap;
use std::path::Path;

use tokio::time::Instant;

use crate::config::{Source, UsageError};
use file::SourcesFile;
use list::{List, same};

pub(super) use list::Listed;

/// The sources of `--source` and of the sources file.
pub(super) struct Sources {
    flags: Vec<Source>,
    file: Option<SourcesFile>,
    /// How the sources were spelled when they were given last.
    spelled: Spellings,
}

/// The sources by their names in lower case.
type Spellings = HashMap<String, Source>;

impl Sources {
    /// Reads the sources file, if there is one. Gives all sources.
    ///
    /// # Errors
    /// [`UsageError`] if it cannot be read.
    pub(super) async fn open(
        flags: &[Source],
        file: Option<&Path>,
    ) -> Result<(Self, Vec<Listed>), UsageError> {
        let (file, list) = match file {
            Some(path) => {
                let (file, list) = SourcesFile::open(path).await?;
                (Some(file), list)
            }
            None => (None, List::default()),
        };
        let wanted = together(flags, list.sources);
        let spelled = spellings(&wanted);
        Ok((Self { flags: flags.to_vec(), file, spelled }, wanted))
    }

    /// When to look for a change. None if there is no file.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.file.as_ref().map(SourcesFile::look_at)
    }

    /// All sources, if they have changed. Those that stay are spelled as before, because upper and lower case make no difference.
    pub(super) async fn look(&mut self) -> Option<Vec<Listed>> {
        let list = self.file.as_mut()?.look().await?;
        let mut wanted = together(&self.flags, list.sources);
        spell_as_before(&mut wanted, &self.spelled);
        self.spelled = spellings(&wanted);
        Some(wanted)
    }
}

fn spellings(all: &[Listed]) -> Spellings {
    all.iter().map(|listed| (same(&listed.source), listed.source.clone())).collect()
}

fn spell_as_before(wanted: &mut [Listed], before: &Spellings) {
    for listed in wanted {
        if let Some(source) = before.get(&same(&listed.source)) {
            listed.source.clone_from(source);
        }
    }
}

/// The sources of both, each once: polling one twice would only use up requests. Those of the flags come first. The file has the
/// weights.
fn together(flags: &[Source], file: Vec<Listed>) -> Vec<Listed> {
    let mut places = HashMap::new();
    let mut all: Vec<Listed> = Vec::new();
    let of_flags = flags.iter().map(|source| (Listed { source: source.clone(), weight: 1.0 }, false));
    for (listed, has_weight) in of_flags.chain(file.into_iter().map(|listed| (listed, true))) {
        match places.get(&same(&listed.source)) {
            Some(place) if has_weight => {
                let known: &mut Listed = &mut all[*place];
                known.weight = listed.weight;
            }
            Some(_) => {}
            None => {
                places.insert(same(&listed.source), all.len());
                all.push(listed);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_file_add_up_each_source_once_in_its_first_place_with_the_weight_of_the_file() {
        let flags: Vec<Source> = ["orgs/x", "events", "orgs/X"].map(|text| text.parse().unwrap()).into();
        let file = List::parse(b"repos/a/b 3\nOrgs\norgs/X 2\n").sources;
        let all: Vec<_> =
            together(&flags, file).iter().map(|one| format!("{} {}", one.source, one.weight)).collect();
        assert_eq!(all, ["orgs/x 2", "events 1", "repos/a/b 3"]);
        assert_eq!(together(&[], vec![]), vec![]);
    }

    #[test]
    fn a_line_in_another_case_is_the_source_that_it_was() {
        let before = spellings(&List::parse(b"repos/A/b\norgs/x\n").sources);
        let mut wanted = List::parse(b"repos/a/B 2\nrepos/a/C\n").sources;
        spell_as_before(&mut wanted, &before);
        let wanted: Vec<_> = wanted.iter().map(|one| format!("{} {}", one.source, one.weight)).collect();
        assert_eq!(wanted, ["repos/A/b 2", "repos/a/C 1"]);
    }
}
