//! The events of given repositories. Each is made from its place alone, so that it can be made again whenever it is asked for.

use chrono::{DateTime, SecondsFormat, Utc};
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use super::cast::Cast;
use super::payload::{self, Draft};
use super::{Event, sequence_of};

/// Repositories for each organisation, in the mean over all repositories.
const REPOSITORIES_PER_ORGANISATION: usize = 12;
/// The dice of an event's type and content.
const CONTENT: u64 = 1;

/// Repositories with their owners, and the content of their events: the same seed, the same events.
pub(crate) struct Scoped {
    seed: u64,
    cast: Cast,
}

/// Number and name of a repository or an organisation, as GitHub has them.
pub(crate) struct Named<'a> {
    pub id: u64,
    /// `owner/name`, or the organisation's login.
    pub name: &'a str,
}

impl Scoped {
    /// `repositories` of them. A third belongs to organisations, four to each.
    pub(crate) fn new(seed: u64, repositories: usize) -> Self {
        let mut organisations = (repositories / REPOSITORIES_PER_ORGANISATION).max(1);
        // The strides of the cast reach every organisation only of a number that shares no factor with them.
        while organisations > 1 && (organisations.is_multiple_of(3) || organisations.is_multiple_of(7)) {
            organisations -= 1;
        }
        Self { seed, cast: Cast::of(organisations, repositories) }
    }

    /// The repository with this index.
    pub(crate) fn repository(&self, index: usize) -> Named<'_> {
        let repository = &self.cast.repositories()[index];
        Named { id: repository.id, name: &repository.name }
    }

    pub(crate) fn organisations(&self) -> impl ExactSizeIterator<Item = Named<'_>> {
        self.cast.organisations().iter().map(|account| Named { id: account.id, name: &account.login })
    }

    /// The index of the organisation that owns the repository, if one does.
    pub(crate) fn organisation_of(&self, repository: usize) -> Option<usize> {
        self.cast.organisation_of(repository)
    }

    /// From now on, events say this name, also those that are made again.
    pub(crate) fn rename(&mut self, repository: usize, name: String) {
        self.cast.rename(repository, name);
    }

    /// Which of GitHub's two sequences of ids the event belongs to: 0 or 1.
    pub(crate) fn sequence(&self, repository: usize, number: u32) -> usize {
        sequence_of(payload::pick(&mut self.dice(repository, number)).0)
    }

    /// The repository's event with this number, as GitHub would send it: compact JSON.
    pub(crate) fn event(&self, repository: usize, number: u32, id: u64, created_at: DateTime<Utc>) -> String {
        let created_at = created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut rng = self.dice(repository, number);
        let (kind, make) = payload::pick(&mut rng);
        let scene = self.cast.scene_in(repository, &mut rng);
        let draft =
            Draft { rng: &mut rng, cast: &self.cast, scene, created_at: &created_at, filler_bytes: 0 };
        let payload = make(draft);
        Event::new(id.to_string(), kind, scene, payload, &created_at).raw()
    }

    fn dice(&self, repository: usize, number: u32) -> Xoshiro256PlusPlus {
        dice(self.seed, CONTENT, repository as u64, number.into())
    }
}

/// Chance that depends on these numbers only.
pub(crate) fn dice(seed: u64, purpose: u64, repository: u64, number: u64) -> Xoshiro256PlusPlus {
    let mixed = [purpose, repository, number].into_iter().fold(seed, |mixed, part| {
        // The finaliser of SplitMix64: numbers that are close by have nothing in common afterwards.
        let mut z = (mixed ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    Xoshiro256PlusPlus::seed_from_u64(mixed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn event(scoped: &Scoped, repository: usize, number: u32) -> String {
        scoped.event(repository, number, 5, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn an_event_is_the_same_each_time_it_is_made_and_no_two_are_alike() {
        let (one, two, other) = (Scoped::new(1, 40), Scoped::new(1, 40), Scoped::new(2, 40));
        let mut seen = BTreeSet::new();
        for (repository, number) in [(0, 0), (0, 1), (1, 0), (39, 7)] {
            let raw = event(&one, repository, number);
            assert_eq!(raw, event(&two, repository, number));
            assert_ne!(raw, event(&other, repository, number));
            assert!(seen.insert(raw));
        }
    }

    #[test]
    fn events_are_in_their_repository_and_organisation_and_of_many_types() {
        let mut scoped = Scoped::new(1, 120);
        let mut kinds = BTreeSet::new();
        for (repository, number) in (0..12).flat_map(|repository| (0..50).map(move |n| (repository, n))) {
            let raw: Value = serde_json::from_str(&event(&scoped, repository, number)).unwrap();
            assert_eq!(raw["repo"]["name"], scoped.repository(repository).name);
            let organisation = scoped.organisation_of(repository);
            let login = organisation.and_then(|at| scoped.organisations().nth(at)).map(|org| org.name);
            assert_eq!(raw["org"]["login"].as_str(), login);
            kinds.insert(raw["type"].as_str().unwrap().to_owned());
        }
        assert!(
            kinds.len() >= 12 && kinds.contains("WatchEvent") && kinds.contains("IssuesEvent"),
            "{kinds:?}"
        );
        scoped.rename(3, "new/name".into());
        assert!(event(&scoped, 3, 0).contains(r#""name":"new/name""#));
    }

    #[test]
    fn every_organisation_has_several_repositories() {
        for repositories in [12, 40, 252, 1_000, 5_000] {
            let scoped = Scoped::new(1, repositories);
            let mut owned = vec![0; scoped.organisations().len()];
            (0..repositories).filter_map(|at| scoped.organisation_of(at)).for_each(|at| owned[at] += 1);
            assert!(owned.iter().all(|&count| count >= 2), "{repositories}: {owned:?}");
        }
    }
}
