//! What the program knows of the servers it needs: the truth behind `/readyz`, and the log lines "is away" and "is back".

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// The state of everything a program depends on. Cheap to clone; all clones share the state.
#[derive(Clone, Default)]
pub struct Health {
    // Held for a map operation only, never across an await.
    states: Arc<Mutex<BTreeMap<String, State>>>,
}

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
#[derive(Clone)]
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
        self.lock().entry(name.clone()).or_insert(State::Starting);
        Dependency { name, health: self.clone() }
    }

    /// Names and reasons of what is not ready; empty when the program is ready.
    pub fn not_ready(&self) -> Vec<(String, String)> {
        self.lock()
            .iter()
            .filter_map(|(name, state)| match state {
                State::Starting => Some((name.clone(), "not reached yet".to_owned())),
                State::Up => None,
                State::Away { reason, .. } => Some((name.clone(), reason.clone())),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        // A panic while holding the lock leaves a valid map: every operation is a single insert or read.
        self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Dependency {
    /// The dependency answers. Logs once when it had been away.
    pub fn up(&self) {
        let before = self.health.lock().insert(self.name.clone(), State::Up);
        if let Some(State::Away { since, .. }) = before {
            let away_s = since.elapsed().as_secs();
            tracing::info!(dependency = self.name, away_s, "{} is back after {away_s} s", self.name);
        }
    }

    /// True while it is known not to answer, or not to do what is asked.
    pub fn is_away(&self) -> bool {
        matches!(self.health.lock().get(&self.name), Some(State::Away { .. }))
    }

    /// The dependency does not answer. Logs once, when it had not been away before.
    pub fn away(&self, reason: impl Display) {
        let reason = reason.to_string();
        let mut states = self.health.lock();
        match states.get_mut(&self.name) {
            Some(State::Away { reason: known, .. }) => *known = reason,
            _ => {
                tracing::warn!(
                    dependency = self.name,
                    reason,
                    "{} is away: {reason}; retrying until it is back",
                    self.name
                );
                states.insert(self.name.clone(), State::Away { since: Instant::now(), reason });
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
}
