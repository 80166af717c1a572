//! Who acts, and where: accounts, bots, organisations and repositories, few of them popular and many rare.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde::Serialize;

/// How many accounts and repositories there are: enough for a long tail, little enough to hold.
const ACCOUNTS: usize = 2_000;
const REPOSITORIES: usize = 3_000;
const ORGANISATIONS: usize = 150;

/// Automated accounts are among the busiest on GitHub, so they come first among the popular.
const BOTS: [&str; 6] = [
    "github-actions[bot]",
    "dependabot[bot]",
    "renovate[bot]",
    "pre-commit-ci[bot]",
    "codecov[bot]",
    "mergify[bot]",
];

const FIRST: [&str; 20] = [
    "octo", "ana", "kernel", "rusty", "wei", "lambda", "night", "Mika", "dev", "pixel", "yuki", "Ole",
    "data", "zoe", "async", "cloud", "juan", "Priya", "void", "tom",
];
const SECOND: [&str; 16] = [
    "cat", "hacker", "smith", "-labs", "fox", "-dev", "writes", "code", "42", "sato", "-io", "bear", "99",
    "souza", "byte", "x",
];
const PROJECTS: [&str; 20] = [
    "hello-world",
    "dotfiles",
    "api",
    "website",
    "docs",
    "rust-http",
    "homebrew-tap",
    "awesome-lists",
    "cli",
    "ml-notebooks",
    "game.js",
    "portfolio",
    "infra",
    "sdk",
    "advent-of-code",
    "blog",
    "compiler",
    "bot",
    "nixpkgs",
    "leetcode",
];

/// Everyone and everything that events are about.
pub(super) struct Cast {
    accounts: Vec<Account>,
    organisations: Vec<Account>,
    repositories: Vec<Repository>,
}

/// A user, bot or organisation.
pub(super) struct Account {
    pub id: u64,
    pub login: String,
}

/// A repository and its owner.
pub(super) struct Repository {
    pub id: u64,
    /// `owner/name`.
    pub name: String,
    owner: Owner,
}

enum Owner {
    /// Index into the accounts.
    User(usize),
    /// Index into the organisations.
    Organisation(usize),
}

/// Who does something where.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub actor: &'a Account,
    pub repository: &'a Repository,
    pub organisation: Option<&'a Account>,
}

impl Cast {
    /// Always the same people and repositories. The seed only changes their actions.
    pub(super) fn new() -> Self {
        Self::of(ORGANISATIONS, REPOSITORIES)
    }

    /// The same people, with so many organisations (1 or more) and repositories.
    pub(super) fn of(organisations: usize, repositories: usize) -> Self {
        let people = (0..ACCOUNTS).map(|i| Account { id: 1_000 + 78_517 * i as u64, login: login(i) });
        let organisations = (0..organisations)
            .map(|i| Account { id: 9_000_001 + 31 * i as u64, login: format!("{}-org{i}", FIRST[i % 20]) })
            .collect();
        let mut cast = Self { accounts: people.collect(), organisations, repositories: Vec::new() };
        cast.repositories = (0..repositories).map(|i| cast.repository(i)).collect();
        cast
    }

    fn repository(&self, index: usize) -> Repository {
        // A third belongs to organisations; strides spread the owners over the popular and the rare.
        let (owner, login) = if index.is_multiple_of(3) {
            let at = index * 7 % self.organisations.len();
            (Owner::Organisation(at), &self.organisations[at].login)
        } else {
            let at = BOTS.len() + index * 13 % (ACCOUNTS - BOTS.len());
            (Owner::User(at), &self.accounts[at].login)
        };
        let name = format!("{login}/{}{}", PROJECTS[index % 20], index / 20);
        Repository { id: 20_000_000 + 331_001 * index as u64, name, owner }
    }

    /// A popular repository more often than a rare one; people work mostly in their own.
    pub(super) fn scene(&self, rng: &mut Xoshiro256PlusPlus) -> Scene<'_> {
        let repository = zipf(rng, self.repositories.len());
        self.scene_in(repository, rng)
    }

    /// Someone in the repository with this index.
    pub(super) fn scene_in(&self, repository: usize, rng: &mut Xoshiro256PlusPlus) -> Scene<'_> {
        let repository = &self.repositories[repository];
        let organisation = match repository.owner {
            Owner::Organisation(at) => Some(&self.organisations[at]),
            Owner::User(_) => None,
        };
        let actor = match repository.owner {
            Owner::User(at) if rng.random_ratio(1, 2) => at,
            _ => zipf(rng, ACCOUNTS),
        };
        Scene { actor: &self.accounts[actor], repository, organisation }
    }

    pub(super) fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    pub(super) fn organisations(&self) -> &[Account] {
        &self.organisations
    }

    /// The index of the organisation that owns the repository, if one does.
    pub(super) fn organisation_of(&self, repository: usize) -> Option<usize> {
        match self.repositories[repository].owner {
            Owner::Organisation(at) => Some(at),
            Owner::User(_) => None,
        }
    }

    pub(super) fn rename(&mut self, repository: usize, name: String) {
        self.repositories[repository].name = name;
    }

    /// Someone, popular or not.
    pub(super) fn account(&self, rng: &mut Xoshiro256PlusPlus) -> &Account {
        &self.accounts[zipf(rng, ACCOUNTS)]
    }
}

fn login(index: usize) -> String {
    match BOTS.get(index) {
        Some(bot) => (*bot).to_owned(),
        None => format!("{}{}{}", FIRST[index % 20], SECOND[index / 20 % 16], index / 320),
    }
}

/// An index below `count` whose probability falls as one over its rank (Zipf's law with exponent 1).
fn zipf(rng: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    let rank = (count as f64 + 1.0).powf(rng.random::<f64>());
    (rank as usize).clamp(1, count) - 1
}

/// The `actor` of an event.
#[derive(Serialize)]
pub(super) struct Actor<'a> {
    id: u64,
    login: &'a str,
    display_login: &'a str,
    gravatar_id: &'static str,
    url: String,
    avatar_url: String,
}

impl Account {
    pub(super) fn as_actor(&self) -> Actor<'_> {
        Actor {
            id: self.id,
            login: &self.login,
            display_login: self.login.trim_end_matches("[bot]"),
            gravatar_id: "",
            url: format!("https://api.github.com/users/{}", self.login),
            avatar_url: format!("https://avatars.githubusercontent.com/u/{}?", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_repository_names_are_unique() {
        let cast = Cast::new();
        let logins: std::collections::HashSet<_> = cast.accounts.iter().map(|a| &a.login).collect();
        let names: std::collections::HashSet<_> = cast.repositories.iter().map(|r| &r.name).collect();
        assert_eq!((logins.len(), names.len()), (ACCOUNTS, REPOSITORIES));
    }
}
