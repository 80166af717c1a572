//! What must be in Redis after a workload, computed from its events without the loader and the script.

use std::collections::HashMap;

use anyhow::Result;
use github_event_etl::event::Event;

/// Types that score by default, one point each, as `--score` of the loader says. Bots score, too.
const SCORING: [&str; 2] = ["PushEvent", "PullRequestEvent"];

/// True for types that score.
pub fn scores(kind: &str) -> bool {
    SCORING.contains(&kind)
}

/// Counts, scores and events by what Redis calls them.
#[derive(Default)]
pub struct Expected {
    /// Hour → event type → events.
    pub counts: HashMap<String, HashMap<String, u64>>,
    /// Hour → login → points.
    pub scores: HashMap<String, HashMap<String, u64>>,
    /// Id and `created_at` of each event → its place in the workload.
    pub events: HashMap<(String, String), usize>,
}

impl Expected {
    /// From the bodies of distinct events.
    pub fn of(bodies: &[Vec<u8>]) -> Result<Self> {
        let mut expected = Self::default();
        for (place, body) in bodies.iter().enumerate() {
            let event = Event::parse(body)?;
            let hour = event.hour().to_string();
            let counts = expected.counts.entry(hour.clone()).or_default();
            *counts.entry(event.kind.to_string()).or_default() += 1;
            if let Some(login) = event.actor_login().filter(|_| scores(&event.kind)) {
                *expected.scores.entry(hour).or_default().entry(login.to_string()).or_default() += 1;
            }
            expected.events.insert((event.id.to_string(), event.created_at.to_string()), place);
        }
        Ok(expected)
    }
}
