//! Invents events: every documented type, in the format GitHub has sent since 7 October 2025.

mod cast;
mod code;
mod payload;
mod scoped;
mod talk;
mod text;

use chrono::{DateTime, SecondsFormat, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use cast::{Actor, Cast, Scene};
use payload::Draft;

pub(super) use scoped::{Scoped, dice};

/// Makes raw events, one after the other: the same seed, the same events (but for their `created_at`).
///
/// Ids are decimal strings from two rising sequences, as GitHub's seem to be: pushes, creations and deletions count from
/// 16.2e9, all others from 10.8e9. They are unique within a run and not sorted across it.
pub struct Generator {
    rng: Xoshiro256PlusPlus,
    cast: Cast,
    /// The last id of pushes, creations and deletions, and of all others.
    last_ids: [u64; 2],
    size: Option<MeanSize>,
}

/// Steers the mean size of events by the filler in those that hold text.
struct MeanSize {
    target_bytes: i64,
    /// Bytes that the events so far lack to the target, in sum. Negative if they exceed it.
    owed_bytes: i64,
}

/// GitHub's own limit for the body of an issue or comment, in characters.
const TEXT_BYTES_MAX: i64 = 65_536;

impl Generator {
    /// The smallest and largest mean that [`Generator::with_mean_size`] can meet.
    pub const MEAN_SIZE_BYTES: std::ops::RangeInclusive<u32> = 1_500..=10_000;

    /// Events of their natural size, about 1 KB in the mean.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            cast: Cast::new(),
            last_ids: [16_200_000_000, 10_800_000_000],
            size: None,
        }
    }

    /// Events of `bytes` in the mean (within 5 % over 10,000 of them; `bytes` clamped to
    /// [`Self::MEAN_SIZE_BYTES`]): texts of comments, descriptions, reviews and releases grow, as a PushEvent has none.
    #[must_use]
    pub fn with_mean_size(mut self, bytes: u32) -> Self {
        let target = bytes.clamp(*Self::MEAN_SIZE_BYTES.start(), *Self::MEAN_SIZE_BYTES.end());
        self.size = Some(MeanSize { target_bytes: target.into(), owed_bytes: 0 });
        self
    }

    /// The next event as GitHub would send it: compact JSON.
    pub fn next_event(&mut self, created_at: DateTime<Utc>) -> String {
        let created_at = created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let filler_bytes = self.filler_bytes();
        let scene = self.cast.scene(&mut self.rng);
        let (kind, make) = payload::pick(&mut self.rng);
        let draft =
            Draft { rng: &mut self.rng, cast: &self.cast, scene, created_at: &created_at, filler_bytes };
        let payload = make(draft);
        let id = next_id(&mut self.rng, &mut self.last_ids, kind);
        let raw = Event::new(id, kind, scene, payload, &created_at).raw();
        if let Some(size) = &mut self.size {
            size.owed_bytes += size.target_bytes - raw.len() as i64;
        }
        raw
    }

    /// Bytes to add to a text: those that are lacking, spread at random.
    fn filler_bytes(&mut self) -> usize {
        let Some(size) = &self.size else { return 0 };
        let owed = (size.owed_bytes + size.target_bytes).max(0) as f64;
        let share = owed * self.rng.random_range(0.3..1.3);
        (share as i64).min(TEXT_BYTES_MAX) as usize
    }
}

fn next_id(rng: &mut Xoshiro256PlusPlus, last_ids: &mut [u64; 2], kind: &str) -> String {
    let sequence = sequence_of(kind);
    last_ids[sequence] += rng.random_range(1..40);
    last_ids[sequence].to_string()
}

/// Which of GitHub's two sequences of ids has the id of such an event: 0 or 1.
fn sequence_of(kind: &str) -> usize {
    usize::from(!matches!(kind, "PushEvent" | "CreateEvent" | "DeleteEvent"))
}

#[derive(Serialize)]
struct Event<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    actor: Actor<'a>,
    repo: Repo<'a>,
    payload: serde_json::Value,
    public: bool,
    created_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<Org<'a>>,
}

impl<'a> Event<'a> {
    fn new(
        id: String,
        kind: &'static str,
        scene: Scene<'a>,
        payload: serde_json::Value,
        created_at: &'a str,
    ) -> Self {
        let repository = scene.repository;
        Self {
            id,
            kind,
            actor: scene.actor.as_actor(),
            repo: Repo { id: repository.id, name: &repository.name, url: repository.url() },
            payload,
            public: true,
            created_at,
            org: scene.organisation.map(Org::new),
        }
    }

    /// Compact JSON, as GitHub sends it.
    fn raw(&self) -> String {
        // Serialising plain structs, strings and numbers into a string has nothing that can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Repo<'a> {
    id: u64,
    name: &'a str,
    url: String,
}

#[derive(Serialize)]
struct Org<'a> {
    id: u64,
    login: &'a str,
    gravatar_id: &'static str,
    url: String,
    avatar_url: String,
}

impl<'a> Org<'a> {
    fn new(account: &'a cast::Account) -> Self {
        Self {
            id: account.id,
            login: &account.login,
            gravatar_id: "",
            url: format!("https://api.github.com/orgs/{}", account.login),
            avatar_url: format!("https://avatars.githubusercontent.com/u/{}?", account.id),
        }
    }
}

#[cfg(test)]
mod tests;
