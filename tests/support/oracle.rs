//! An independent model of the loader: what Redis must hold after these bodies. It shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::dump::{entry_line, mark_line};

/// What was loaded, under the rules of one loader. Retention is longer than a test.
#[derive(Clone)]
pub struct Oracle {
    weights: BTreeMap<String, u64>,
    bots_score: bool,
    types: Option<BTreeSet<String>>,
    expires: bool,
    marks: BTreeSet<(String, String)>,
    counts: BTreeMap<(String, String), u64>,
    scores: BTreeMap<(String, String), u64>,
    entries: Vec<String>,
}

impl Oracle {
    /// The rules of a loader without flags.
    pub fn new() -> Self {
        Self {
            weights: BTreeMap::from([("PushEvent".into(), 1), ("PullRequestEvent".into(), 1)]),
            bots_score: true,
            types: None,
            expires: true,
            marks: BTreeSet::new(),
            counts: BTreeMap::new(),
            scores: BTreeMap::new(),
            entries: Vec::new(),
        }
    }

    /// What a loader without flags makes of these bodies.
    pub fn of(bodies: &[Vec<u8>]) -> Self {
        let mut oracle = Self::new();
        bodies.iter().for_each(|body| {
            oracle.see(body);
        });
        oracle
    }

    pub fn with_weights(mut self, weights: &[(&str, u64)]) -> Self {
        self.weights = weights.iter().map(|(kind, weight)| ((*kind).to_owned(), *weight)).collect();
        self
    }

    pub fn without_bots(mut self) -> Self {
        self.bots_score = false;
        self
    }

    pub fn only(mut self, types: &[&str]) -> Self {
        self.types = Some(types.iter().map(|kind| (*kind).to_owned()).collect());
        self
    }

    pub fn without_expiry(mut self) -> Self {
        self.expires = false;
        self
    }

    /// Takes one body as the loader should; true if it is loaded, false if it changes nothing.
    pub fn see(&mut self, body: &[u8]) -> bool {
        let event: Value = serde_json::from_slice(body).unwrap();
        let kind = text(&event["type"]);
        if self.types.as_ref().is_some_and(|types| !types.contains(&kind)) {
            return false;
        }
        let created_at = text(&event["created_at"]);
        assert!(
            created_at.len() == 20 && created_at.ends_with('Z'),
            "the model knows GitHub's own form only"
        );
        let created: chrono::DateTime<chrono::Utc> = created_at.parse().unwrap();
        let latest = chrono::Utc::now() + chrono::TimeDelta::days(1);
        assert!(created <= latest, "what is that far in the future is no event");
        let hour = format!("{}-{}", &created_at[..10], &created_at[11..13]);
        if !self.marks.insert((text(&event["id"]), created_at)) {
            return false;
        }
        *self.counts.entry((hour.clone(), kind.clone())).or_default() += 1;
        let weight = self.weights.get(&kind).copied().unwrap_or(0);
        let login = event["actor"]["login"].as_str().unwrap_or("");
        if weight > 0 && !login.is_empty() && (self.bots_score || !login.ends_with("[bot]")) {
            *self.scores.entry((hour, login.to_owned())).or_default() += weight;
        }
        let fields = event.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value)));
        self.entries.push(entry_line(fields));
        true
    }

    /// Different events seen.
    pub fn distinct(&self) -> usize {
        self.marks.len()
    }

    /// What [`super::dump::dump`] must give, if the stream is not capped.
    pub fn lines(&self) -> Vec<String> {
        let expires = if self.expires { " (expires)" } else { "" };
        let marks = self.marks.iter().map(|(id, time)| format!("{}{expires}", mark_line(id, time)));
        let counts = self
            .counts
            .iter()
            .map(|((hour, kind), count)| format!("event-count:{hour} {kind} = {count}{expires}"));
        let scores = self
            .scores
            .iter()
            .map(|((hour, login), score)| format!("dev-score:{hour} {login} = {score}{expires}"));
        let hours: BTreeSet<&String> = self.counts.keys().map(|(hour, _)| hour).collect();
        let hours = hours.into_iter().map(|hour| format!("hours {hour}{expires}"));
        let first = (!self.marks.is_empty()).then(|| "first-inserted-at".to_owned());
        let mut lines: Vec<String> = marks
            .chain(counts)
            .chain(scores)
            .chain(hours)
            .chain(self.entries.iter().cloned())
            .chain(first)
            .collect();
        lines.sort();
        lines
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
