//! What the program knows of the servers it needs: the truth behind `/readyz`, and the log lines "is away" and "is back".

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use chrono::{DateTime, Utc};

/// The state of everything a program depends on. Cheap to clone; all clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    // Held for a map operation only, never across an await.
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    states: BTreeMap<String, State>,
    last_error: Option<LastError>,
}

/// The last time that something a program depends on stopped answering, or gave another reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    pub at: DateTime<Utc>,
    /// What it was and why: `Redis at 127.0.0.1:6379: connection refused`.
    pub text: String,
}

#[derive(Debug)]
enum State {
    /// Not reached yet: not ready, but nothing to complain about either.
    Starting,
    Up,
    Away {
        since: Instant,
        reason: String,
    },
}

/// One dependency's entry in [`Health`]; whoever talks to the server owns it and reports.
#[derive(Clone, Debug)]
pub struct Dependency {
    name: String,
    health: Health,
}

impl Health {
    /// Enters a dependency, not ready until it reports [`Dependency::up`].
    ///
    /// `name` is for people: what it is and where, without a password (`RabbitMQ at 127.0.0.1:5672`).
    pub fn dependency(&self, name: impl Into<String>) -> Dependency {
        let name = name.into();
        self.lock().states.entry(name.clone()).or_insert(State::Starting);
        Dependency { name, health: self.clone() }
    }

    /// Names and reasons of what is not ready; empty when the program is ready.
    pub fn not_ready(&self) -> Vec<(String, String)> {
        self.lock()
            .states
            .iter()
            .filter_map(|(name, state)| match state {
                State::Starting => Some((name.clone(), "not reached yet".to_owned())),
                State::Up => None,
                State::Away { reason, .. } => Some((name.clone(), reason.clone())),
            })
            .collect()
    }

    /// The last trouble there was, whether over or not.
    pub fn last_error(&self) -> Option<LastError> {
        self.lock().last_error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic while holding the lock leaves a valid map: every operation is a single insert or read.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Dependency {
    /// The dependency answers. Logs once when it had been away.
    pub fn up(&self) {
        let before = self.health.lock().states.insert(self.name.clone(), State::Up);
        if let Some(State::Away { since, .. }) = before {
            let away_s = since.elapsed().as_secs();
            tracing::info!(dependency = self.name, away_s, "{} is back after {away_s} s", self.name);
        }
    }

    /// True while it is known not to answer, or not to do what is asked.
    pub fn is_away(&self) -> bool {
        matches!(self.health.lock().states.get(&self.name), Some(State::Away { .. }))
    }

    /// Why it is away; nothing when it is not.
    pub fn why_away(&self) -> Option<String> {
        match self.health.lock().states.get(&self.name) {
            Some(State::Away { reason, .. }) => Some(reason.clone()),
            _ => None,
        }
    }

    /// True once it has answered, unless it is away.
    pub fn is_up(&self) -> bool {
        matches!(self.health.lock().states.get(&self.name), Some(State::Up))
    }

    /// What it is and where, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The dependency does not answer. Logs once, when it had not been away before.
    pub fn away(&self, reason: impl Display) {
        let reason = reason.to_string();
        let mut known = self.health.lock();
        let is_news = !matches!(known.states.get(&self.name), Some(State::Away { reason: before, .. }) if *before == reason);
        if is_news {
            known.last_error = Some(LastError { at: Utc::now(), text: format!("{}: {reason}", self.name) });
        }
        match known.states.get_mut(&self.name) {
            Some(State::Away { reason: known, .. }) => *known = reason,
            _ => {
                tracing::warn!(
                    dependency = self.name,
                    reason,
                    "{} is away: {reason}; retrying until it is back",
                    self.name
                );
                known.states.insert(self.name.clone(), State::Away { since: Instant::now(), reason });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_not_ready_until_it_is_up_and_again_when_away() {
        let health = Health::default();
        let redis = health.dependency("Redis");
        assert_eq!(health.not_ready(), [("Redis".to_owned(), "not reached yet".to_owned())]);
        redis.up();
        assert!(health.not_ready().is_empty());
        redis.away("connection refused");
        assert_eq!(health.not_ready(), [("Redis".to_owned(), "connection refused".to_owned())]);
        redis.up();
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn the_last_trouble_is_remembered_when_it_is_over() {
        let health = Health::default();
        let redis = health.dependency("Redis");
        assert_eq!(health.last_error(), None);
        redis.away("refused");
        let first = health.last_error().unwrap();
        assert_eq!(first.text, "Redis: refused");
        redis.away("refused");
        redis.up();
        assert_eq!(health.last_error(), Some(first), "the same again is no news");
        redis.away("timeout");
        assert_eq!(health.last_error().unwrap().text, "Redis: timeout");
    }
}
