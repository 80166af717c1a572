//! Which types of events there are, how often each comes, and what all payloads share.
//!
//! Types and keys: <https://docs.github.com/en/rest/using-the-rest-api/github-event-types>; two of them,
//! SponsorshipEvent and PullRequestReviewThreadEvent, are in earlier versions of that page only.

use rand::RngExt as _;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::{Value, json};

use super::cast::{Account, Cast, Repository, Scene};
use super::{code, talk, text};

/// The parts of a payload.
pub(super) struct Draft<'a> {
    pub rng: &'a mut Xoshiro256PlusPlus,
    pub cast: &'a Cast,
    pub scene: Scene<'a>,
    pub created_at: &'a str,
    /// By how much to lengthen the payload's text, if it has one.
    pub filler_bytes: usize,
}

type Make = fn(Draft<'_>) -> Value;

/// Types with their frequency per thousand, roughly as seen in GH Archive in 2025.
const MIX: [(&str, u32, Make); 18] = [
    ("PushEvent", 520, code::push),
    ("CreateEvent", 130, code::create),
    ("PullRequestEvent", 80, code::pull_request),
    ("WatchEvent", 60, watch),
    ("IssueCommentEvent", 58, talk::issue_comment),
    ("DeleteEvent", 46, code::delete),
    ("IssuesEvent", 28, talk::issues),
    ("PullRequestReviewEvent", 22, code::review),
    ("PullRequestReviewCommentEvent", 18, code::review_comment),
    ("ForkEvent", 14, fork),
    ("ReleaseEvent", 8, talk::release),
    ("GollumEvent", 4, talk::gollum),
    ("MemberEvent", 3, member),
    ("CommitCommentEvent", 2, talk::commit_comment),
    ("PublicEvent", 2, public),
    ("DiscussionEvent", 2, talk::discussion),
    ("PullRequestReviewThreadEvent", 2, code::review_thread),
    ("SponsorshipEvent", 1, sponsorship),
];

/// Every type the generator makes.
#[cfg(test)]
pub(super) const TYPES: usize = MIX.len();

/// The next event's type, by chance.
pub(super) fn pick(rng: &mut Xoshiro256PlusPlus) -> (&'static str, Make) {
    let total: u32 = MIX.iter().map(|(_, weight, _)| weight).sum();
    let mut ticket = rng.random_range(0..total);
    for (kind, weight, make) in MIX {
        if ticket < weight {
            return (kind, make);
        }
        ticket -= weight;
    }
    (MIX[0].0, MIX[0].2)
}

impl Draft<'_> {
    /// One of `choices`.
    pub(super) fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.rng.random_range(0..choices.len())]
    }

    /// The payload's text, with the filler.
    pub(super) fn body(&mut self) -> String {
        text::body(self.rng, std::mem::take(&mut self.filler_bytes))
    }

    /// An id of something other than an event.
    pub(super) fn id(&mut self) -> u64 {
        self.rng.random_range(2_000_000_000..5_000_000_000)
    }

    /// A number such as that of an issue.
    pub(super) fn number(&mut self) -> u32 {
        self.rng.random_range(1..9_999)
    }

    /// A global node id: opaque text.
    pub(super) fn node_id(&mut self, prefix: &str) -> String {
        format!("{prefix}_kwDO{:012X}", self.rng.random_range(0..1u64 << 48))
    }
}

impl Account {
    /// The account as payloads show it.
    pub(super) fn as_user(&self) -> Value {
        let login = &self.login;
        json!({
            "login": login, "id": self.id, "node_id": format!("U_kgDO{:08X}", self.id),
            "avatar_url": format!("https://avatars.githubusercontent.com/u/{}?v=4", self.id), "gravatar_id": "",
            "url": format!("https://api.github.com/users/{login}"), "html_url": format!("https://github.com/{login}"),
            "type": if login.ends_with("[bot]") { "Bot" } else { "User" }, "site_admin": false,
        })
    }
}

impl Repository {
    /// The repository's address in the API.
    pub(super) fn url(&self) -> String {
        format!("https://api.github.com/repos/{}", self.name)
    }

    /// The repository's address for people.
    pub(super) fn html_url(&self) -> String {
        format!("https://github.com/{}", self.name)
    }

    /// The name without its owner.
    pub(super) fn short_name(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(_, name)| name)
    }
}

fn watch(_: Draft<'_>) -> Value {
    json!({ "action": "started" })
}

fn public(_: Draft<'_>) -> Value {
    json!({})
}

fn member(draft: Draft<'_>) -> Value {
    json!({ "action": "added", "member": draft.cast.account(draft.rng).as_user() })
}

fn sponsorship(draft: Draft<'_>) -> Value {
    json!({ "action": "created", "effective_date": draft.created_at })
}

fn fork(mut draft: Draft<'_>) -> Value {
    let name = draft.scene.repository.short_name();
    let full_name = format!("{}/{name}", draft.scene.actor.login);
    json!({ "action": "forked", "forkee": {
        "id": draft.rng.random_range(1_050_000_000..1_200_000_000u64), "node_id": draft.node_id("R"),
        "name": name, "full_name": full_name, "private": false, "owner": draft.scene.actor.as_user(),
        "html_url": format!("https://github.com/{full_name}"), "description": draft.body(), "fork": true,
        "url": format!("https://api.github.com/repos/{full_name}"), "created_at": draft.created_at,
        "updated_at": draft.created_at, "homepage": null, "size": 0, "language": null, "topics": [],
        "visibility": "public", "forks": 0, "open_issues": 0, "watchers": 0, "default_branch": "main",
    }})
}
